"""The session's state table (PROTOCOL §8.1). A missing key is the error.

::

    NEW -> AWAITING_CODE <-> CODE_CLAIMED -> ENROLLED -> CLOSED

A code is claimed before it is tried and given back only when it did not fit. A process that dies
in between leaves CODE_CLAIMED behind, from where no second try starts: the code is spent.
"""

from enum import Enum

from protocol.common.errors import LocalProtocolError


class State(Enum):
    """Where a session stands."""

    NEW = "NEW"
    AWAITING_CODE = "AWAITING_CODE"
    CODE_CLAIMED = "CODE_CLAIMED"
    ENROLLED = "ENROLLED"
    CLOSED = "CLOSED"


class Event(Enum):
    """What happened to a session."""

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
    """The state after ``event``. Raises: LocalProtocolError, where the table has no such step."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise LocalProtocolError(f"no {event.value} in state {state.value}") from None
