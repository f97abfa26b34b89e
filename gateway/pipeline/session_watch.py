"""Streams and sockets end with their session: the store is asked at least every 30 s."""

import asyncio
from collections.abc import Awaitable
from itertools import count
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
        self._asked_s = asyncio.get_running_loop().time()

    async def check(self) -> None:
        """Raises: SessionEnded, also if the store does not answer."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s < CHECK_S:
            return
        self._asked_s = now_s
        try:
            found = await self._sessions.find(self._session_id, self._clock())
        except StoreUnavailable:
            raise SessionEnded from None
        if found is None or self._clock() >= found.record.expires_ms:
            raise SessionEnded

    async def during(self, work: Awaitable[_T], checks: int | None = None) -> _T:
        """The result of ``work``. The session is checked until it comes.

        Raises: SessionEnded; TimeoutError, after so many ``checks``. The work is then cancelled.
        """
        task = asyncio.ensure_future(work)
        try:
            for _ in count() if checks is None else range(checks):
                if (await asyncio.wait({task}, timeout=CHECK_S))[0]:
                    return task.result()
                await self.check()
        finally:
            task.cancel()
        raise TimeoutError


def steady_ms() -> int:
    """Milliseconds by a clock that does not go back."""
    return round(asyncio.get_running_loop().time() * 1000)
