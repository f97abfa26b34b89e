"""New blocks: sealed, and sent to the server or kept on the disk."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from protocol.common.primitives import sha256
from vault.core.account import AccountKey
from vault.core.block_exchanges import MAX_BLOCKS, MAX_RESERVED, NewBlock, ReservedId
from vault.core.blocks import BLOCK_SALT_BYTES, seal_block
from vault.core.streams import Extent
from vault.core.tokens import Tokens

from .folder import PART_OF_CACHE, Folder
from .reading import Opened
from .requests import IN_FLIGHT, BlockRequests

_RESERVED_AT_ONCE = 10


class Sealer(Protocol):
    """Makes new blocks. ``room`` comes before ``seal``: it waits until there is space."""

    async def room(self, blocks: int) -> None: ...

    def seal(self, data: bytes, size: int) -> Extent: ...

    async def finish(self) -> None: ...


class Ids:
    """Reserved ids. Those that no upload has are in the state of the folder."""

    def __init__(self, requests: BlockRequests, folder: Folder) -> None:
        self._requests = requests
        self._folder = folder
        self._bucket: int | None = None

    async def take(self, count: int) -> list[ReservedId]:
        """At least ``count`` ids. Raises: VaultError, NoAnswer."""
        if self._bucket is None:
            self._bucket = (await self._requests.parameters()).bucket
        state = self._folder.state
        # A permit of an earlier bucket can have expired.
        taken = [one for one, bucket in state.reserved if bucket == self._bucket]
        if state.reserved:
            # They leave the state before they are used, so that no run uses one again.
            state.reserved = []
            self._folder.save()
        if len(taken) < count:
            taken += await self._requests.reserve(count - len(taken))
        return taken

    def give_back(self, ids: list[ReservedId]) -> None:
        """Keep unused ids for a later upload or the next run."""
        if ids and self._bucket is not None:
            self._folder.state.reserved += [(one, self._bucket) for one in ids]
            self._folder.save()


class Upload:
    """Sends new blocks, several requests at a time. It raises what a request has raised."""

    def __init__(
        self,
        requests: BlockRequests,
        ids: Ids,
        folder: Folder,
        opened: Opened,
        use: Callable[[], AccountKey],
        epoch: int,
    ) -> None:
        self._requests = requests
        self._ids = ids
        self._folder = folder
        self._opened = opened
        self._use = use
        self._key = key = use()
        self._tokens = Tokens.of(key)
        self._epoch = epoch
        # Copies of a large file would push out all others.
        self._copies = folder.most // PART_OF_CACHE
        self._ready: list[ReservedId] = []
        self._reserved = _RESERVED_AT_ONCE
        self._waiting: list[NewBlock] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def room(self, blocks: int) -> None:
        """``blocks`` more can be sealed. Raises: VaultLocked, VaultError, NoAnswer."""
        # The vault stays open while there are requests.
        self._use()
        if len(self._ready) < blocks:
            self._ready += await self._ids.take(max(blocks - len(self._ready), self._reserved))
            # A long upload reserves more at once.
            self._reserved = min(2 * self._reserved, MAX_RESERVED)
        while len(self._waiting) >= MAX_BLOCKS:
            await self._start()

    def seal(self, data: bytes, size: int) -> Extent:
        reserved = self._ready.pop()
        block = seal_block(self._key, reserved.id, secrets.token_bytes(BLOCK_SALT_BYTES), data)
        hashes = self._tokens.hashes(reserved.id)
        self._waiting.append(NewBlock(reserved.id, reserved.permit, block, hashes))
        extent = Extent(reserved.id, sha256(block), self._epoch, size)
        if size != len(data):
            self._opened.add(extent, data)
        if self._copies > 0:
            self._copies -= 1
            self._folder.cache(reserved.id, block)
        return extent

    async def finish(self) -> None:
        """The server has all blocks on its disk. Raises: VaultError, NoAnswer."""
        while self._waiting:
            await self._start()
        while self._tasks:
            await self._one_done()

    async def end(self) -> None:
        """End all requests, and give unused ids back."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
        self._tasks.clear()
        self._ids.give_back(self._ready)
        self._ready = []

    async def _start(self) -> None:
        while len(self._tasks) >= IN_FLIGHT:
            await self._one_done()
        batch, self._waiting = self._waiting[:MAX_BLOCKS], self._waiting[MAX_BLOCKS:]
        self._tasks.add(asyncio.create_task(self._requests.put(batch)))

    async def _one_done(self) -> None:
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._tasks -= done
        for task in done:
            task.result()


class Keeping:
    """Keeps new blocks on the disk, under ids of its own, until there is a connection."""

    def __init__(self, folder: Folder, opened: Opened, key: AccountKey, epoch: int) -> None:
        self._folder = folder
        self._opened = opened
        self._key = key
        self._epoch = epoch

    async def room(self, blocks: int) -> None:
        """There is always space."""

    def seal(self, data: bytes, size: int) -> Extent:
        block_id = uuid.uuid4().bytes
        block = seal_block(self._key, block_id, secrets.token_bytes(BLOCK_SALT_BYTES), data)
        self._folder.keep(block_id, block)
        extent = Extent(block_id, sha256(block), self._epoch, size)
        self._opened.add(extent, data)
        return extent

    async def finish(self) -> None:
        """Each block is on the disk already."""


@asynccontextmanager
async def uploading(upload: Upload) -> AsyncIterator[Upload]:
    """``upload``, which ends with the statement."""
    try:
        yield upload
    finally:
        await upload.end()
