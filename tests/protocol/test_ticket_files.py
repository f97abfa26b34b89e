"""A ticket as text, for a device that has not logged in (PROTOCOL §2.8.5)."""

import json

import pytest

from protocol.common.errors import MalformedMessage
from protocol.hardened.client_session import ClientTicket
from protocol.hardened.ticket_files import parse_ticket, serialize_ticket

TICKET = ClientTicket(b"t" * 16, "ecdh-gcm", "J\u00f6rg", 'a"b', 1_800_000_000_000, b"s" * 32)


def test_a_ticket_is_read_as_it_was_written() -> None:
    text = serialize_ticket(TICKET)
    assert text.count(b"\n") == 1
    assert parse_ticket(text) == TICKET


@pytest.mark.parametrize(
    "changed",
    [
        {"form": "certless ticket 2"},
        {"form": None},
        {"ticket": "dHQ="},
        {"secret": "dHQ="},
        {"expires_ms": -1},
        {"username": 7},
        {"more": 1},
    ],
)
def test_what_is_no_ticket(changed: dict[str, object]) -> None:
    members = {**json.loads(serialize_ticket(TICKET)), **changed}
    with pytest.raises(MalformedMessage):
        parse_ticket(json.dumps({k: v for k, v in members.items() if v is not None}).encode())


def test_text_that_is_cut() -> None:
    with pytest.raises(MalformedMessage):
        parse_ticket(serialize_ticket(TICKET)[:-9])
