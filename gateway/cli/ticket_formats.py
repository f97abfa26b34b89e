"""The files of ``certless ticket issue``, for the C client and for the Python client.

The C client stores its state as 162 bytes (``certless_state.c``); ``state_of`` writes the same for
a device that has only a ticket. A test compares both.
"""

from collections.abc import Callable

from protocol.hardened.client_session import ClientTicket
from protocol.hardened.key_schedule import transcript
from protocol.hardened.ticket_files import serialize_ticket

from .listing import time_text

_MAGIC = b"CLT1"
_HAS_TICKET = 1
_SESSION_BYTES = 92
_CHECK_BYTES = 16
_IN_LINE = 12


def state_of(ticket: ClientTicket) -> bytes:
    """What the C client would have stored: magic, flags, freshness, ticket, secret, no session."""
    state = _MAGIC + bytes([_HAS_TICKET, 0]) + ticket.ticket + ticket.secret + bytes(_SESSION_BYTES)
    names = ticket.username.encode(), ticket.realm.encode()
    return state + transcript("state of a device", *names, state)[:_CHECK_BYTES]


def _header(ticket: ClientTicket) -> bytes:
    state = state_of(ticket)
    rows = [state[at : at + _IN_LINE] for at in range(0, len(state), _IN_LINE)]
    array = ",\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows)
    return f"""\
/*
 * A ticket for one device, good until {time_text(ticket.expires_ms)}. It is a secret: a thief can
 * act as the device. Load it only if the device has stored no state. Put it on one device only.
 */
#ifndef CERTLESS_TICKET_H
#define CERTLESS_TICKET_H

#include <stdint.h>

#define CERTLESS_TICKET_USERNAME {_c_text(ticket.username)}
#define CERTLESS_TICKET_REALM {_c_text(ticket.realm)}

static const uint8_t certless_ticket_state[{len(state)}] = {{
{array}
}};

#endif
""".encode()


def _c_text(text: str) -> str:
    """A literal of C. Every byte that could mean something else there is an octal escape."""
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:;_@+-/"
    return '"' + "".join(chr(b) if b in safe else f"\\{b:03o}" for b in text.encode()) + '"'


FORMATS: dict[str, Callable[[ClientTicket], bytes]] = {
    "header": _header,
    "json": serialize_ticket,
    "raw": state_of,
}
