"""The store of one server with its pool and its sweep: opened and closed together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from certless import ConfigError
from vault.core.expiry import FRAME_S, MAX_FRAME_S, MIN_FRAME_S

from .application import INTERVAL_S, SIZE, Application
from .blocks import BlockParts
from .call import Parts
from .errors import Unavailable
from .expiring_accounts import Usernames, delete_expired, keep_with_archive, warn
from .pool import Pool
from .pool.table import TablePool
from .sweeping import ClockJumped, Sweep

_SWEEP_INTERVAL_S = 3600
_CANCEL_AGAIN_S = 5.0
_log = logging.getLogger("certless.vault")


@dataclass(frozen=True, slots=True)
class BlockOptions:
    """How blocks are stored. The fields are those of ``vault.setup``."""

    frame_s: int = FRAME_S
    pool: str | None = None
    apply_interval_s: float = INTERVAL_S
    apply_size: int = SIZE

    def check(self) -> None:
        """Raises: ConfigError."""
        if not MIN_FRAME_S <= self.frame_s <= MAX_FRAME_S:
            raise ConfigError(f"the frame must be from {MIN_FRAME_S} to {MAX_FRAME_S} seconds")
        if self.apply_interval_s <= 0 or self.apply_size < 1:
            raise ConfigError("the interval and the size of the pool must be above 0")


def pool_of(url: str | None, key_id: bytes) -> Pool:
    """The pool of the option ``pool``. Raises: ConfigError."""
    if url is None:
        return TablePool()
    try:
        from .pool.redis import RedisPool  # noqa: PLC0415 (a table needs no Redis)
    except ModuleNotFoundError:
        raise ConfigError("a pool in Redis needs redis: pip install 'certless[redis]'") from None
    return RedisPool(url, key_id)


class VaultServer:
    """The store of a vault, which ``vault.setup`` and ``certless vault sweep`` share."""

    def __init__(
        self, parts: Parts, options: BlockOptions, realm: str, usernames: Usernames | None
    ) -> None:
        """Raises: ConfigError."""
        options.check()
        self._parts = parts
        self._realm = realm
        self._usernames = usernames
        database, self._pool = parts.database, pool_of(options.pool, parts.key.id)
        interval_s, size = options.apply_interval_s, options.apply_size
        self.application = Application(database, self._pool, interval_s, size)
        changed = self.application.changed
        self.blocks = BlockParts(database, self._pool, parts.buckets, parts.key.permit, changed)
        sweep = Sweep(
            database, self._pool, self.application, parts.buckets, self._others, self._skipped
        )
        self.sweep = sweep

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Raises: ConfigError, Unavailable."""
        async with AsyncExitStack() as stack:
            await self._parts.database.open(self._parts.key.id)
            stack.push_async_callback(self._parts.database.close)
            stack.push_async_callback(self._pool.close)
            await self._pool.open()
            await self.sweep.open()
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open, apply the pool and sweep again and again, and apply the pool at the end."""
        async with self.opened():
            tasks = [
                asyncio.create_task(self.application.run()),
                asyncio.create_task(self._keep_sweeping()),
            ]
            try:
                yield
            finally:
                await _cancel(tasks)
                # The files of a server that has stopped show as little as possible.
                with suppress(Unavailable):
                    await self.application.apply()

    async def _skipped(self, last: int, present: int) -> None:
        async with self._parts.database.transaction() as transaction:
            await keep_with_archive(transaction, last, present)

    async def _others(self) -> None:
        parts = self._parts
        async with parts.database.transaction() as transaction:
            await transaction.sweep(parts.clock())
        await delete_expired(parts)
        if self._usernames is not None:
            await warn(parts, self._realm, self._usernames)

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep.sweep()
            except (ClockJumped, Unavailable) as error:
                _log.error("the vault was not swept: %s", error)
            await asyncio.sleep(_SWEEP_INTERVAL_S)


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """Wait until all tasks have ended.

    ``asyncio.wait_for`` of Python 3.11, which redis-py uses to send, can lose a cancellation.
    """
    left: Collection[asyncio.Task[None]] = tasks
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)
