"""The last quarter of an hour, a point every two seconds: what the admin page draws."""

import asyncio
from collections import deque
from typing import Any

from prometheus_client.registry import Collector

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.stores import Store

from .figures import Figures, point

STEP_S = 2
SPAN_S = 900


class History:
    """Remembers what happened, so that a page that is opened now has something to show."""

    def __init__(self, registry: Collector, store: Store, clock: Clock) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self.sessions: int | None = None
        self._points: deque[dict[str, Any]] = deque(maxlen=int(SPAN_S / STEP_S))

    async def keep(self) -> None:
        """Takes points until cancelled."""
        time_s = asyncio.get_running_loop().time
        before, before_s = Figures.of(self._registry), time_s()
        while True:
            await asyncio.sleep(STEP_S)
            sessions = await self.count_sessions()
            now, now_s = Figures.of(self._registry), time_s()
            taken = point(before, now, now_s - before_s, sessions)
            self._points.append({"at_ms": self._clock(), **taken})
            before, before_s = now, now_s

    async def count_sessions(self) -> int | None:
        """How many are open, in the whole store; None where it does not say. Also kept."""
        try:
            async with asyncio.timeout(STEP_S):
                self.sessions = await self._store.count_sessions(self._clock())
        except (StoreUnavailable, TimeoutError):
            self.sessions = None
        return self.sessions

    def after(self, at_ms: int) -> list[dict[str, Any]]:
        """The points since then, the oldest first."""
        return [taken for taken in self._points if taken["at_ms"] > at_ms]
