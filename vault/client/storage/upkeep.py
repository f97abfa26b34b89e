"""What a client does besides changes: retire, renew, write again (VAULT §20, §22).

Each step can stop at any time, and the next run goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vault.core.block_exchanges import MAX_RENEWED, OneBlock
from vault.core.errors import Missing
from vault.core.index import RETIRED_BYTES, Entry, RetiredBlock, Version, retired_blocks
from vault.core.streams import Stream, named, resealed

from .indexing import NODES, Besides, Index
from .reading import WINDOW_BYTES

GRACE_DAYS = 7
# After so many new blocks, a commit keeps what was written again.
_BLOCKS_A_COMMIT = 1_024


async def retire(index: Index) -> None:
    """Delete the blocks that no stream has needed for 7 days."""
    due = [
        record
        for record in index.snapshot.meta.retired
        if record.day + GRACE_DAYS <= index.today and record.id not in index.deleted
    ]
    await _delete(index, due)
    for entry in list(index.snapshot.entries.values()):
        if entry.kind == "retired" and entry.versions[-1].day + GRACE_DAYS <= index.today:
            await _retire_spilled(index, entry)


async def _retire_spilled(index: Index, entry: Entry) -> None:
    used: set[bytes] = set()
    # A merge can have brought back a block whose record is here.
    for stream in _streams(index):
        for low in range(0, stream.size, WINDOW_BYTES):
            found = await index.reader().run(named(stream, low, low + WINDOW_BYTES))
            used |= {extent.id for extent in found}
    reader = index.reader()
    for version in entry.versions:
        rest = b""
        async for data in reader.bytes_of(version.stream, 0, version.stream.size):
            rest += data
            whole = len(rest) - len(rest) % RETIRED_BYTES
            records = retired_blocks(rest[:whole])
            rest = rest[whole:]
            await _delete(index, [record for record in records if record.id not in used])
    base = index.snapshot.entries
    await index.commit(base, {key: one for key, one in base.items() if key != entry.id})


async def _delete(index: Index, records: Sequence[RetiredBlock]) -> None:
    reader = index.reader()
    for at in range(0, len(records), MAX_RENEWED):
        batch = records[at : at + MAX_RENEWED]
        wanted = [OneBlock(one.id, reader.tokens(one.epoch).write(one.id)) for one in batch]
        await index.requests.retire(wanted)
        index.deleted |= {record.id for record in batch}


async def renew(index: Index, bucket: int) -> None:
    """Renew all blocks, once in each bucket. Raises: Missing.

    ``bucket`` is the smaller one of the server's bucket and that of the own clock. If the meta has
    a later one, a clock was wrong or the server lied, so the blocks can be older than it says.
    """
    base = index.snapshot
    if not base.sealed or bucket <= base.meta.renewed <= bucket + 1:
        return
    reader = index.reader()
    for stream in (base.meta.directory, *_streams(index)):
        for low in range(0, stream.size, WINDOW_BYTES):
            extents = await reader.run(named(stream, low, low + WINDOW_BYTES))
            if len(await index.renew(reader, extents)) < len(extents):
                raise Missing("the server does not have a block that the index names")
    await index.renew(reader, base.meta.retired)
    await index.commit(base.entries, base.entries, Besides(renewed=bucket))


async def write_again(index: Index) -> None:
    """Write the blocks of earlier account keys again, and then forget these keys."""
    if not index.snapshot.meta.keys:
        return
    batch = _Batch(index)
    for entry_id, entry in list(index.snapshot.entries.items()):
        for version in entry.versions:
            await _write_version_again(batch, entry_id, version.id)
    await batch.commit()
    meta = index.snapshot.meta
    directory = await index.reader().run(named(meta.directory, 0, meta.directory.size))
    entries = index.snapshot.entries
    if any(map(index.is_old, directory)):
        await index.commit(entries, entries, Besides(directory=True))
    meta, entries = index.snapshot.meta, index.snapshot.entries
    if any(entry.kind == "retired" for entry in entries.values()):
        # Records in it can be of any epoch.
        return
    needed = {record.epoch for record in meta.retired if record.id not in index.deleted}
    keys = tuple(key for key in meta.keys if key.epoch in needed)
    if keys != meta.keys:
        await index.commit(entries, entries, Besides(keys=keys))


class _Batch:
    """Changed entries, which go into the index after some number of new blocks."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._begin()

    def _begin(self) -> None:
        self._base = self.index.snapshot.entries
        self.entries = dict(self._base)
        self._blocks = 0

    async def add(self, entry: Entry, blocks: int) -> None:
        self.entries[entry.id] = entry
        self._blocks += blocks
        if self._blocks >= _BLOCKS_A_COMMIT:
            await self.commit()

    async def commit(self) -> None:
        if self._blocks:
            await self.index.commit(self._base, self.entries)
        self._begin()


async def _write_version_again(batch: _Batch, entry_id: bytes, version_id: bytes) -> None:
    index = batch.index
    low = 0
    while (entry := batch.entries.get(entry_id)) and (version := _of(entry, version_id)):
        stream = version.stream
        if low >= stream.size:
            break
        high = min(low + WINDOW_BYTES, stream.size)
        reader = index.reader()
        old = [one for one in await reader.run(named(stream, low, high)) if index.is_old(one)]
        if old:
            async with index.upload() as upload:
                await upload.room(len(old) + NODES)
                stream = await reader.run(resealed(stream, low, high, index.is_old, upload.seal))
                await upload.finish()
            changed = replace(version, stream=stream)
            versions = tuple(changed if one is version else one for one in entry.versions)
            await batch.add(replace(entry, versions=versions), len(old))
        low = high


def _of(entry: Entry, version_id: bytes) -> Version | None:
    return next((version for version in entry.versions if version.id == version_id), None)


def _streams(index: Index) -> Iterator[Stream]:
    for entry in list(index.snapshot.entries.values()):
        for version in entry.versions:
            yield version.stream
