"""Events of a gateway, for its subscribers: the metrics, the audit log, and an integrator.

An event holds ids, times and codes of the protocol. It never holds a key, a code, a token, a
password, a username or plaintext. ``session_id`` has 16 bytes (in classic a hash of the token).
``user_tag`` has 16 bytes: the tag by which a store knows a user. ``address`` is that of the client.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class LoginRequested:
    """A client asked for a login, for a known or unknown user."""

    user_tag: bytes
    address: str
    suite: str


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A mail with a code was sent."""

    user_tag: bytes


@dataclass(frozen=True, slots=True)
class CodeMaybeSent:
    """A mail was sent, but no answer came. It is not sent again."""

    user_tag: bytes


@dataclass(frozen=True, slots=True)
class CodeNotSent:
    """An attempt to send a mail failed. If ``final`` is set, there is no other attempt."""

    user_tag: bytes
    final: bool


@dataclass(frozen=True, slots=True)
class CodeRefused:
    """A code was tried and did not fit. ``code`` is the code of the error (PROTOCOL §5.4)."""

    session_id: bytes
    code: str
    address: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A code or a ticket opened a session, until ``expires_ms`` unless it ends before."""

    session_id: bytes
    user_tag: bytes
    suite: str
    expires_ms: int
    address: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session ended before its time. It was open for ``lasted_ms``."""

    session_id: bytes
    lasted_ms: int


@dataclass(frozen=True, slots=True)
class SessionExpired:
    """The time of a session is over. It was open for ``lasted_ms``.

    The process that opened the session emits this at a sweep, if the process still runs. There is
    no such event for a session that another process ended or a ticket replaced, unless that
    happened shortly before its end.
    """

    session_id: bytes
    lasted_ms: int


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user was removed. Their ``sessions`` open sessions were ended."""

    user_tag: bytes
    sessions: int


@dataclass(frozen=True, slots=True)
class TicketUsed:
    """A ticket opened the session ``session_id``."""

    chain_id: bytes
    session_id: bytes
    user_tag: bytes


@dataclass(frozen=True, slots=True)
class TicketReuseDetected:
    """A used ticket was used again: two clients have its secrets. Its chain is revoked."""

    chain_id: bytes
    user_tag: bytes
    address: str


@dataclass(frozen=True, slots=True)
class LimitHit:
    """A request was refused by a rate limit. ``limit`` is the name of the setting."""

    limit: str
    address: str
    user_tag: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageServed:
    """A sealed message was accepted, handled and answered in ``seconds``."""

    session_id: bytes
    suite: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """A request was refused. ``code`` is the code of the error, for operators only."""

    code: str
    address: str


@dataclass(frozen=True, slots=True)
class KeyGenerated:
    """An RSA pair was generated."""


@dataclass(frozen=True, slots=True)
class KeyPoolChanged:
    """``ready`` RSA pairs are ready for use."""

    ready: int


@dataclass(frozen=True, slots=True)
class StoreAsked:
    """The store answered a call of ``method`` in ``seconds``, or ``failed``."""

    method: str
    seconds: float
    failed: bool


@dataclass(frozen=True, slots=True)
class AuditLineLost:
    """A line of the audit log could not be written."""


Event: TypeAlias = (
    LoginRequested
    | CodeSent
    | CodeMaybeSent
    | CodeNotSent
    | CodeRefused
    | SessionOpened
    | SessionEnded
    | SessionExpired
    | UserRemoved
    | TicketUsed
    | TicketReuseDetected
    | LimitHit
    | MessageServed
    | MessageRejected
    | KeyGenerated
    | KeyPoolChanged
    | StoreAsked
    | AuditLineLost
)
Watcher: TypeAlias = Callable[[Event], None]


class Events:
    """Calls every subscriber with every event, immediately and in order."""

    def __init__(self, *watchers: Watcher, hides: Callable[[Event], bool] | None = None) -> None:
        """No subscriber gets an event that ``hides`` is true for."""
        self._watchers = list(watchers)
        self._hides = hides
        # Whether there is a subscriber. Without one, an event need not be made.
        self.watched = bool(watchers)

    def subscribe(self, watcher: Watcher) -> None:
        """Add ``watcher``. It is called on the event loop, so it must be fast."""
        self._watchers.append(watcher)
        self.watched = True

    def emit(self, event: Event) -> None:
        """Emit ``event``. An exception of a subscriber is logged and has no other effect."""
        if self._hides is not None and self._hides(event):
            return
        for watcher in self._watchers:
            try:
                watcher(event)
            except Exception as error:
                _log.error("a watcher of events failed: %s", type(error).__name__)


# Names from before 0.2.0.
_FORMER = {
    "LoginAsked": "LoginRequested",
    "TicketReturned": "TicketReuseDetected",
    "UserDeparted": "UserRemoved",
}


def __getattr__(name: str) -> Any:
    if name not in _FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _FORMER[name]
    warnings.warn(f"{name} is now {new}: use that", DeprecationWarning, stacklevel=2)
    return globals()[new]
