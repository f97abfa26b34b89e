"""A limit for concurrent requests without a session to the upstream.

Each client address can use a share of the slots, so one client cannot take all. If clients of many
addresses use all slots and others wait, the slowest reader loses its slot.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import UpstreamFailed

from .read_rate import ReadRate

# A request that waits longer for a slot is refused.
_PATIENCE_S = 30
# Below this rate a client can lose its slot to a client that waits, ...
_SLOW_BYTES_PER_S = 65536
# ... and below this rate it always loses it.
_STOPPED_BYTES_PER_S = 1024


class PublicSlots:
    """``total`` slots. One address can use at most ``share`` of them."""

    def __init__(self, total: int, share: int) -> None:
        self._free = total
        self._share = share
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._rates: set[ReadRate] = set()

    @asynccontextmanager
    async def slot(self, address: str, rate: ReadRate) -> AsyncIterator[None]:
        """Wait for a slot and hold it. Raises: UpstreamFailed."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((address, granted))
        self._grant()
        try:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await granted
            except TimeoutError:
                raise UpstreamFailed("too many requests: try again later", is_full=True) from None
            self._rates.add(rate)
            yield
        finally:
            self._rates.discard(rate)
            if granted.done() and not granted.cancelled():
                self._free += 1
                self._held[address] -= 1
                if not self._held[address]:
                    del self._held[address]
            else:
                self._waiting.remove((address, granted))
            self._grant()

    def must_release(self, rate: ReadRate) -> bool:
        """Whether the client with ``rate`` loses its slot."""
        bytes_per_s = rate.bytes_per_s()
        if rate.is_long and bytes_per_s < _STOPPED_BYTES_PER_S:
            return True
        is_contended = not self._free and any(
            self._held[address] < self._share for address, _ in self._waiting
        )
        return (
            is_contended
            and bytes_per_s < _SLOW_BYTES_PER_S
            and bytes_per_s == min(other.bytes_per_s() for other in self._rates)
        )

    def _grant(self) -> None:
        """Grant the free slots to waiting requests, first to the address with the fewest slots."""
        while self._free:
            # A future that is done was cancelled. Its request is about to leave.
            waiting = [one for one in self._waiting if not one[1].done()]
            address, granted = min(waiting, key=lambda one: self._held[one[0]], default=("", None))
            if granted is None or self._held[address] >= self._share:
                return
            self._waiting.remove((address, granted))
            granted.set_result(None)
            self._free -= 1
            self._held[address] += 1
