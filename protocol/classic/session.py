"""The session's state table (PROTOCOL §3.7.1). A missing key is the error.

::

    NEW -> AWAITING_CODE <-> CODE_CLAIMED -> ENROLLED -> CLOSED

The server claims a code before it tries the code, and gives it back only if the code was wrong. If
the process dies in between, the session stays in CODE_CLAIMED, where no other try can start: the
code is spent.
"""

from enum import Enum

from protocol.common.errors import LocalProtocolError


class State(Enum):
    """The state of a session."""

    NEW = "NEW"
    AWAITING_CODE = "AWAITING_CODE"
    CODE_CLAIMED = "CODE_CLAIMED"
    ENROLLED = "ENROLLED"
    CLOSED = "CLOSED"


class Event(Enum):
    """An event of a session."""

    SESSION_REQUESTED = "SessionRequested"
    CODE_CLAIMED = "CodeClaimed"
    CODE_REFUSED = "CodeRefused"
    ATTEMPTS_SPENT = "AttemptsSpent"
    LOGIN_REFUSED = "LoginRefused"
    CLIENT_ENROLLED = "ClientEnrolled"
    MESSAGE_CLAIMED = "MessageClaimed"
    MESSAGES_SPENT = "MessagesSpent"
    LOGGED_OUT = "LoggedOut"
    EXPIRED = "Expired"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.NEW: {Event.SESSION_REQUESTED: State.AWAITING_CODE},
    State.AWAITING_CODE: {
        Event.CODE_CLAIMED: State.CODE_CLAIMED,
        Event.EXPIRED: State.CLOSED,
    },
    State.CODE_CLAIMED: {
        Event.CODE_REFUSED: State.AWAITING_CODE,
        Event.ATTEMPTS_SPENT: State.CLOSED,
        Event.LOGIN_REFUSED: State.CLOSED,
        Event.CLIENT_ENROLLED: State.ENROLLED,
        Event.EXPIRED: State.CLOSED,
    },
    State.ENROLLED: {
        Event.MESSAGE_CLAIMED: State.ENROLLED,
        Event.MESSAGES_SPENT: State.CLOSED,
        Event.LOGGED_OUT: State.CLOSED,
        Event.EXPIRED: State.CLOSED,
    },
    State.CLOSED: {},
}


def advance(state: State, event: Event) -> State:
    """The state after ``event``. Raises: LocalProtocolError, if the table has no such step."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise LocalProtocolError(f"no {event.value} in state {state.value}") from None
