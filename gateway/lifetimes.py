"""How long sessions were open that nobody has ended: SessionExpired, told at a sweep."""

from collections.abc import Callable

from .events import Event, Events, SessionEnded, SessionExpired, SessionOpened


class Lifetimes:
    """A watcher of events: the sessions that this process has opened and nobody has ended in it."""

    def __init__(self, events: Events, clock: Callable[[], int]) -> None:
        self._events = events
        self._clock = clock
        self._opened_until_ms: dict[bytes, tuple[int, int]] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, SessionOpened):
            self._opened_until_ms[event.session_id] = (self._clock(), event.expires_ms)
        elif isinstance(event, SessionEnded):
            self._opened_until_ms.pop(event.session_id, None)

    def sweep(self, now_ms: int) -> None:
        """Tell of those whose time is over."""
        for session_id, (opened_ms, expires_ms) in list(self._opened_until_ms.items()):
            if now_ms > expires_ms:
                del self._opened_until_ms[session_id]
                self._events.tell(SessionExpired(session_id, expires_ms - opened_ms))
