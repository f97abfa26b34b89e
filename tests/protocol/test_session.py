"""The session's state table (PROTOCOL §3.7.1). Random walks over it are in test_properties."""

import pytest

from protocol.classic.session import TRANSITIONS, Event, State, advance
from protocol.common.errors import LocalProtocolError

LIFE = [
    (Event.SESSION_REQUESTED, State.AWAITING_CODE),
    (Event.CODE_CLAIMED, State.CODE_CLAIMED),
    (Event.CODE_REFUSED, State.AWAITING_CODE),
    (Event.CODE_CLAIMED, State.CODE_CLAIMED),
    (Event.CLIENT_ENROLLED, State.ENROLLED),
    (Event.MESSAGE_CLAIMED, State.ENROLLED),
    (Event.LOGGED_OUT, State.CLOSED),
]


def walk(*events: Event) -> State:
    state = State.NEW
    for event in events:
        state = advance(state, event)
    return state


def test_a_life_from_request_to_logout() -> None:
    state = State.NEW
    for event, expected in LIFE:
        state = advance(state, event)
        assert state is expected


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


def test_every_event_and_every_state_is_of_use() -> None:
    used = {event for row in TRANSITIONS.values() for event in row}
    reached = {state for row in TRANSITIONS.values() for state in row.values()}
    assert used == set(Event)
    assert reached == set(State) - {State.NEW}


def test_nothing_leaves_closed() -> None:
    for event in Event:
        with pytest.raises(LocalProtocolError, match=rf"no {event.value} in state CLOSED"):
            advance(State.CLOSED, event)


def test_a_code_that_is_being_tried_cannot_be_tried_again() -> None:
    # What a process that died between claim and decryption leaves behind.
    state = walk(Event.SESSION_REQUESTED, Event.CODE_CLAIMED)
    with pytest.raises(LocalProtocolError):
        advance(state, Event.CODE_CLAIMED)


def test_no_message_counts_before_the_client_is_enrolled() -> None:
    for state in set(State) - {State.ENROLLED}:
        with pytest.raises(LocalProtocolError):
            advance(state, Event.MESSAGE_CLAIMED)


def test_only_a_claimed_code_enrolls() -> None:
    from_states = [state for state in State if Event.CLIENT_ENROLLED in TRANSITIONS[state]]
    assert from_states == [State.CODE_CLAIMED]


@pytest.mark.parametrize("event", [Event.ATTEMPTS_SPENT, Event.LOGIN_REFUSED, Event.EXPIRED])
def test_a_spent_code_does_not_come_back(event: Event) -> None:
    assert walk(Event.SESSION_REQUESTED, Event.CODE_CLAIMED, event) is State.CLOSED


def test_every_state_but_the_first_and_the_last_can_expire() -> None:
    expiring = {state for state, row in TRANSITIONS.items() if Event.EXPIRED in row}
    assert expiring == set(State) - {State.NEW, State.CLOSED}
