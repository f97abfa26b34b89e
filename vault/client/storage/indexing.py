"""The index of an account at a client: read, checked, changed, merged (VAULT §20, §21).

Longer than other modules because a commit needs all of it: the entries, the directory, the retired
blocks and the state on the disk.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from certless.client import NoAnswer
from protocol.common.primitives import sha256
from vault.client.api import Api
from vault.client.errors import VaultLocked, VaultRefused
from vault.client.parts import new_iv
from vault.core.account import AccountKey
from vault.core.block_exchanges import MAX_RENEWED, BlockParameters, OneBlock, PutMeta, StoredMeta
from vault.core.directory import changes, read_directory
from vault.core.errors import Alarm, RolledBack
from vault.core.expiry import bucket_of
from vault.core.index import (
    COVER_BLOCKS,
    ENTRY_ID_BYTES,
    MAX_RETIRED,
    VERSION_ID_BYTES,
    EarlierKey,
    Entry,
    EntryKind,
    Meta,
    Remembered,
    RetiredBlock,
    Version,
    Writer,
    next_epoch,
    written,
)
from vault.core.merging import merged, merged_retired
from vault.core.streams import (
    Extent,
    Part,
    Stream,
    StreamWriter,
    cut,
    leaves,
    named,
    replaced,
    resealed,
    unused,
)

from .folder import Folder
from .pending import Held, differences, read_held, write_held
from .reading import WINDOW_BYTES, Opened, Reader
from .requests import BlockRequests
from .writing import Ids, Keeping, Sealer, Upload, uploading

Entries = Mapping[bytes, Entry]
_DAY_S = 86_400
_TRIES = 16
# More than the nodes that one change of a window, or one small plan, can make.
NODES = 16


class NotHere(NoAnswer):
    """There is no connection, and this machine does not have the data."""

    def __init__(self) -> None:
        super().__init__("this machine has no copy of the data", "try again with a connection")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One meta with its entries. ``sealed`` is empty if the account has none yet."""

    meta: Meta
    sealed: bytes
    entries: dict[bytes, Entry]
    blocks: list[Part] = field(repr=False)

    @property
    def digest(self) -> bytes:
        return sha256(self.sealed) if self.sealed else b""


@dataclass(frozen=True, slots=True)
class Besides:
    """What a commit changes besides the entries."""

    renewed: int | None = None
    keys: tuple[EarlierKey, ...] | None = None
    # Write the blocks of the directory again that are of an earlier epoch.
    directory: bool = False


NOTHING = Besides()


