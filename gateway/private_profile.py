"""The private profile: the gateway records logins and logouts, but no sealed message.

With it, the access log, the events and our log lines tell neither that a session sent a message,
nor which request was in it, how long it took or how large it was (decision 124).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gateway.events import Event, LimitHit, MessageServed, StoreAsked
from gateway.logs import LOGGERS

# The outcome of a request that has no line in the access log.
NOT_LOGGED = ""
_TEXT = "a sealed message failed; private_profile hides how"
# Limits that count what a session does after its login.
_LIMITS_OF_MESSAGES = frozenset({"messages_per_session", "streams"})
_is_hidden: ContextVar[bool] = ContextVar("certless_is_hidden", default=False)


def hides(event: Event) -> bool:
    """Whether ``event`` tells something about a sealed message, and no failure of the store."""
    match event:
        case MessageServed():
            return True
        case StoreAsked():
            return not event.failed
        case LimitHit():
            return event.limit in _LIMITS_OF_MESSAGES
        case _:
            return False


@contextmanager
def hidden() -> Iterator[None]:
    """Our log lines inside, also in tasks that begin here, do not tell what failed."""
    token = _is_hidden.set(True)
    try:
        yield
    finally:
        _is_hidden.reset(token)


def _hide(record: logging.LogRecord) -> bool:
    """A logging filter that keeps every record, but not what it says while ``hidden``."""
    if _is_hidden.get():
        record.msg, record.args = _TEXT, ()
        record.exc_info = record.stack_info = None
        record.pathname, record.filename, record.module = "", "", ""
        record.funcName, record.lineno = "", 0
    return True


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_hide)
