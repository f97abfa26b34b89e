"""A ticket as text, for an operator who gives it to a device (PROTOCOL §2.8.5).

It contains the secret of the ticket.
"""

from protocol.common.envelopes import Members, serialize_members
from protocol.common.errors import MalformedMessage

from .client_session import ClientTicket
from .handshake_messages import TICKET_BYTES
from .key_schedule import KEY_BYTES
from .replay_window import MAX_FRESH_VALUE

_FORM = "certless ticket 1"


def serialize_ticket(ticket: ClientTicket) -> bytes:
    """JSON of one line. ``expires_ms`` is by the clock of the server."""
    members = {
        "form": _FORM,
        "suite": ticket.suite,
        "username": ticket.username,
        "realm": ticket.realm,
        "expires_ms": ticket.expires_ms,
        "ticket": ticket.ticket,
        "secret": ticket.secret,
    }
    return serialize_members("json", members) + b"\n"


def parse_ticket(data: bytes) -> ClientTicket:
    """Reads the bytes of ``serialize_ticket``. Raises: MalformedMessage."""
    members = Members.parse("json", data)
    if members.text("form") != _FORM:
        raise MalformedMessage(f"member 'form' must be {_FORM!r}")
    suite, username, realm = (members.text(name) for name in ("suite", "username", "realm"))
    expires_ms = members.number("expires_ms", MAX_FRESH_VALUE)
    ticket = members.raw("ticket", TICKET_BYTES)
    secret = members.raw("secret", KEY_BYTES)
    members.end()
    return ClientTicket(ticket, suite, username, realm, expires_ms, secret)
