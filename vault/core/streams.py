"""Streams: extents, nodes, and plans that read, write and change a part (VAULT §19).

A **plan** is a generator. It yields the extents whose data it needs, gets the data of each, and
returns its result. So a plan needs no connection, and its caller can load many blocks at once.
``Seal`` makes a new block and returns its extent.

Longer than other modules because reading, writing and changing share one tree.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeAlias, TypeVar

from protocol.common.primitives import equal, sha256

from .account import AccountKey
from .blocks import MAX_DATA_BYTES, open_block
from .errors import Forged, Malformed, Missing, Swapped, TooLarge
from .tokens import BLOCK_ID_BYTES

_DIGEST_BYTES, _EPOCH_BYTES, _SIZE_BYTES = 32, 2, 8
EXTENT_BYTES = BLOCK_ID_BYTES + _DIGEST_BYTES + _EPOCH_BYTES + _SIZE_BYTES
MAX_EXTENTS = 24
MAX_DEPTH = 3
MAX_EPOCH = 2**16 - 1
_COUNT_BYTES = 2


@dataclass(frozen=True, slots=True)
class Extent:
    """One block of a stream. ``size`` is the number of bytes of the stream below it."""

    id: bytes
    digest: bytes
    epoch: int
    size: int

    def serialize(self) -> bytes:
        """58 bytes."""
        numbers = self.epoch.to_bytes(_EPOCH_BYTES) + self.size.to_bytes(_SIZE_BYTES)
        return self.id + self.digest + numbers

    @classmethod
    def parse(cls, data: bytes) -> "Extent":
        """Raises: Malformed."""
        digest_at = BLOCK_ID_BYTES + _DIGEST_BYTES
        size_at = digest_at + _EPOCH_BYTES
        extent = cls(
            data[:BLOCK_ID_BYTES],
            data[BLOCK_ID_BYTES:digest_at],
            int.from_bytes(data[digest_at:size_at]),
            int.from_bytes(data[size_at:]),
        )
        if not (len(data) == EXTENT_BYTES and extent.epoch and extent.size):
            raise Malformed("an extent has another length, no epoch or no bytes")
        return extent


Result = TypeVar("Result")
Plan: TypeAlias = Generator[tuple[Extent, ...], Sequence[bytes], Result]
# Makes a new block of the data. The number is the size of its extent.
Seal: TypeAlias = Callable[[bytes, int], Extent]


@dataclass(frozen=True, slots=True)
class Stream:
    """The extents at the root of a stream, which are ``depth`` levels above the data."""

    depth: int = 0
    extents: tuple[Extent, ...] = ()

    @property
    def size(self) -> int:
        """The length of the stream in bytes."""
        return _size(self.extents)

    def serialize(self) -> bytes:
        head = bytes([self.depth]) + len(self.extents).to_bytes(_COUNT_BYTES)
        return head + _joined(self.extents)

    @classmethod
    def parse(cls, data: bytes) -> "Stream":
        """Raises: Malformed."""
        start = 1 + _COUNT_BYTES
        depth, count = int.from_bytes(data[:1]), int.from_bytes(data[1:start])
        if len(data) != start + count * EXTENT_BYTES:
            raise Malformed("a stream has another length than its extents")
        if depth > MAX_DEPTH or count > MAX_EXTENTS or (depth and not count):
            raise Malformed(f"a stream has more than {MAX_EXTENTS} extents, or is too deep")
        stream = cls(depth, _split(data[start:]))
        if stream.size >= 2 ** (8 * _SIZE_BYTES):
            raise Malformed("a stream is longer than a stream can be")
        return stream


@dataclass(frozen=True, slots=True)
class Shape:
    """The limits of a stream that is written. Only tests use others than the default ones."""

    data: int = MAX_DATA_BYTES
    node: int = MAX_DATA_BYTES // EXTENT_BYTES
    # A new node has room for later insertions.
    fill: int = 256
    top: int = MAX_EXTENTS


SHAPE = Shape()


def open_extent(key: AccountKey, extent: Extent, block: bytes) -> bytes:
    """The data of ``block``, which the server gave for ``extent``; it is empty if there is none.

    A plan checks the size. Raises: Missing, Swapped, Forged.
    """
    if not block:
        raise Missing("the server does not have a block that the index names")
    if not equal(sha256(block), extent.digest):
        raise Swapped("the server has another block than the index names")
    return open_block(key, extent.id, block)


# --- reading -------------------------------------------------------------------------------------


class Part(NamedTuple):
    """An extent at the position ``at`` of its stream."""

    at: int
    extent: Extent

    @property
    def end(self) -> int:
        return self.at + self.extent.size


def leaves(stream: Stream, start: int, end: int) -> Plan[list[Part]]:
    """The blocks of data that have a byte from ``start`` to ``end``. Raises: Forged."""
    parts = _within(_placed(0, stream.extents), start, end)
    for _ in range(stream.depth):
        parts = _within((yield from _children(parts)), start, end)
    return parts


def named(stream: Stream, start: int, end: int) -> Plan[list[Extent]]:
    """The blocks of all levels whose first byte is from ``start`` to ``end``. Raises: Forged."""
    parts = _within(_placed(0, stream.extents), start, end)
    found = [part.extent for part in parts if part.at >= start]
    for _ in range(stream.depth):
        parts = _within((yield from _children(parts)), start, end)
        found += [part.extent for part in parts if part.at >= start]
    return found


def unused(old: Stream, new: Sequence[Stream]) -> Plan[list[Extent]]:
    """The blocks of ``old`` that no stream of ``new`` needs. Raises: Forged.

    Parts that are in both are not loaded.
    """
    found: list[Extent] = []
    before: list[Extent] = []
    after: list[Extent] = []
    for depth in range(max((stream.depth for stream in (old, *new)), default=0), -1, -1):
        before += old.extents if old.depth == depth else ()
        after += [one for stream in new if stream.depth == depth for one in stream.extents]
        gone = _without(before, after)
        found += gone
        if depth:
            fresh = _without(after, before)
            inner = yield from _children(_placed(0, (*gone, *fresh)))
            # The children of ``gone`` come first.
            before = [part.extent for part in inner if part.at < _size(gone)]
            after = [part.extent for part in inner[len(before) :]]
    return found


def _without(extents: Iterable[Extent], others: Iterable[Extent]) -> list[Extent]:
    ids = {extent.id for extent in others}
    return [extent for extent in extents if extent.id not in ids]


def check_leaf(extent: Extent, data: bytes) -> bytes:
    """``data``, if it has the bytes that ``extent`` names. Raises: Forged."""
    if len(data) != extent.size:
        raise Forged("a block has another number of bytes than its extent names")
    return data


def children(extent: Extent, data: bytes) -> tuple[Extent, ...]:
    """The extents in a node. Raises: Forged."""
    try:
        extents = _split(data)
    except Malformed:
        raise Forged("a block of a stream does not have extents") from None
    if _size(extents) != extent.size:
        raise Forged("a node has another number of bytes than its extent names")
    return extents


def _children(parts: Sequence[Part]) -> Plan[list[Part]]:
    if not parts:
        return []
    loaded = yield tuple(part.extent for part in parts)
    return [
        child
        for part, data in zip(parts, loaded, strict=True)
        for child in _placed(part.at, children(part.extent, data))
    ]


def _within(parts: Iterable[Part], start: int, end: int) -> list[Part]:
    return [part for part in parts if part.at < end and part.end > start]


def _placed(at: int, extents: Iterable[Extent]) -> list[Part]:
    parts = []
    for extent in extents:
        parts.append(Part(at, extent))
        at += extent.size
    return parts


# --- writing -------------------------------------------------------------------------------------


@dataclass(slots=True)
class StreamWriter:
    """Writes a new stream from its first to its last block, with a bounded memory."""

    seal: Seal
    shape: Shape = SHAPE
    _levels: list[list[Extent]] = field(default_factory=lambda: [[] for _ in range(MAX_DEPTH + 1)])

    def add(self, data: bytes) -> None:
        """The next block: 1 to 16,331 bytes. It can seal 3 nodes as well. Raises: TooLarge."""
        self._put(0, self.seal(data, len(data)))

    def finish(self) -> Stream:
        """The stream. It can seal 3 nodes. Raises: TooLarge."""
        for depth, level in enumerate(self._levels[:-1]):
            if len(level) <= self.shape.top and not any(self._levels[depth + 1 :]):
                return Stream(depth, tuple(level))
            if level:
                self._close(depth)
        return Stream(MAX_DEPTH, tuple(self._levels[-1]))

    def _put(self, depth: int, extent: Extent) -> None:
        level = self._levels[depth]
        level.append(extent)
        if depth < MAX_DEPTH:
            if len(level) == self.shape.fill:
                self._close(depth)
        elif len(level) > self.shape.top:
            raise TooLarge("the data is longer than a stream can be")

    def _close(self, depth: int) -> None:
        level = self._levels[depth]
        node = self.seal(_joined(level), _size(level))
        level.clear()
        self._put(depth + 1, node)


# --- changing ------------------------------------------------------------------------------------


class Change(NamedTuple):
    """New blocks with the data of ``pieces`` in the place of the bytes from ``start`` to ``end``.

    A block of the stream begins or ends at ``start``, and at ``end``.
    """

    start: int
    end: int
    pieces: Sequence[bytes]


def splice(
    stream: Stream, start: int, end: int, data: bytes, seal: Seal, shape: Shape = SHAPE
) -> Plan[Stream]:
    """The stream with ``data`` in the place of the bytes from ``start`` to ``end``.

    All blocks that do not change stay. Raises: Malformed, for a range outside of the stream;
    TooLarge, Forged.
    """
    if not 0 <= start <= end <= stream.size:
        raise Malformed("the range is not inside of the stream")
    if start == end and not data:
        return stream
    around = yield from leaves(stream, start - 1, end + 1)
    left = next((part for part in around if part.at < start <= part.end), None)
    right = next((part for part in around if part.at <= end < part.end), None)
    # The bytes of both blocks that stay.
    before = start - left.at if left else 0
    after = right.end - end if right else 0
    is_cut_left = left is not None and left.end > start
    is_cut_right = right is not None and right.at < end
    total = len(data) + before * is_cut_left + after * is_cut_right
    # A neighbour that would stay as it is joins a block that has space. So a stream that grows
    # byte by byte does not get a block for each byte.
    if not is_cut_left:
        if total and total + before <= shape.data:
            total += before
        else:
            left, before = None, 0
    if not is_cut_right and not (total and total + after <= shape.data):
        right, after = None, 0
    edges = [part for part in dict.fromkeys((left, right)) if part is not None]
    loaded = (yield tuple(part.extent for part in edges)) if edges else ()
    held = {
        part: check_leaf(part.extent, content) for part, content in zip(edges, loaded, strict=True)
    }
    head = held[left][:before] if left else b""
    tail = held[right][len(held[right]) - after :] if right else b""
    change = Change(
        left.at if left else start,
        right.end if right else end,
        cut(head + data + tail, shape.data),
    )
    return (yield from replaced(stream, [change], seal, shape))


def cut(data: bytes, most: int = MAX_DATA_BYTES) -> list[bytes]:
    """``data`` as the smallest number of pieces, of nearly the same length."""
    count = -(-len(data) // most)
    bounds = [len(data) * number // count for number in range(count + 1)] if count else []
    return [data[low:high] for low, high in pairwise(bounds)]


def replaced(
    stream: Stream, changes: Sequence[Change], seal: Seal, shape: Shape = SHAPE
) -> Plan[Stream]:
    """The stream with ``changes``, which are in ascending order and do not overlap.

    Nodes that no change touches stay. Raises: TooLarge, Forged.
    """
    if len(changes) == 1 and (changes[0].start, changes[0].end) == (0, stream.size):
        stream = Stream()
    changing = _Changing(seal, shape)
    placed = _placed(0, stream.extents)
    extents = yield from changing.level(placed, stream.depth, list(changes))
    depth = stream.depth if extents else 0
    while len(extents) > shape.top:
        extents = changing.nodes(extents)
        depth += 1
    if depth > MAX_DEPTH:
        raise TooLarge("the data is longer than a stream can be")
    return Stream(depth, tuple(extents))


def resealed(
    stream: Stream, start: int, end: int, is_old: Callable[[Extent], bool], seal: Seal
) -> Plan[Stream]:
    """The stream with new blocks for those that ``is_old``, from ``start`` to ``end``.

    A node above a new block is new as well. Raises: Forged.
    """
    placed = _placed(0, stream.extents)
    extents = yield from _resealed(placed, stream.depth, (start, end), is_old, seal)
    return Stream(stream.depth, tuple(extents))


def _resealed(
    placed: list[Part],
    depth: int,
    within: tuple[int, int],
    is_old: Callable[[Extent], bool],
    seal: Seal,
) -> Plan[list[Extent]]:
    touched = _within(placed, *within)
    if not depth:
        touched = [part for part in touched if is_old(part.extent)]
    loaded = (yield tuple(part.extent for part in touched)) if touched else ()
    new: dict[Part, Extent] = {}
    for part, data in zip(touched, loaded, strict=True):
        if not depth:
            new[part] = seal(check_leaf(part.extent, data), part.extent.size)
            continue
        before = children(part.extent, data)
        inner = _placed(part.at, before)
        extents = yield from _resealed(inner, depth - 1, within, is_old, seal)
        if tuple(extents) != before or is_old(part.extent):
            new[part] = seal(_joined(extents), part.extent.size)
    return [new.get(part, part.extent) for part in placed]


@dataclass(frozen=True, slots=True)
class _Changing:
    """Changes one level of a stream after the other, from the top."""

    seal: Seal
    shape: Shape

    def level(self, placed: list[Part], depth: int, changes: list[Change]) -> Plan[list[Extent]]:
        """The extents of the level ``depth`` after ``changes``."""
        if not depth:
            return self._leaves(placed, changes)
        result: list[Extent] = []
        left = list(placed)
        while left:
            first = left.pop(0)
            run, taken = [first], []
            while changes and _touches(changes[0], run[-1].end):
                taken.append(changes.pop(0))
                while left and taken[-1].end > run[-1].end:
                    run.append(left.pop(0))
            if not taken:
                result.append(first.extent)
                continue
            # A node that a change covers need not be loaded.
            parts = [part for part in run if not any(_covers(change, part) for change in taken)]
            inner = yield from _children(parts)
            result += self.nodes((yield from self.level(inner, depth - 1, taken)))
        if changes:
            result += self.nodes((yield from self.level([], depth - 1, changes)))
        return result

    def _leaves(self, placed: list[Part], changes: list[Change]) -> list[Extent]:
        result: list[Extent] = []
        covered_to = 0
        for part in placed:
            while changes and changes[0].start <= part.at:
                covered_to = changes[0].end
                result += self._sealed(changes.pop(0))
            if part.at >= covered_to:
                result.append(part.extent)
        for change in changes:
            result += self._sealed(change)
        return result

    def _sealed(self, change: Change) -> list[Extent]:
        return [self.seal(piece, len(piece)) for piece in change.pieces]

    def nodes(self, extents: list[Extent]) -> list[Extent]:
        """Nodes with ``extents``: one if they fit into one, else of nearly the same length."""
        if not extents:
            return []
        fits = len(extents) <= self.shape.node
        count = 1 if fits else -(-len(extents) // self.shape.fill)
        bounds = [len(extents) * number // count for number in range(count + 1)]
        groups = [extents[low:high] for low, high in pairwise(bounds)]
        return [self.seal(_joined(group), _size(group)) for group in groups]


def _touches(change: Change, end: int) -> bool:
    """Whether ``change`` is for the node that ends at ``end``, and not for a later one.

    An insertion between two nodes is for the first of them.
    """
    return change.start < end or (change.start == change.end == end)


def _covers(change: Change, part: Part) -> bool:
    return change.start <= part.at and part.end <= change.end


def _size(extents: Iterable[Extent]) -> int:
    return sum(extent.size for extent in extents)


def _joined(extents: Iterable[Extent]) -> bytes:
    return b"".join(extent.serialize() for extent in extents)


def _split(data: bytes) -> tuple[Extent, ...]:
    starts = range(0, len(data), EXTENT_BYTES)
    return tuple(Extent.parse(data[at : at + EXTENT_BYTES]) for at in starts)
