"""Files and notes in the vault: ``put``, ``get``, ``list``, ``edit``, ``remove``, ``sync``.

::

    async with vault.files(folder) as files:
        await files.put("recipes", "flour, eggs", kind="note")
        await files.edit("recipes", 5, 5, " 500 g")
        print(await files.text("recipes"))
        await files.sync()

``folder`` keeps what the client remembers between runs: without it, a new run cannot notice that
the server went back to an older index, and nothing can be changed without a connection. Only one
program uses a folder at a time.

**Alarms.** Each method can raise an ``Alarm``: the server shows something that it must not. Its
``name`` is ``forged``, ``rolled_back``, ``forked``, ``missing`` or ``swapped`` (VAULT §21.1). The
client keeps its state, so the next call raises the alarm again.

**Two versions.** If two devices change a file and do not know of each other, it has two versions.
``get`` gives the newest one. ``put`` and ``edit`` refuse with ``Unresolved`` until ``resolve``
chooses one. If a program shows a version to a person and stores what they make of it, it names
this version as ``base``: then no change by another device is lost in between.

**Without a connection.** If there was a connection before, and there is a folder, then ``put``,
``edit``, ``rename``, ``resolve`` and ``remove`` keep the change on the disk, and
``File.is_pending`` is true. The next call with a connection sends it. ``get`` and ``edit`` raise
``NotHere`` if this machine has no copy of the data.

The module is long because it is the whole interface. What it does is in ``storage/``.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from certless.client import NoAnswer
from vault.core.account import AccountKey
from vault.core.block_exchanges import BlockParameters
from vault.core.blocks import MAX_DATA_BYTES
from vault.core.errors import Malformed, VaultError
from vault.core.expiry import bucket_of, safe_until_s
from vault.core.index import Entry, Version, words
from vault.core.streams import Stream, StreamWriter, splice

from .api import Api
from .storage import upkeep
from .storage.checking import Checked, check_blocks
from .storage.folder import Folder
from .storage.indexing import NODES, Index, new_entry_id
from .storage.writing import Sealer

Kind: TypeAlias = Literal["note", "file"]
# Bytes, text (in UTF-8), or pieces of any length.
Data: TypeAlias = bytes | str | AsyncIterable[bytes]
# Called with the number of bytes that are done.
Progress: TypeAlias = Callable[[int], None]

CACHE_BYTES = 64 * 1024 * 1024


class NoSuchFile(VaultError):
    """There is no file or version of this name."""

    def __init__(self) -> None:
        super().__init__("there is no such file in the vault: list the files")


class Unresolved(VaultError):
    """A file has several versions."""

    def __init__(self) -> None:
        super().__init__("the file has several versions: look at them, then resolve it with one")


class Outdated(VaultError):
    """The version that a change is based on is not the only one any more."""

    def __init__(self) -> None:
        super().__init__("another device has changed the file meanwhile: put it with its base")


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of the data. ``is_mine`` says whether this installation has written it."""

    id: bytes
    size: int
    day: int
    is_mine: bool


@dataclass(frozen=True, slots=True)
class File:
    """A file or a note. ``versions`` has the newest one first; more than one is a conflict.

    ``is_pending`` says whether changes of it were not sent yet.
    """

    name: str = field(repr=False)
    kind: Kind
    versions: tuple[FileVersion, ...]
    is_pending: bool

    @property
    def size(self) -> int:
        """The length of the newest version in bytes."""
        return self.versions[0].size

    @property
    def day(self) -> int:
        """Days since 1970 at which the newest version was written."""
        return self.versions[0].day


@dataclass(frozen=True, slots=True)
class Changed:
    """A change by another device."""

    name: str = field(repr=False)
    what: Literal["added", "changed", "removed"]


