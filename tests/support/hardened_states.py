"""The state table of a hardened session (PROTOCOL §2.9.1), for property tests.

The stores do these steps in one transaction each, so no code looks them up. The property tests
compare this table with a model of a session, and another test compares it with PROTOCOL.md.

::

    NEW -> AWAITING_CODE <-> CONFIRMING -> ENROLLED -> CLOSED

The step to CONFIRMING counts an attempt before any computation. Another ClientShare stays in that
state and deletes the previous exchange. If the process ends in between, only that exchange and its
attempt are lost.
"""

from enum import Enum

from protocol.common.errors import LocalProtocolError


class HardenedState(Enum):
    """The state of a session."""

    NEW = "NEW"
    AWAITING_CODE = "AWAITING_CODE"
    CONFIRMING = "CONFIRMING"
    ENROLLED = "ENROLLED"
    CLOSED = "CLOSED"


class HardenedEvent(Enum):
    """What happened to a session."""

    SESSION_REQUESTED = "SessionRequested"
    TICKET_REDEEMED = "TicketRedeemed"
    ATTEMPT_CLAIMED = "AttemptClaimed"
    CONFIRMATION_REFUSED = "ConfirmationRefused"
    ATTEMPTS_SPENT = "AttemptsSpent"
    LOGIN_REFUSED = "LoginRefused"
    CLIENT_ENROLLED = "ClientEnrolled"
    MESSAGE_CLAIMED = "MessageClaimed"
    EPOCH_MOVED = "EpochMoved"
    SUPERSEDED = "Superseded"
    REVOKED = "Revoked"
    LOGGED_OUT = "LoggedOut"
    EXPIRED = "Expired"


_STATE, _EVENT = HardenedState, HardenedEvent

HARDENED_TRANSITIONS: dict[HardenedState, dict[HardenedEvent, HardenedState]] = {
    _STATE.NEW: {
        _EVENT.SESSION_REQUESTED: _STATE.AWAITING_CODE,
        _EVENT.TICKET_REDEEMED: _STATE.ENROLLED,
    },
    _STATE.AWAITING_CODE: {
        _EVENT.ATTEMPT_CLAIMED: _STATE.CONFIRMING,
        _EVENT.REVOKED: _STATE.CLOSED,
        _EVENT.EXPIRED: _STATE.CLOSED,
    },
    _STATE.CONFIRMING: {
        _EVENT.ATTEMPT_CLAIMED: _STATE.CONFIRMING,
        _EVENT.CONFIRMATION_REFUSED: _STATE.AWAITING_CODE,
        _EVENT.ATTEMPTS_SPENT: _STATE.CLOSED,
        _EVENT.LOGIN_REFUSED: _STATE.CLOSED,
        _EVENT.CLIENT_ENROLLED: _STATE.ENROLLED,
        _EVENT.REVOKED: _STATE.CLOSED,
        _EVENT.EXPIRED: _STATE.CLOSED,
    },
    _STATE.ENROLLED: {
        _EVENT.MESSAGE_CLAIMED: _STATE.ENROLLED,
        _EVENT.EPOCH_MOVED: _STATE.ENROLLED,
        _EVENT.SUPERSEDED: _STATE.CLOSED,
        _EVENT.REVOKED: _STATE.CLOSED,
        _EVENT.LOGGED_OUT: _STATE.CLOSED,
        _EVENT.EXPIRED: _STATE.CLOSED,
    },
    _STATE.CLOSED: {},
}


def advance_hardened(state: HardenedState, event: HardenedEvent) -> HardenedState:
    """The state after ``event``. Raises: LocalProtocolError if the table has no such step."""
    try:
        return HARDENED_TRANSITIONS[state][event]
    except KeyError:
        raise LocalProtocolError(f"no {event.value} in state {state.value}") from None
