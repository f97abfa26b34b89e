"""Asks the server whether the blocks of the files are still there (VAULT §18.4, "Check")."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from protocol.common.primitives import equal
from vault.core.block_exchanges import MAX_BLOCKS, OneBlock
from vault.core.errors import Alarm, Missing, Swapped
from vault.core.streams import Extent, Stream, named, open_extent
from vault.core.tokens import NONCE_BYTES, check

from .indexing import Index
from .reading import WINDOW_BYTES, Reader


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check.

    ``blocks`` is the number of blocks that the server says it has. For ``proven`` of them it has
    shown that it has the right content, because this machine has a copy. ``damaged`` has the name
    of each damaged file, and the name of its first alarm; the name is empty for the index itself.
    """

    blocks: int
    proven: int
    damaged: dict[str, str] = field(repr=False)


async def check_blocks(index: Index, progress: Callable[[int], None] | None) -> Checked:
    """Check all blocks. Raises: VaultError, NoAnswer; no Alarm."""
    asked: set[bytes] = set()
    proven, damaged = 0, dict[str, str]()
    for name, stream in _named_streams(index):
        try:
            async for extents in _batches(index.reader(), stream, asked):
                proven += await _check(index, extents)
                asked |= {extent.id for extent in extents}
                if progress is not None:
                    progress(len(asked))
        except Alarm as alarm:
            damaged.setdefault(name, alarm.name)
    return Checked(len(asked), proven, damaged)


def _named_streams(index: Index) -> Iterator[tuple[str, Stream]]:
    yield "", index.snapshot.meta.directory
    for entry in list(index.snapshot.entries.values()):
        for version in entry.versions:
            yield entry.name, version.stream


async def _batches(
    reader: Reader, stream: Stream, asked: set[bytes]
) -> AsyncIterator[list[Extent]]:
    for low in range(0, stream.size, WINDOW_BYTES):
        extents = await reader.run(named(stream, low, low + WINDOW_BYTES))
        new = [extent for extent in extents if extent.id not in asked]
        for at in range(0, len(new), MAX_BLOCKS):
            yield new[at : at + MAX_BLOCKS]


async def _check(index: Index, extents: Sequence[Extent]) -> int:
    """The number of proven blocks. Raises: Missing, Swapped, VaultError, NoAnswer."""
    reader, nonce = index.reader(), secrets.token_bytes(NONCE_BYTES)
    wanted = [OneBlock(one.id, reader.tokens(one.epoch).read(one.id)) for one in extents]
    proven = 0
    digests = list(await index.requests.check(nonce, wanted))
    absent = [extent for extent, digest in zip(extents, digests, strict=True) if not digest]
    # A renewal brings a block back from the archive of the server.
    if absent and await index.renew(reader, absent):
        digests = list(await index.requests.check(nonce, wanted))
    for extent, digest in zip(extents, digests, strict=True):
        if not digest:
            raise Missing("the server does not have a block that the index names")
        copy = index.folder.find(extent.id)
        if copy is None or not _is_right(index, extent, copy):
            continue
        if not equal(check(nonce, copy), digest):
            raise Swapped("the server has another block than the one that was sent")
        proven += 1
    return proven


def _is_right(index: Index, extent: Extent, copy: bytes) -> bool:
    """Whether the disk of this machine has not changed its copy."""
    try:
        open_extent(index.snapshot.meta.key_of(extent.epoch, index.use()), extent, copy)
    except Alarm:
        return False
    return True
