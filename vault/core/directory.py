"""The directory: the entries of an index as the bytes of a stream (VAULT §20.3).

The writer begins a new block at an entry. So a change of one entry writes one block again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .account import lp
from .blocks import MAX_DATA_BYTES
from .errors import Forged, Malformed
from .index import Entry
from .streams import Change, Part, cut

_LENGTH_BYTES = 4


def read_directory(data: bytes) -> tuple[Entry, ...]:
    """The entries in the bytes of a directory. Raises: Forged."""
    entries = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start])
        try:
            entries.append(Entry.parse(data[start:at]))
        except Malformed:
            raise Forged("the directory has an entry without the form of this version") from None
    if at != len(data) or any(low.id >= high.id for low, high in pairwise(entries)):
        raise Forged("the entries of the directory are not whole, or not in order")
    return tuple(entries)


@dataclass(slots=True)
class _Group:
    """Blocks of the directory that begin and end at an entry, and the entries in them."""

    start: int
    end: int
    entries: list[bytes]
    first_id: bytes


def changes(
    blocks: Sequence[Part], before: Sequence[Entry], after: Sequence[Entry]
) -> list[Change]:
    """How a directory with the entries ``before`` gets those of ``after``.

    ``blocks`` are the blocks of data of its stream. Both lists are in the order of the ids.
    Raises: Malformed.
    """
    groups = _groups(blocks, before)
    left = list(after)
    found = []
    for number, group in enumerate(groups):
        is_last = number == len(groups) - 1
        taken = []
        while left and (is_last or left[0].id < groups[number + 1].first_id):
            taken.append(_written(left.pop(0)))
        if taken != group.entries:
            found.append(Change(group.start, group.end, _pieces(taken)))
    return found


def _groups(blocks: Sequence[Part], entries: Sequence[Entry]) -> list[_Group]:
    """At least one group; the first one is empty if the directory is."""
    ends = {part.end for part in blocks}
    groups: list[_Group] = []
    at = 0
    is_open = False
    for entry in entries:
        written = _written(entry)
        if not is_open:
            groups.append(_Group(at, at, [], entry.id))
        group = groups[-1]
        group.entries.append(written)
        at += len(written)
        group.end = at
        is_open = at not in ends
    return groups or [_Group(0, 0, [], b"")]


def _written(entry: Entry) -> bytes:
    return lp(entry.serialize())


def _pieces(written: list[bytes]) -> list[bytes]:
    """The data of blocks. Only an entry that is longer than a block is in several blocks."""
    total = sum(map(len, written))
    if total <= MAX_DATA_BYTES:
        return [b"".join(written)] if written else []
    if len(written) == 1:
        return cut(written[0])
    half, middle = 0, 0
    while middle < len(written) - 1 and (middle == 0 or 2 * (half + len(written[middle])) <= total):
        half += len(written[middle])
        middle += 1
    return _pieces(written[:middle]) + _pieces(written[middle:])
