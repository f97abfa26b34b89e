"""Word of something new, for pages that wait for it."""

import asyncio
import contextlib
from collections.abc import Callable

LONGEST_WAIT_S = 25


class News:
    """Wakes all who wait. Nobody waits longer than 25 seconds, nor past the end."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._closed = False

    def tell(self) -> None:
        """Something has changed: those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closed = True
        self.tell()

    async def until(self, is_there: Callable[[], object]) -> None:
        """Returns once ``is_there()`` is true, on closing, or when 25 seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_S):
                while not self._closed and not is_there():
                    await self._changed.wait()
