"""Blocks of an index, opened and checked: from memory, from the disk, or from the server."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from vault.core.account import AccountKey
from vault.core.block_exchanges import MAX_BLOCKS, OneBlock
from vault.core.errors import Alarm
from vault.core.index import Meta
from vault.core.streams import Extent, Part, Plan, Stream, check_leaf, leaves, open_extent
from vault.core.tokens import BLOCK_BYTES, Tokens

from .folder import PART_OF_CACHE, Folder
from .requests import IN_FLIGHT, BlockRequests

Result = TypeVar("Result")

# The data of nodes and of the directory that stays in memory: 4 MiB.
_OPENED = 256
# A stream is read in windows: 256 blocks.
WINDOW_BYTES = 4 * 1024 * 1024


class Opened:
    """The data of nodes and of blocks of the directory, by id and digest, with a limit."""

    def __init__(self) -> None:
        self._data: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, extent: Extent) -> bytes | None:
        found = self._data.get(extent.id + extent.digest)
        if found is not None:
            self._data.move_to_end(extent.id + extent.digest)
        return found

    def add(self, extent: Extent, data: bytes) -> None:
        self._data[extent.id + extent.digest] = data
        while len(self._data) > _OPENED:
            self._data.popitem(last=False)


class Reader:
    """Reads the blocks of one meta. ``use`` gives the present account key, or VaultLocked."""

    def __init__(
        self,
        requests: BlockRequests,
        folder: Folder,
        opened: Opened,
        meta: Meta,
        use: Callable[[], AccountKey],
    ) -> None:
        self._requests = requests
        self._folder = folder
        self._opened = opened
        self._meta = meta
        self._use = use
        self._tokens: dict[int, Tokens] = {}

    def tokens(self, epoch: int) -> Tokens:
        """The tokens of the blocks that were written in ``epoch``. Raises: Forged, VaultLocked."""
        if epoch not in self._tokens:
            self._tokens[epoch] = Tokens.of(self._meta.key_of(epoch, self._use()))
        return self._tokens[epoch]

    async def run(self, plan: Plan[Result]) -> Result:
        """Give ``plan`` the data that it asks for. Raises: Alarm, VaultError, NoAnswer."""
        data: Sequence[bytes] | None = None
        while True:
            try:
                wanted = next(plan) if data is None else plan.send(data)
            except StopIteration as end:
                result: Result = end.value
                return result
            data = await self._for_plan(wanted)

    async def whole(self, stream: Stream) -> tuple[list[Part], bytes]:
        """The blocks of data of a short stream, and its bytes."""
        parts = await self.run(leaves(stream, 0, stream.size))
        data = await self._for_plan([part.extent for part in parts])
        for part, piece in zip(parts, data, strict=True):
            check_leaf(part.extent, piece)
        return parts, b"".join(data)

    async def bytes_of(self, stream: Stream, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to ``end``, some blocks at a time, with a bounded memory.

        Raises: Alarm, VaultError, NoAnswer.
        """
        # Copies of a large file would push out all others.
        cached = stream.size * PART_OF_CACHE <= self._folder.most * BLOCK_BYTES
        under_way: deque[tuple[list[Part], asyncio.Task[list[bytes]]]] = deque()
        try:
            async for parts in self._batches(stream, start, end):
                extents = [part.extent for part in parts]
                task = asyncio.create_task(self._data(extents, cached=cached))
                under_way.append((parts, task))
                while len(under_way) > IN_FLIGHT:
                    yield _clipped(*await _next(under_way), start, end)
            while under_way:
                yield _clipped(*await _next(under_way), start, end)
        finally:
            for _, task in under_way:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _batches(self, stream: Stream, start: int, end: int) -> AsyncIterator[list[Part]]:
        for low in range(start, end, WINDOW_BYTES):
            high = min(low + WINDOW_BYTES, end)
            parts = await self.run(leaves(stream, low, high))
            # A block that begins before the window was in the one before.
            mine = [part for part in parts if part.at >= low or low == start]
            for at in range(0, len(mine), MAX_BLOCKS):
                yield mine[at : at + MAX_BLOCKS]

    async def _data(self, extents: Sequence[Extent], *, cached: bool = True) -> list[bytes]:
        """The data of at most 32 blocks. Raises: Alarm, VaultError, NoAnswer."""
        found: dict[Extent, bytes] = {}
        for extent in extents:
            block = self._folder.find(extent.id)
            if block is not None:
                try:
                    found[extent] = self._open(extent, block)
                except Alarm:
                    # The disk has changed it. The server has it too.
                    self._folder.drop(extent.id)
        missing = [extent for extent in extents if extent not in found]
        if missing:
            for extent, block in zip(missing, await self._got(missing), strict=True):
                found[extent] = self._open(extent, block)
                if cached:
                    self._folder.cache(extent.id, block)
        return [found[extent] for extent in extents]

    async def _got(self, extents: Sequence[Extent]) -> list[bytes]:
        """The blocks of the server, empty if it has none. A renewal brings archived ones back."""
        wanted = [OneBlock(one.id, self.tokens(one.epoch).read(one.id)) for one in extents]
        blocks = list(await self._requests.get(wanted))
        absent = [number for number, block in enumerate(blocks) if not block]
        if absent:
            asked = [extents[number] for number in absent]
            renewals = [OneBlock(one.id, self.tokens(one.epoch).renew(one.id)) for one in asked]
            renewed = await self._requests.renew(renewals)
            back = [number for number, is_there in zip(absent, renewed, strict=True) if is_there]
            again = await self._requests.get([wanted[one] for one in back]) if back else ()
            for number, block in zip(back, again, strict=True):
                blocks[number] = block
        return blocks

    async def _for_plan(self, extents: Sequence[Extent]) -> list[bytes]:
        found = {one: data for one in extents if (data := self._opened.get(one)) is not None}
        missing = [extent for extent in extents if extent not in found]
        groups = [missing[at : at + MAX_BLOCKS] for at in range(0, len(missing), MAX_BLOCKS)]
        loaded = await asyncio.gather(*(self._data(group) for group in groups))
        for group, pieces in zip(groups, loaded, strict=True):
            for extent, data in zip(group, pieces, strict=True):
                found[extent] = data
                self._opened.add(extent, data)
        return [found[extent] for extent in extents]

    def _open(self, extent: Extent, block: bytes) -> bytes:
        return open_extent(self._meta.key_of(extent.epoch, self._use()), extent, block)


async def _next(
    under_way: deque[tuple[list[Part], asyncio.Task[list[bytes]]]],
) -> tuple[list[Part], list[bytes]]:
    parts, task = under_way[0]
    data = await task
    under_way.popleft()
    return parts, data


def _clipped(parts: list[Part], data: list[bytes], start: int, end: int) -> bytes:
    """The bytes of ``parts`` from ``start`` to ``end`` of their stream."""
    pieces = [
        check_leaf(part.extent, piece)[max(start - part.at, 0) : max(end - part.at, 0)]
        for part, piece in zip(parts, data, strict=True)
    ]
    return b"".join(pieces)
