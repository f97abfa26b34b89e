"""What bodies of visitors hold before anybody knows whose they are: a bound for all together.

Where it is reached, one body has to go: of those that stand still or come slowly, one from the
address that holds most. Who sends at a good rate is not asked to leave while somebody does not.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import TooManyBodies
from gateway.policy.client_address import block_of

# All of them, in one process; or some that are as large as the settings allow.
_MOST_BYTES = 128 << 20
_MOST_WHOLE = 4
# What a connection costs in any case. A body of so much is left alone, however slowly it comes.
SMALL_BYTES = 16_384
# Who sends slower than this for so long is slow.
_SLOW_BYTES_PER_S = 65_536
_SLOW_AFTER_S = 2


class Pace:
    """Until when more has to come from somebody who is to send so many bytes a second."""

    def __init__(self, bytes_per_s: int, patience_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._patience_s = patience_s
        self.until_s = asyncio.get_running_loop().time() + patience_s

    def came(self, size: int) -> None:
        """``size`` bytes came, which count for a while, but not beyond what patience there is."""
        now_s = asyncio.get_running_loop().time()
        later_s = max(self.until_s, now_s) + size / self._bytes_per_s
        self.until_s = min(later_s, now_s + self._patience_s)


class Held:
    """What is held for one request. ``limit`` ends it."""

    def __init__(self, bodies: "Bodies", address: str, max_bytes: int) -> None:
        self._bodies = bodies
        self.address = address
        self.max_bytes = max_bytes
        self.size = 0
        self.has_to_go = False
        self.pace = Pace(_SLOW_BYTES_PER_S, _SLOW_AFTER_S)
        self.limit = asyncio.timeout(None)

    def add(self, size: int) -> None:
        """So much more is held. Raises: TooManyBodies, for this one; another one is ended."""
        self.pace.came(size)
        self.size += size
        self._bodies.count(size)
        if self.has_to_go:
            raise TooManyBodies


class Bodies:
    """All that are held."""

    def __init__(self) -> None:
        self._all: set[Held] = set()
        self._bytes = 0

    @asynccontextmanager
    async def hold(
        self, address: str, max_bytes: int, within_s: float | None = None
    ) -> AsyncIterator[Held]:
        """For a body of at most ``max_bytes``.

        Raises: TooManyBodies, and TimeoutError after ``within_s``.
        """
        held = Held(self, block_of(address), max_bytes)
        self._all.add(held)
        try:
            async with held.limit:
                if within_s is not None:
                    held.limit.reschedule(asyncio.get_running_loop().time() + within_s)
                yield held
        except TimeoutError:
            if held.has_to_go:
                raise TooManyBodies from None
            raise
        finally:
            self._forget(held)

    def count(self, size: int) -> None:
        """So much more is held. Where that is too much in all, some are ended."""
        self._bytes += size
        while self._bytes > _MOST_BYTES:
            if self._bytes <= _MOST_WHOLE * max(held.max_bytes for held in self._all):
                return
            gone = self._next_to_go()
            self._forget(gone)
            gone.has_to_go = True
            gone.limit.reschedule(asyncio.get_running_loop().time())

    def _forget(self, held: Held) -> None:
        if held in self._all:
            self._all.remove(held)
            self._bytes -= held.size

    def _next_to_go(self) -> Held:
        now_s = asyncio.get_running_loop().time()
        large = [held for held in self._all if held.size > SMALL_BYTES] or list(self._all)
        slow = [held for held in large if held.pace.until_s < now_s]
        sizes: Counter[str] = Counter()
        for held in self._all:
            sizes[held.address] += held.size
        return max(slow or large, key=lambda held: (sizes[held.address], -held.pace.until_s))


# Memory is one of the whole process.
BODIES = Bodies()