class Index:
    """The index of one account. ``use`` gives the account key, or raises VaultLocked."""

    def __init__(
        self, api: Api, use: Callable[[], AccountKey], folder: Folder, clock: Callable[[], float]
    ) -> None:
        self._api = api
        self.use = use
        self.folder = folder
        self.clock = clock
        self.requests = BlockRequests(api)
        self._ids = Ids(self.requests, folder)
        self._opened = Opened()
        self._lock = asyncio.Lock()
        self._snapshot: Snapshot | None = None
        self._pending: dict[bytes, Held] | None = None
        # Retired blocks that the server has deleted. The next commit leaves out their records.
        self.deleted: set[bytes] = set()

    @property
    def snapshot(self) -> Snapshot:
        """The last index that was read. Raises: VaultLocked, if it was dropped meanwhile."""
        if self._snapshot is None:
            raise VaultLocked
        return self._snapshot

    @property
    def entries(self) -> dict[bytes, Entry]:
        """The entries, with the changes that were not sent yet."""
        entries = dict(self.snapshot.entries)
        for entry_id, held in (self._pending or {}).items():
            _set(entries, entry_id, held.ours)
        return entries

    @property
    def pending(self) -> frozenset[bytes]:
        """The ids of entries with changes that were not sent yet."""
        return frozenset(self._pending or ())

    @property
    def today(self) -> int:
        """Days since 1970."""
        return int(self.clock()) // _DAY_S

    def bucket(self, parameters: BlockParameters) -> int:
        """The bucket that a meta can name: never later than that of the own clock."""
        return min(parameters.bucket, bucket_of(int(self.clock()), parameters.frame_s))

    def drop(self) -> None:
        """Forget what the account key has opened."""
        self._snapshot = self._pending = None
        self._opened = Opened()

    def forget(self) -> None:
        """Forget what the last metas were, and unsent changes: for an account that is new."""
        self.drop()
        state = self.folder.state
        state.remembered, state.pending, state.seen = None, Stream(), b""
        self.folder.save()
        self.folder.release(self.folder.kept)

    def reader(self, meta: Meta | None = None) -> Reader:
        """Reads blocks of ``meta``, or of the last index."""
        chosen = self.snapshot.meta if meta is None else meta
        return Reader(self.requests, self.folder, self._opened, chosen, self.use)

    def upload(self) -> AbstractAsyncContextManager[Upload]:
        """Sends new blocks."""
        epoch = self.snapshot.meta.epoch
        return uploading(
            Upload(self.requests, self._ids, self.folder, self._opened, self.use, epoch)
        )

    def keeping(self) -> Keeping:
        """Keeps new blocks on the disk."""
        return Keeping(self.folder, self._opened, self.use(), self.snapshot.meta.epoch)

    def version(self, stream: Stream) -> Version:
        """A new version by this installation."""
        version_id = secrets.token_bytes(VERSION_ID_BYTES)
        return Version(version_id, self.folder.state.writer, self.today, stream)

    # --- reading ---------------------------------------------------------------------------------

    async def fetch(self) -> bool:
        """Read the index of the server, and send what waits. False if there is no connection.

        Raises: Alarm, VaultError; NoAnswer, if there is no connection and nothing is known.
        """
        async with self._lock:
            try:
                await self._take(await self._stored())
                await self._send_pending()
            except NoAnswer:
                if self._snapshot is None or self.folder.path is None:
                    raise
                return False
            return True

    async def _stored(self) -> bytes | None:
        return StoredMeta.parse(await self._api.signed(self.use(), "GET", "/meta")).meta

    async def _take(self, sealed: bytes | None) -> None:
        """Check and keep the meta of the server. Raises: Alarm."""
        state = self.folder.state
        if sealed is None:
            if state.remembered is not None:
                raise RolledBack("the server has no index any more: it was rolled back")
            bucket = self.bucket(await self.requests.parameters())
            self._snapshot = Snapshot(Meta(0, 1, bucket, (), (), Stream(), ()), b"", {}, [])
        elif self._snapshot is None or self._snapshot.sealed != sealed:
            key = self.use()
            meta = Meta.open(key, sealed)
            now = Remembered.of(meta, key.account)
            if state.remembered is not None:
                state.remembered.check(now)
            self._snapshot = await self._loaded(meta, sealed)
            if state.remembered != now:
                state.remembered = now
                self.folder.save()
        if self._pending is None:
            await self._read_pending()

    async def _loaded(self, meta: Meta, sealed: bytes) -> Snapshot:
        blocks, data = await self.reader(meta).whole(meta.directory)
        entries = {entry.id: entry for entry in read_directory(data)}
        return Snapshot(meta, sealed, entries, blocks)

    async def seen(self) -> Entries:
        """The entries up to which the program knows the changes; none if they are lost."""
        sealed = self.folder.state.seen
        if sealed == self.snapshot.sealed:
            return self.snapshot.entries
        key = self.use()
        earlier = (AccountKey(key.account, one.n) for one in self.snapshot.meta.keys)
        for one in (key, *earlier) if sealed else ():
            try:
                return (await self._loaded(Meta.open(one, sealed), sealed)).entries
            except Alarm:
                # Another key, or the server has deleted the blocks: they were retired.
                continue
        return {}

    def saw(self) -> None:
        """The program knows the changes up to now."""
        if self.folder.state.seen != self.snapshot.sealed:
            self.folder.state.seen = self.snapshot.sealed
            self.folder.save()

    # --- changing --------------------------------------------------------------------------------

    async def commit(self, base: Entries, ours: Entries, besides: Besides = NOTHING) -> None:
        """Put the changes from ``base`` to ``ours`` into the index of the server.

        If another device was faster, both changes are merged. Raises: Alarm, VaultError, NoAnswer.
        """
        async with self._lock:
            await self._commit(base, ours, besides)

    async def _commit(self, base: Entries, ours: Entries, besides: Besides) -> None:
        state = self.folder.state
        for _ in range(_TRIES):
            theirs = self.snapshot
            made = await self._made(theirs, base, ours, besides)
            if made is None:
                return
            # The count is on the disk before a server can show it.
            state.count = _count(made.meta.writers, state.writer)
            self.folder.save()
            body = PutMeta(theirs.digest, made.sealed).serialize()
            try:
                await self._api.signed(self.use(), "PUT", "/meta", body)
            except (NoAnswer, VaultRefused) as error:
                if isinstance(error, VaultRefused) and error.code != "conflict":
                    raise
                # The request can have had its effect, if only the response was lost.
                await self._take(await self._stored())
                if self.snapshot.sealed != made.sealed:
                    continue
            self._snapshot = made
            self.deleted -= {record.id for record in theirs.meta.retired}
            state.remembered = Remembered.of(made.meta, self.use().account)
            if state.seen == theirs.sealed:
                state.seen = made.sealed
            self.folder.save()
            return
        raise VaultRefused(409, "conflict")

    async def _made(
        self, theirs: Snapshot, base: Entries, ours: Entries, besides: Besides
    ) -> Snapshot | None:
        """The next index, whose blocks the server has; None if nothing changes."""
        entries = merged(base, ours, theirs.entries)
        if entries == theirs.entries and besides == NOTHING:
            return None
        reader = self.reader(theirs.meta)
        async with self.upload() as upload:
            if not theirs.sealed:
                cover = await self._cover(upload)
                entries[cover.id] = cover
            removed = await _removed(reader, base, ours, theirs.entries, entries)
            kept = await _used_again(reader, base, theirs.entries, entries) | self.deleted
            records = merged_retired(self._records(removed), theirs.meta.retired, kept)
            before, after = _in_order(theirs.entries), _in_order(entries)
            found = changes(theirs.blocks, before, after)
            # At most all blocks and nodes that a change touches.
            touched = sum(c.start <= part.at < c.end for c in found for part in theirs.blocks)
            depth = theirs.meta.directory.depth
            if len(records) + (touched + 1) * (depth + 1) > MAX_RETIRED:
                more = await self._spilled(upload, records)
                entries[more.id] = more
                records = ()
                found = changes(theirs.blocks, before, _in_order(entries))
            pieces = sum(len(change.pieces) for change in found)
            await upload.room(pieces + (touched + pieces + NODES) * (depth + 1))
            directory = theirs.meta.directory
            if found:
                directory = await reader.run(replaced(directory, found, upload.seal))
            if besides.directory:
                await upload.room(2 * len(theirs.blocks) + NODES)
                directory = await reader.run(
                    resealed(directory, 0, directory.size, self.is_old, upload.seal)
                )
            gone = await reader.run(unused(theirs.meta.directory, [directory]))
            records = merged_retired(self._records(gone), records, set())
            await upload.finish()
        # Blocks whose records do not fit expire.
        meta = self._next(theirs.meta, directory, records[:MAX_RETIRED], besides)
        blocks = await reader.run(leaves(directory, 0, directory.size))
        return Snapshot(meta, meta.seal(self.use(), new_iv()), entries, blocks)

    def is_old(self, extent: Extent) -> bool:
        """Whether the block was written under an earlier account key."""
        return extent.epoch < self.snapshot.meta.epoch

    def _next(
        self,
        theirs: Meta,
        directory: Stream,
        records: tuple[RetiredBlock, ...],
        besides: Besides,
    ) -> Meta:
        known = self.folder.state.remembered
        return Meta(
            max(theirs.sequence, known.sequence if known else 0) + 1,
            theirs.epoch,
            theirs.renewed if besides.renewed is None else besides.renewed,
            written(theirs.writers, self._writer(theirs)),
            theirs.keys if besides.keys is None else besides.keys,
            directory,
            records,
        )

    def _writer(self, theirs: Meta) -> Writer:
        state = self.folder.state
        return Writer(state.writer, max(state.count, _count(theirs.writers, state.writer)) + 1)

    def _records(self, extents: Iterable[Extent]) -> list[RetiredBlock]:
        return [RetiredBlock(one.id, one.epoch, self.today) for one in extents]

    async def _cover(self, upload: Upload) -> Entry:
        await upload.room(COVER_BLOCKS)
        count = 1 + secrets.randbelow(COVER_BLOCKS)
        extents = tuple(upload.seal(secrets.token_bytes(1), 1) for _ in range(count))
        return self._entry("cover", Stream(0, extents))

    async def _spilled(self, upload: Upload, records: Iterable[RetiredBlock]) -> Entry:
        """An entry with records for which the meta has no space."""
        data = b"".join(record.serialize() for record in records)
        return self._entry("retired", await stream_of(upload, data))

    def _entry(self, kind: EntryKind, stream: Stream) -> Entry:
        return Entry(new_entry_id(), kind, "", (self.version(stream),))

    async def rekeyed(self, key: AccountKey) -> tuple[bytes, bytes] | None:
        """The digest of the meta, and the same index for the new account key ``key``.

        None if the account has no meta. Raises: Alarm, VaultError, NoAnswer.
        """
        async with self._lock:
            await self._take(await self._stored())
            await self._send_pending()
            before = self.snapshot
            if not before.sealed:
                return None
            writer = self._writer(before.meta)
            self.folder.state.count = writer.count
            self.folder.save()
            meta = next_epoch(before.meta, self.use(), writer)
            return before.digest, meta.seal(key, new_iv())

    # --- without a connection --------------------------------------------------------------------

    async def hold(self, base: Entries, ours: Entries) -> None:
        """Keep the changes from ``base`` to ``ours`` on the disk, until there is a connection.

        Raises: NotHere, if this machine does not have all blocks of a changed entry.
        """
        async with self._lock:
            # Another call can have held or read something else meanwhile.
            pending = differences(self.snapshot.entries, merged(base, ours, self.entries))
            for entry_id, held in (self._pending or {}).items():
                if entry_id in pending:
                    # The change is based on what it was based on at first.
                    pending[entry_id] = Held(held.base, pending[entry_id].ours)
            for held in pending.values():
                for version in held.new_versions():
                    await self._pin(version.stream)
            stream = await stream_of(self.keeping(), write_held(pending))
            before = self.folder.state.pending
            old = await self.reader().run(named(before, 0, before.size))
            self.folder.state.pending = stream
            self.folder.save()
            self._pending = pending
            self.folder.release(one.id for one in old)

    async def _pin(self, stream: Stream) -> None:
        for low in range(0, stream.size, WINDOW_BYTES):
            try:
                extents = await self.reader().run(named(stream, low, low + WINDOW_BYTES))
            except NoAnswer:
                raise NotHere from None
            for extent in extents:
                block = self.folder.find(extent.id)
                if block is None:
                    raise NotHere
                self.folder.keep(extent.id, block)

    async def _read_pending(self) -> None:
        stream = self.folder.state.pending
        _, data = await self.reader().whole(stream)
        self._pending = read_held(data)
        if not self._pending:
            # Left by a run that ended after the changes were sent.
            self.folder.release(self.folder.kept)

    async def _send_pending(self) -> None:
        if not self._pending:
            return
        base, ours = dict(self.snapshot.entries), dict(self.snapshot.entries)
        async with self.upload() as upload:
            for entry_id, held in self._pending.items():
                if held.is_in(self.snapshot.entries.get(entry_id)):
                    # A run before has sent it, and ended before it noticed.
                    continue
                sent = held.ours
                if sent is not None:
                    new = held.new_versions()
                    versions = [
                        replace(one, stream=await self._sent(upload, one.stream))
                        if one in new
                        else one
                        for one in sent.versions
                    ]
                    sent = replace(sent, versions=tuple(versions))
                _set(base, entry_id, held.base)
                _set(ours, entry_id, sent)
            await upload.finish()
        await self._commit(base, ours, NOTHING)
        self._pending = {}
        self.folder.state.pending = Stream()
        self.folder.save()
        self.folder.release(self.folder.kept)

    async def _sent(self, upload: Upload, stream: Stream) -> Stream:
        """The stream with new blocks for those that the server does not have."""
        reader = self.reader()
        for low in range(0, stream.size, WINDOW_BYTES):
            high = min(low + WINDOW_BYTES, stream.size)
            extents = await reader.run(named(stream, low, high))
            there = await self.renew(reader, extents)
            gone = {one.id for one in extents} - there
            await upload.room(len(gone) + NODES)
            stream = await reader.run(resealed(stream, low, high, _one_of(gone), upload.seal))
        return stream

    async def renew(self, reader: Reader, blocks: Sequence[Extent | RetiredBlock]) -> set[bytes]:
        """Renew blocks; the ids of those that the server has. Raises: VaultError, NoAnswer."""

        async def some(batch: Sequence[Extent | RetiredBlock]) -> set[bytes]:
            wanted = [OneBlock(one.id, reader.tokens(one.epoch).renew(one.id)) for one in batch]
            found = await self.requests.renew(wanted)
            return {one.id for one, is_there in zip(batch, found, strict=True) if is_there}

        batches = [blocks[at : at + MAX_RENEWED] for at in range(0, len(blocks), MAX_RENEWED)]
        return set[bytes]().union(*await asyncio.gather(*map(some, batches)))


