"""The data of the charts: the last 15 minutes, one point every two seconds."""

import asyncio
from collections import deque
from typing import Any

from prometheus_client.registry import Collector

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.stores import Store

from .figures import Figures, rates_between

STEP_S = 2
SPAN_S = 900


class History:
    """Stores points for the charts, so that a new page can show the past."""

    def __init__(self, registry: Collector, store: Store, clock: Clock) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self.sessions: int | None = None
        self._points: deque[dict[str, Any]] = deque(maxlen=int(SPAN_S / STEP_S))

    async def keep(self) -> None:
        """Add points until cancelled."""
        time_s = asyncio.get_running_loop().time
        before, before_s = Figures.of(self._registry), time_s()
        while True:
            await asyncio.sleep(STEP_S)
            sessions = await self.count_sessions()
            now, now_s = Figures.of(self._registry), time_s()
            new_point = rates_between(before, now, now_s - before_s, sessions)
            self._points.append({"at_ms": self._clock(), **new_point})
            before, before_s = now, now_s

    async def count_sessions(self) -> int | None:
        """Count the open sessions of the whole store; None if it does not answer."""
        try:
            async with asyncio.timeout(STEP_S):
                self.sessions = await self._store.count_sessions(self._clock())
        except (StoreUnavailable, TimeoutError):
            self.sessions = None
        return self.sessions

    def after(self, at_ms: int) -> list[dict[str, Any]]:
        """The points after ``at_ms``, oldest first."""
        return [point for point in self._points if point["at_ms"] > at_ms]
