"""Applies the pool to the blocks: in the order of the ids, in batches (VAULT §23)."""

import asyncio
import contextlib
import logging

from .errors import Unavailable
from .pool import Entry, Kind, Pool
from .store.block_transaction import BlockTransaction
from .store.database import BlockDatabase

INTERVAL_S = 600
SIZE = 1_000
_BATCH = 500
_log = logging.getLogger("certless.vault")


class Application:
    """Applies the pool every ``interval_s`` seconds, or when it has ``size`` new changes."""

    def __init__(
        self, database: BlockDatabase, pool: Pool, interval_s: float = INTERVAL_S, size: int = SIZE
    ) -> None:
        self._database = database
        self._pool = pool
        self._interval_s = interval_s
        self._size = size
        self._changes = 0
        self._is_due = asyncio.Event()

    def changed(self, count: int) -> None:
        """Count changes that were added to the pool."""
        self._changes += count
        if self._changes >= self._size:
            self._is_due.set()

    async def run(self) -> None:
        """Apply the pool again and again, until this is cancelled."""
        while True:
            try:
                await self.apply()
            except Unavailable as error:
                # The changes stay in the pool.
                _log.warning("the changes of blocks wait: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._is_due.wait()

    async def apply(self) -> None:
        """Apply all changes that are in the pool now. Raises: Unavailable."""
        self._is_due.clear()
        self._changes = 0
        async with self._database.blocks() as at:
            ids = await self._pool.ids(at)
        for start in range(0, len(ids), _BATCH):
            async with self._database.blocks("alone") as at:
                entries = await self._pool.take(at, ids[start : start + _BATCH])
                await apply_batch(at, entries)
            await self._pool.forget(entries)
        if ids:
            await self._pool.rewrite()


async def apply_batch(at: BlockTransaction, entries: list[Entry]) -> None:
    """Apply entries in ascending order of the ids. A second time, they have no other effect."""
    blocks = [entry.block for entry in entries if entry.block is not None]
    # A put whose request was never answered can meet the deletion of its id.
    buried = await at.buried(block.id for block in blocks)
    await at.put(block for block in blocks if block.id not in buried)
    await at.renew({one.id: one.bucket for one in entries if one.kind is Kind.RENEWED})
    await at.retire({one.id: one.bucket for one in entries if one.kind is Kind.RETIRED})
