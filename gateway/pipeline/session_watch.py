"""Streams and sockets end with their session: the store is asked at least every 30 s."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.sessions.hardened import HardenedSessions

# The store is asked this often.
CHECK_S = 15
_T = TypeVar("_T")


class SessionEnded(Exception):
    """The session of a stream is over."""


class SessionWatch:
    """Asks the store, from time to time, whether a session is still open."""

    def __init__(self, sessions: HardenedSessions, session_id: bytes, clock: Clock) -> None:
        self._sessions = sessions
        self._session_id = session_id
        self._clock = clock
        self._asked_s = time.monotonic()
        self._has_ended = False

    async def check(self) -> None:
        """Raises: SessionEnded, also if the store does not answer."""
        if await self.has_ended():
            raise SessionEnded

    async def has_ended(self) -> bool:
        """Whether the session has ended, or the store does not answer."""
        now_s = time.monotonic()
        if now_s - self._asked_s >= CHECK_S:
            self._asked_s = now_s
            try:
                found = await self._sessions.find(self._session_id, self._clock())
                self._has_ended = found is None or self._clock() >= found.record.expires_ms
            except StoreUnavailable:
                self._has_ended = True
        return self._has_ended

    async def during(self, work: Awaitable[_T]) -> _T:
        """The result of ``work``. The session is checked until it comes.

        Raises: SessionEnded. The work is then cancelled.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=CHECK_S))[0]:
                await self.check()
            return task.result()
        finally:
            task.cancel()


def steady_ms() -> int:
    """Milliseconds by a clock that does not go back."""
    return time.monotonic_ns() // 1_000_000
