"""Places at the upstream for visitors without a session.

An address has a share of them, so that one visitor cannot have all. Where visitors of many
addresses have all, and others wait, whoever reads slowest has to go.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import UpstreamFailed

from .reading import Reading

# Who waits longer hears that there is no place.
_PATIENCE_S = 30
# Who reads slower may be asked to leave when others wait, ...
_SLOW_BYTES_PER_S = 65536
# ... and goes in any case below this.
_STOPPED_BYTES_PER_S = 1024


class UpstreamSlots:
    """``total`` places, of which one address has ``share`` at most."""

    def __init__(self, total: int, share: int) -> None:
        self._free = total
        self._share = share
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._readings: set[Reading] = set()

    @asynccontextmanager
    async def place(self, address: str, reading: Reading) -> AsyncIterator[None]:
        """One of them, when there is one. Raises: UpstreamFailed."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((address, turn))
        self._give()
        try:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await turn
            except TimeoutError:
                raise UpstreamFailed("there is no room: come again later", is_full=True) from None
            self._readings.add(reading)
            yield
        finally:
            self._readings.discard(reading)
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._held[address] -= 1
                if not self._held[address]:
                    del self._held[address]
            else:
                self._waiting.remove((address, turn))
            self._give()

    def has_to_go(self, reading: Reading) -> bool:
        """Whether the visitor of ``reading`` makes room for others."""
        rate = reading.bytes_per_s()
        if reading.is_long and rate < _STOPPED_BYTES_PER_S:
            return True
        is_pressed = not self._free and any(
            self._held[address] < self._share for address, _ in self._waiting
        )
        return (
            is_pressed
            and rate < _SLOW_BYTES_PER_S
            and rate == min(other.bytes_per_s() for other in self._readings)
        )

    def _give(self) -> None:
        """Places that are free to those who wait, first to whose address has fewest."""
        while self._free:
            # One that is done has been given up, and is about to leave.
            waiting = [one for one in self._waiting if not one[1].done()]
            address, turn = min(waiting, key=lambda one: self._held[one[0]], default=("", None))
            if turn is None or self._held[address] >= self._share:
                return
            self._waiting.remove((address, turn))
            turn.set_result(None)
            self._free -= 1
            self._held[address] += 1
