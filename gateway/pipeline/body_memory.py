"""A limit for the memory of all bodies from clients that are not authenticated yet.

At the limit one body is dropped: one that has stopped or arrives slowly, from the address with the
most memory in use. A body at a good rate is dropped only if there is no slow one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import TooManyBodies
from gateway.policy.client_address import block_of

# The limit of a process. A few bodies of the largest allowed size always fit.
_MOST_BYTES = 128 << 20
_MOST_WHOLE = 4
# Every connection costs about this much, so a small body may be slow and is not dropped.
SMALL_BYTES = 16_384
# A body that arrives below this rate for this long is slow.
_SLOW_BYTES_PER_S = 65_536
_SLOW_AFTER_S = 2


class Pace:
    """The time until which more bytes must arrive, for a minimum rate."""

    def __init__(self, bytes_per_s: int, patience_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._patience_s = patience_s
        self.until_s = asyncio.get_running_loop().time() + patience_s

    def received(self, size: int) -> None:
        """``size`` bytes arrived. They extend the time, to at most ``patience_s`` from now."""
        now_s = asyncio.get_running_loop().time()
        later_s = max(self.until_s, now_s) + size / self._bytes_per_s
        self.until_s = min(later_s, now_s + self._patience_s)


class Held:
    """The memory of one body. ``timeout`` ends its request."""

    def __init__(self, bodies: "Bodies", address: str, max_bytes: int) -> None:
        self._bodies = bodies
        self.address = address
        self.max_bytes = max_bytes
        self.size = 0
        self.is_dropped = False
        self.pace = Pace(_SLOW_BYTES_PER_S, _SLOW_AFTER_S)
        self.timeout = asyncio.timeout(None)

    def add(self, size: int) -> None:
        """Add ``size`` bytes. Raises: TooManyBodies, if this body is dropped for it."""
        self.pace.received(size)
        self.size += size
        self._bodies.count(size)
        if self.is_dropped:
            raise TooManyBodies


class Bodies:
    """The memory of all bodies."""

    def __init__(self) -> None:
        self._all: set[Held] = set()
        self._bytes = 0

    @asynccontextmanager
    async def hold(
        self, address: str, max_bytes: int, within_s: float | None = None
    ) -> AsyncIterator[Held]:
        """Memory for a body of at most ``max_bytes``.

        Raises: TooManyBodies, and TimeoutError after ``within_s``.
        """
        held = Held(self, block_of(address), max_bytes)
        self._all.add(held)
        try:
            async with held.timeout:
                if within_s is not None:
                    held.timeout.reschedule(asyncio.get_running_loop().time() + within_s)
                yield held
        except TimeoutError:
            if held.is_dropped:
                raise TooManyBodies from None
            raise
        finally:
            self._forget(held)

    def count(self, size: int) -> None:
        """Add ``size`` bytes to the sum. If it is above the limit, drop bodies."""
        self._bytes += size
        while self._bytes > _MOST_BYTES:
            if self._bytes <= _MOST_WHOLE * max(held.max_bytes for held in self._all):
                return
            dropped = self._next_to_drop()
            self._forget(dropped)
            dropped.is_dropped = True
            dropped.timeout.reschedule(asyncio.get_running_loop().time())

    def _forget(self, held: Held) -> None:
        if held in self._all:
            self._all.remove(held)
            self._bytes -= held.size

    def _next_to_drop(self) -> Held:
        now_s = asyncio.get_running_loop().time()
        large = [held for held in self._all if held.size > SMALL_BYTES] or list(self._all)
        slow = [held for held in large if held.pace.until_s < now_s]
        sizes: Counter[str] = Counter()
        for held in self._all:
            sizes[held.address] += held.size
        return max(slow or large, key=lambda held: (sizes[held.address], -held.pace.until_s))


# All requests of a process share its memory.
BODIES = Bodies()
