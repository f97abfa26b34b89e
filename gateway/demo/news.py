"""Notifies pages that wait for news (long polling)."""

import asyncio
import contextlib
from collections.abc import Callable

LONGEST_WAIT_S = 25


class News:
    """Wakes all waiting tasks. A wait lasts at most 25 seconds and ends on closing."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._closed = False

    def notify(self) -> None:
        """Wake all waiting tasks: they check their condition again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End all waits."""
        self._closed = True
        self.notify()

    async def until(self, is_there: Callable[[], object]) -> None:
        """Return when ``is_there()`` is true, on closing, or after 25 seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_S):
                while not self._closed and not is_there():
                    await self._changed.wait()