def new_entry_id() -> bytes:
    """16 random bytes."""
    return secrets.token_bytes(ENTRY_ID_BYTES)


def _one_of(ids: set[bytes]) -> Callable[[Extent], bool]:
    return lambda extent: extent.id in ids


async def stream_of(sealer: Sealer, data: bytes) -> Stream:
    """A stream with ``data``."""
    writer = StreamWriter(sealer.seal)
    for piece in cut(data):
        await sealer.room(1 + NODES)
        writer.add(piece)
    await sealer.room(NODES)
    return writer.finish()


async def _removed(
    reader: Reader, base: Entries, ours: Entries, theirs: Entries, result: Entries
) -> list[Extent]:
    """The blocks that no version needs any more, of entries that change."""
    removed: list[Extent] = []
    for entry_id in {*theirs, *ours}:
        there, after = theirs.get(entry_id), result.get(entry_id)
        if there == after:
            continue
        new = [version.stream for version in after.versions] if after else []
        before = list(there.versions) if there else []
        mine, known = ours.get(entry_id), base.get(entry_id)
        if mine is not None:
            # A new version that the merge has left out.
            before += [one for one in mine.versions if not known or one not in known.versions]
        for version in before:
            if version.stream not in new:
                removed += await reader.run(unused(version.stream, new))
    return removed


async def _used_again(
    reader: Reader, base: Entries, theirs: Entries, result: Entries
) -> set[bytes]:
    """The blocks of versions that come back although another device has retired them."""
    used: set[bytes] = set()
    for entry_id, entry in result.items():
        there = theirs.get(entry_id)
        if there == base.get(entry_id):
            continue
        for version in entry.versions:
            if there is None or version not in there.versions:
                size = version.stream.size
                used |= {one.id for one in await reader.run(named(version.stream, 0, size))}
    return used


def _count(writers: Iterable[Writer], writer_id: bytes) -> int:
    return next((writer.count for writer in writers if writer.id == writer_id), 0)


def _in_order(entries: Entries) -> list[Entry]:
    return [entries[entry_id] for entry_id in sorted(entries)]


def _set(entries: dict[bytes, Entry], entry_id: bytes, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(entry_id, None)
    else:
        entries[entry_id] = entry
