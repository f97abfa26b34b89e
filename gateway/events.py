"""What happens in a gateway, told to whoever watches: figures, an audit log, an integrator.

An event holds ids, times and words of the protocol; never a key, a code, a token, a password, a
username or plaintext. ``session_id`` has 16 bytes (in classic a hash of the token), ``user_tag``
16 bytes as a store knows a user, ``address`` is the visitor's.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class LoginRequested:
    """Somebody named himself; known or not."""

    user_tag: bytes
    address: str
    suite: str


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A mail with a code was handed over."""

    user_tag: bytes


@dataclass(frozen=True, slots=True)
class CodeMaybeSent:
    """A mail was handed over, and no answer came: it is not sent again."""

    user_tag: bytes


@dataclass(frozen=True, slots=True)
class CodeNotSent:
    """A try to hand a mail over has failed; ``final`` where there will be no other."""

    user_tag: bytes
    final: bool


@dataclass(frozen=True, slots=True)
class CodeRefused:
    """A try of a code opened nothing; ``code`` is that of the error (PROTOCOL §9)."""

    session_id: bytes
    code: str
    address: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """By a code, or by a ticket; open until ``expires_ms`` unless it is ended before."""

    session_id: bytes
    user_tag: bytes
    suite: str
    expires_ms: int
    address: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Before its time; it was open for ``lasted_ms``."""

    session_id: bytes
    lasted_ms: int


@dataclass(frozen=True, slots=True)
class SessionExpired:
    """Its time is over; it was open for ``lasted_ms``.

    Told at a sweep, by the process that has opened the session, if it still runs; not of one that
    was ended elsewhere, or that a ticket replaced, unless in its last moments.
    """

    session_id: bytes
    lasted_ms: int


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """Somebody is among the users no more; of his, ``sessions`` were open and were ended."""

    user_tag: bytes
    sessions: int


@dataclass(frozen=True, slots=True)
class TicketUsed:
    """A ticket has opened the session ``session_id``."""

    chain_id: bytes
    session_id: bytes
    user_tag: bytes


@dataclass(frozen=True, slots=True)
class TicketReuseDetected:
    """A spent ticket came back: two hold its secrets. Its chain is revoked."""

    chain_id: bytes
    user_tag: bytes
    address: str


@dataclass(frozen=True, slots=True)
class LimitHit:
    """A visitor was told to come later; ``limit`` is the name of the setting."""

    limit: str
    address: str
    user_tag: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageServed:
    """A sealed message was accepted, handled and answered, within ``seconds``."""

    session_id: bytes
    suite: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """Something that came was refused; ``code`` is that of the error, for operators only."""

    code: str
    address: str


@dataclass(frozen=True, slots=True)
class KeyGenerated:
    """An RSA pair was made."""


@dataclass(frozen=True, slots=True)
class KeyPoolChanged:
    """So many RSA pairs wait to be used."""

    ready: int


@dataclass(frozen=True, slots=True)
class StoreAsked:
    """The store has answered to ``method`` of its contract within ``seconds``, or ``failed``."""

    method: str
    seconds: float
    failed: bool


@dataclass(frozen=True, slots=True)
class AuditLineLost:
    """The audit log could not be written to."""


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
    """Tells every watcher of every event, at once and in order."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = list(watchers)

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def subscribe(self, watcher: Watcher) -> None:
        """``watcher`` is called on the event loop, so it must not take long."""
        self._watchers.append(watcher)

    def emit(self, event: Event) -> None:
        """Whatever a watcher raises is logged, and stops nothing."""
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
