"""How long sessions were open that nobody has ended: SessionExpired, told at a sweep."""

from gateway.clock import Clock
from gateway.events import Event, Events, SessionEnded, SessionExpired, SessionOpened
from gateway.stores import Store

# Of the sweeps before a session's time is over, so many ask whether it still is there.
_LAST_SWEEPS = 2


class SessionExpiry:
    """A watcher of events: the sessions that this process has opened and nobody has ended in it.

    What another process has ended, a ticket replaced, or a user lost, the store alone knows.
    """

    def __init__(self, store: Store, events: Events, clock: Clock, sweep_interval_ms: int) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._last_ms = _LAST_SWEEPS * sweep_interval_ms
        self._opened_until_ms: dict[bytes, tuple[int, int]] = {}
        # Where nobody else watches, nobody is told.
        if events.watched:
            events.subscribe(self)

    def __call__(self, event: Event) -> None:
        if isinstance(event, SessionOpened):
            self._opened_until_ms[event.session_id] = (self._clock(), event.expires_ms)
        elif isinstance(event, SessionEnded):
            self._opened_until_ms.pop(event.session_id, None)

    async def sweep(self, now_ms: int) -> None:
        """Tell of those whose time is over. Raises: StoreUnavailable."""
        for session_id, (opened_ms, expires_ms) in list(self._opened_until_ms.items()):
            if now_ms > expires_ms:
                self._opened_until_ms.pop(session_id, None)
                self._events.emit(SessionExpired(session_id, expires_ms - opened_ms))
            elif expires_ms - now_ms <= self._last_ms and await self._is_gone(session_id, now_ms):
                self._opened_until_ms.pop(session_id, None)

    async def _is_gone(self, session_id: bytes, now_ms: int) -> bool:
        return await self._store.load(session_id, now_ms) is None
