"""The sweep: archive, purge, and the guard against a wrong clock (VAULT §22)."""

from collections.abc import Awaitable, Callable

from certless import ConfigError
from vault.core.errors import VaultError

from .application import Application
from .buckets import Buckets
from .pool import Pool
from .store.block_transaction import KeptExpiry
from .store.database import BlockDatabase

_BATCH = 500


class ClockJumped(VaultError):
    """The clock names a bucket that cannot follow that of the last sweep."""


class Sweep:
    """Sweeps the blocks, after the pool is applied, and then everything else."""

    def __init__(
        self,
        database: BlockDatabase,
        pool: Pool,
        application: Application,
        buckets: Buckets,
        others: Callable[[], Awaitable[None]],
        skipped: Callable[[int, int], Awaitable[None]],
    ) -> None:
        """``others`` sweeps the accounts. It is called only if the clock is right.

        ``skipped`` is called before that, with the buckets of the last sweep and of this one, if
        there was no sweep in a bucket between them.
        """
        self._database = database
        self._pool = pool
        self._application = application
        self._buckets = buckets
        self._others = others
        self._skipped = skipped

    async def open(self) -> None:
        """Read the bucket of the last sweep. Raises: ConfigError, Unavailable."""
        frame_s = self._buckets.frame_s
        async with self._database.blocks("alone") as at:
            kept = await at.expiry()
            if kept is None:
                kept = KeptExpiry(frame_s, None)
                await at.keep_expiry(kept)
        if kept.frame_s != frame_s:
            raise ConfigError(
                f"the vault's database has buckets of {kept.frame_s} s, and the frame is set to "
                f"{frame_s} s: set it to {kept.frame_s}"
            )
        self._buckets.floor = kept.bucket or 0

    async def sweep(self, *, is_confirmed: bool = False) -> None:
        """Archive and delete what has expired.

        ``is_confirmed`` says that a person has confirmed the time.
        Raises: ClockJumped, Unavailable.
        """
        await self._application.apply()
        present = self._buckets.of_clock()
        async with self._database.blocks("alone") as at:
            kept = await at.expiry()
            last = None if kept is None else kept.bucket
            if last is not None and not last <= present <= last + 1 and not is_confirmed:
                raise ClockJumped(
                    f"the clock of this server names the bucket {present} after {last}, so the "
                    "vault deletes nothing: set the clock, or, if it is right, run: certless vault "
                    "sweep --confirm-clock"
                )
        if last is not None and present > last + 1:
            # Before the bucket is stored: a sweep that stops here begins again.
            await self._skipped(last, present)
        async with self._database.blocks("alone") as at:
            await at.keep_expiry(KeptExpiry(self._buckets.frame_s, present))
        self._buckets.floor = present
        await self._archive(present)
        await self._purge(present)
        async with self._database.blocks("alone") as at:
            await at.forget_tombstones(present - 1)
        await self._others()

    async def _archive(self, present: int) -> None:
        moved = _BATCH
        while moved == _BATCH:
            async with self._database.blocks("alone") as at:
                moved = await at.archive(present - 1, present, _BATCH)

    async def _purge(self, present: int) -> None:
        last = b""
        while True:
            async with self._database.blocks("alone") as at:
                ids = await at.expired(present - 1, last, _BATCH)
                # A renewal that was answered after the application brings its block back.
                kept = await self._pool.find(at, ids)
                await at.purge([one for one in ids if one not in kept])
            if len(ids) < _BATCH:
                return
            last = ids[-1]
