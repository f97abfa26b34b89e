"""Emits SessionExpired for sessions that expire without being ended."""

from gateway.clock import Clock
from gateway.events import Event, Events, SessionEnded, SessionExpired, SessionOpened
from gateway.stores import Store

# The last sweeps before a session expires check whether it still exists.
_LAST_SWEEPS = 2


class SessionExpiry:
    """Watches the sessions that this process has opened and not ended.

    Only the store can tell whether another process, a ticket or a user removal has ended one.
    """

    def __init__(self, store: Store, events: Events, clock: Clock, sweep_interval_ms: int) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._last_ms = _LAST_SWEEPS * sweep_interval_ms
        self._opened_until_ms: dict[bytes, tuple[int, int]] = {}
        # Without other watchers the event is not needed.
        if events.watched:
            events.subscribe(self)

    def __call__(self, event: Event) -> None:
        if isinstance(event, SessionOpened):
            self._opened_until_ms[event.session_id] = (self._clock(), event.expires_ms)
        elif isinstance(event, SessionEnded):
            self._opened_until_ms.pop(event.session_id, None)

    async def sweep(self, now_ms: int) -> None:
        """Emit the events of expired sessions. Raises: StoreUnavailable."""
        for session_id, (opened_ms, expires_ms) in list(self._opened_until_ms.items()):
            if now_ms > expires_ms:
                self._opened_until_ms.pop(session_id, None)
                self._events.emit(SessionExpired(session_id, expires_ms - opened_ms))
            elif expires_ms - now_ms <= self._last_ms and await self._has_ended(session_id, now_ms):
                self._opened_until_ms.pop(session_id, None)

    async def _has_ended(self, session_id: bytes, now_ms: int) -> bool:
        return await self._store.load(session_id, now_ms) is None