class Files:
    """The files of an unlocked vault. Use it with ``async with``; ``Vault.files`` makes it."""

    def __init__(
        self,
        api: Api,
        use: Callable[[], AccountKey],
        folder: Path | None,
        cache_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._folder = Folder(folder, cache_bytes)
        self._index = Index(api, use, self._folder, clock)
        self._clock_differs = False
        self._safe_until_s: int | None = None

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Lock and read the folder. Raises: FolderInUse, FolderNotReadable, OSError."""
        self._folder.open()

    def close(self) -> None:
        """Unlock the folder. Unsent changes stay in it."""
        self._folder.close()

    # --- reading ---------------------------------------------------------------------------------

    async def list(self) -> tuple[File, ...]:
        """All files and notes, by name. Raises: Alarm, VaultError."""
        await self._index.fetch()
        names = sorted({entry.name for entry in self._index.entries.values() if _is_file(entry)})
        return tuple(self._file(name) for name in names)

    async def file(self, name: str) -> File:
        """One file. Raises: NoSuchFile, Alarm, VaultError."""
        await self._index.fetch()
        return self._file(name)

    async def get(self, name: str, *, version: bytes | None = None) -> bytes:
        """The whole data, in memory. ``version`` is the id of one; the newest one unless set.

        Raises: NoSuchFile, NotHere, Alarm, VaultError.
        """
        pieces = [piece async for piece in self.stream(name, version=version)]
        return b"".join(pieces)

    async def text(self, name: str, *, version: bytes | None = None) -> str:
        """The data of a note. Raises: as ``get``; UnicodeDecodeError, if it is not text."""
        return (await self.get(name, version=version)).decode()

    async def stream(
        self,
        name: str,
        start: int = 0,
        end: int | None = None,
        *,
        version: bytes | None = None,
        progress: Progress | None = None,
    ) -> AsyncIterator[bytes]:
        """The data from ``start`` to ``end``, in pieces. It needs little memory for any length.

        Each piece was checked, but a later one can raise an Alarm. Raises: as ``get``.
        """
        await self._index.fetch()
        stream = _chosen(_named(self._index.entries, name), version).stream
        last = stream.size if end is None else min(end, stream.size)
        done = 0
        async for piece in self._index.reader().bytes_of(stream, start, last):
            done += len(piece)
            if progress is not None:
                progress(done)
            yield piece

    async def changes(self) -> tuple[Changed, ...]:
        """What other devices have changed since the last call, also in an earlier run; by name.

        Raises: Alarm, VaultError.
        """
        await self._index.fetch()
        before, after = await self._index.seen(), self._index.snapshot.entries
        found = []
        for entry_id in sorted({*before, *after}):
            here, there = before.get(entry_id), after.get(entry_id)
            what = self._change(here, there)
            entry = there or here
            if what is not None and entry is not None:
                found.append(Changed(entry.name, what))
        self._index.saw()
        return tuple(sorted(found, key=lambda change: change.name))

    async def words(self) -> str:
        """Four words of the index. Two devices with the same words have the same index.

        Compare them on a new device with those of another one. Raises: Alarm, VaultError.
        """
        await self._index.fetch()
        meta = self._index.snapshot.meta
        return " ".join(words(meta.root(self._index.use().account))) if meta.sequence else ""

    # --- changing --------------------------------------------------------------------------------

    async def put(
        self,
        name: str,
        data: Data,
        *,
        kind: Kind = "file",
        base: bytes | None = None,
        progress: Progress | None = None,
    ) -> File:
        """Write a new file, or replace all data of a file. The server has it when this returns.

        It needs little memory for any length of ``data``. ``kind`` is for a new file. ``base`` is
        the id of the version that ``data`` replaces. If there are other versions, they stay.
        Raises: Unresolved, unless there is a ``base``; Alarm, VaultError, NoAnswer.
        """
        async with self._changing() as change:
            before = change.one(name) if base is None else change.with_version(name, base)
            stream = await _written(change.sealer, data, progress)
            version = self._index.version(stream)
            if before is None:
                change.set(Entry(new_entry_id(), kind, name, (version,)))
            else:
                others = [one for one in before.versions if base is not None and one.id != base]
                versions = sorted((*others, version), key=lambda one: one.id)
                change.set(replace(before, versions=tuple(versions)))
        return self._file(name)

    async def edit(
        self, name: str, start: int, end: int, data: bytes | str, *, base: bytes | None = None
    ) -> File:
        """Replace the bytes from ``start`` to ``end`` by ``data``, which can have another length.

        Only the blocks around the change are sent. ``base`` is the id of the version that
        ``start`` and ``end`` are of. Raises: NoSuchFile, Unresolved, NotHere, Alarm, VaultError,
        NoAnswer; Outdated, if ``base`` is not the version; Malformed, for a range outside of the
        file.
        """
        written = data.encode() if isinstance(data, str) else data
        async with self._changing() as change:
            before = change.needed(name)
            if base not in (None, before.versions[0].id):
                raise Outdated
            stream = before.versions[0].stream
            await change.sealer.room(len(written) // MAX_DATA_BYTES * 2 + 4 + NODES)
            reader = self._index.reader()
            stream = await reader.run(splice(stream, start, end, written, change.sealer.seal))
            change.set(replace(before, versions=(self._index.version(stream),)))
        return self._file(name)

    async def rename(self, name: str, new: str) -> File:
        """Give a file another name, which no file has. Raises: NoSuchFile, VaultError, NoAnswer."""
        async with self._changing() as change:
            for entry in change.all(name):
                change.set(replace(entry, name=new))
        return self._file(new)

    async def remove(self, name: str) -> None:
        """Remove a file with all versions. Raises: NoSuchFile, Alarm, VaultError, NoAnswer."""
        async with self._changing() as change:
            for entry in change.all(name):
                change.delete(entry)

    async def resolve(self, name: str, version: bytes) -> File:
        """Keep one version, and drop the others. ``version`` is its id.

        Raises: NoSuchFile, Alarm, VaultError, NoAnswer.
        """
        async with self._changing() as change:
            entries = change.all(name)
            stream = _chosen(entries, version).stream
            for entry in entries[1:]:
                change.delete(entry)
            change.set(replace(entries[0], versions=(self._index.version(stream),)))
        return self._file(name)

    # --- upkeep ----------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Send what waits, get what is new, renew, and delete blocks that nothing needs.

        After a new account key, it also writes the blocks under earlier keys again. It can be
        interrupted at any time, and the next call goes on. Raises: Alarm, VaultError, NoAnswer.
        """
        if not await self._index.fetch():
            raise NoAnswer("there is no connection")
        parameters = await self._index.requests.parameters()
        await upkeep.retire(self._index)
        await upkeep.renew(self._index, self._index.bucket(parameters))
        await upkeep.write_again(self._index)
        self._took(parameters)

    async def check(self, progress: Progress | None = None) -> Checked:
        """Ask the server whether it still has all blocks; changes nothing.

        Without a copy of a block on this machine, the server is believed. To read and check
        everything, use ``stream`` for each file. ``progress`` gets the number of blocks.
        Raises: VaultError, NoAnswer; Alarm, for the index.
        """
        if not await self._index.fetch():
            raise NoAnswer("there is no connection")
        self._took(await self._index.requests.parameters())
        return await check_blocks(self._index, progress)

    def _took(self, parameters: BlockParameters) -> None:
        now = bucket_of(int(self._index.clock()), parameters.frame_s)
        self._clock_differs = abs(now - parameters.bucket) > 1
        renewed = self._index.snapshot.meta.renewed
        self._safe_until_s = safe_until_s(renewed, parameters.frame_s)

    @property
    def safe_until_s(self) -> int | None:
        """The data is safe at least until this time, in seconds since 1970.

        ``sync`` and ``check`` set it.
        """
        return self._safe_until_s

    @property
    def clock_differs(self) -> bool:
        """The clock of the server or of this machine is wrong. Set by ``sync`` and ``check``."""
        return self._clock_differs

    def forget(self) -> None:
        """Forget the last index, and unsent changes: after a reset, or to accept an alarm."""
        self._index.forget()

    # --- for Vault -------------------------------------------------------------------------------

    def drop(self) -> None:
        """Forget what the account key has opened. ``Vault.lock`` calls it."""
        self._index.drop()

    async def rekeyed(self, key: AccountKey) -> tuple[bytes, bytes] | None:
        """For ``Vault.rekey``: the digest of the meta, and the index for ``key``."""
        return await self._index.rekeyed(key)

    # --- parts -----------------------------------------------------------------------------------

    def _file(self, name: str) -> File:
        """Raises: NoSuchFile."""
        entries = _named(self._index.entries, name)
        if not entries:
            raise NoSuchFile
        mine = self._index.folder.state.writer
        versions = tuple(
            FileVersion(one.id, one.stream.size, one.day, one.writer == mine)
            for one in _newest_first(entries)
        )
        kind: Kind = "note" if entries[0].kind == "note" else "file"
        is_pending = any(entry.id in self._index.pending for entry in entries)
        return File(name, kind, versions, is_pending)

    def _change(
        self, before: Entry | None, after: Entry | None
    ) -> Literal["added", "changed", "removed"] | None:
        """What another device has done to an entry."""
        if before == after or not _is_file(before or after):
            return None
        if after is None:
            return "removed"
        mine = self._index.folder.state.writer
        known = before.versions if before else ()
        new = [one for one in after.versions if one not in known]
        if new and all(one.writer == mine for one in new):
            return None
        return "changed" if before else "added"

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator["_Change"]:
        """One change. It is sent, or kept on the disk, if the statement ends without an error."""
        index = self._index
        is_online = await index.fetch()
        base = index.entries
        ours = dict(base)
        if is_online:
            async with index.upload() as upload:
                yield _Change(ours, upload)
                await upload.finish()
            await index.commit(base, ours)
        else:
            yield _Change(ours, index.keeping())
            await index.hold(base, ours)


@dataclass(frozen=True, slots=True)
class _Change:
    """The entries, which the change replaces in place, and the maker of its new blocks."""

    entries: dict[bytes, Entry]
    sealer: Sealer

    def one(self, name: str) -> Entry | None:
        """The entry to change, or None. Raises: Unresolved."""
        named = _named(self.entries, name)
        if len(named) > 1 or any(len(entry.versions) > 1 for entry in named):
            raise Unresolved
        return named[0] if named else None

    def needed(self, name: str) -> Entry:
        """Raises: NoSuchFile, Unresolved."""
        entry = self.one(name)
        if entry is None:
            raise NoSuchFile
        return entry

    def with_version(self, name: str, version_id: bytes) -> Entry | None:
        """The entry with this version; else the first of this name, or None."""
        named = _named(self.entries, name)
        for entry in named:
            if any(version.id == version_id for version in entry.versions):
                return entry
        return named[0] if named else None

    def all(self, name: str) -> tuple[Entry, ...]:
        """The entries of this name. Raises: NoSuchFile."""
        named = _named(self.entries, name)
        if not named:
            raise NoSuchFile
        return named

    def set(self, entry: Entry) -> None:
        """Raises: Malformed, for a name that no reader takes."""
        if not entry.name:
            raise Malformed("a file has a name")
        entry.serialize()
        self.entries[entry.id] = entry

    def delete(self, entry: Entry) -> None:
        del self.entries[entry.id]


async def _written(sealer: Sealer, data: Data, progress: Progress | None) -> Stream:
    """A new stream with ``data``. Raises: TooLarge, VaultError, NoAnswer."""
    writer = StreamWriter(sealer.seal)
    done = 0
    async for piece in _blocks(data):
        await sealer.room(1 + NODES)
        writer.add(piece)
        done += len(piece)
        if progress is not None:
            progress(done)
    await sealer.room(NODES)
    return writer.finish()


async def _blocks(data: Data) -> AsyncIterator[bytes]:
    """``data`` in pieces of the length of a block; the last one can be shorter."""
    rest = bytearray()
    async for piece in _pieces(data):
        rest += piece
        while len(rest) >= MAX_DATA_BYTES:
            yield bytes(rest[:MAX_DATA_BYTES])
            del rest[:MAX_DATA_BYTES]
    if rest:
        yield bytes(rest)


async def _pieces(data: Data) -> AsyncIterator[bytes]:
    if isinstance(data, str):
        yield data.encode()
    elif isinstance(data, bytes):
        # Small pieces, so that the buffer of a block stays small.
        for at in range(0, len(data), MAX_DATA_BYTES):
            yield data[at : at + MAX_DATA_BYTES]
    else:
        async for piece in data:
            yield piece


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.kind in ("note", "file")


def _named(entries: Mapping[bytes, Entry], name: str) -> tuple[Entry, ...]:
    """The files of this name. They are more than one if two devices have added it."""
    found = (entries[key] for key in sorted(entries))
    return tuple(entry for entry in found if _is_file(entry) and entry.name == name)


def _newest_first(entries: Iterable[Entry]) -> list[Version]:
    versions = (version for entry in entries for version in entry.versions)
    return sorted(versions, key=lambda version: (version.day, version.id), reverse=True)


def _chosen(entries: Sequence[Entry], version: bytes | None) -> Version:
    """The version with this id, or the newest one. Raises: NoSuchFile."""
    for one in _newest_first(entries):
        if version in (None, one.id):
            return one
    raise NoSuchFile
