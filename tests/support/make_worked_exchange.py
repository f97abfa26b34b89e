"""Writes Appendix B of spec/PROTOCOL.md: a hardened login, a request and its response, in hex.

Run it without arguments. The inputs are constants, so the output is always the same.
"""

import hashlib
import textwrap

from processes import ROOT

from protocol.common.codec import serialize_msgpack
from protocol.common.codes import Code, Entropy
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.primitives import SCALAR_SEED_BYTES, hkdf, scalar
from protocol.hardened.client_handshake import begin_login
from protocol.hardened.client_session import seal_request
from protocol.hardened.confirmation import Terms, confirm_login
from protocol.hardened.exporter import exported_value
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.key_schedule import transcript
from protocol.hardened.message_server import AcceptedMessage, ServerSession, open_request
from protocol.hardened.sealed_messages import Envelope
from protocol.hardened.suites import ECDH_GCM

DOCUMENT = ROOT / "spec" / "PROTOCOL.md"
HEADING = "## Appendix B. A worked exchange\n"
NEXT_HEADING = "## Appendix C."

USERNAME, REALM, CODE = "ada@example.org", "certless", "7K3QW9XD"
NOW_MS, EXPIRES_S, SESSION_MS = 1_800_000_000_000, 600, 43_200_000
SENT = (("Content-Type", "text/plain"), ("Host", "shop.example"))
REQUEST = HttpRequest("POST", "/orders?dry=1", SENT, b"two coffees")
LABEL, CONTEXT = "shop.example device", b"enrol"
RESPONSE = HttpResponse(201, (("Content-Type", "text/plain"),), b"order 17")

Row = tuple[str, bytes]


def random_bytes(name: str, length: int) -> bytes:
    """The bytes that one side draws for ``name``."""
    return hashlib.shake_256(f"certless example: {name}".encode()).digest(length)


def _draw(*names: str) -> Entropy:
    """Entropy that draws the bytes of ``names``, one after the other."""
    left = iter(names)
    return lambda length: random_bytes(next(left), length)


def _block(*rows: Row) -> str:
    width = max(len(name) for name, _ in rows)
    lines = []
    for name, data in rows:
        first, *more = textwrap.wrap(data.hex(), 80)
        lines += [f"{name:{width}}  {first}", *(" " * (width + 2) + piece for piece in more)]
    return "```text\n" + "\n".join(lines) + "\n```"


def _sealed(key: bytes, envelope: Envelope, message: HttpRequest | HttpResponse) -> str:
    derived = hkdf(key, envelope.salt, envelope.raw_header, 44)
    return _block(
        ("plaintext", serialize_msgpack(message.to_array())),
        ("header", envelope.raw_header),
        ("salt", envelope.salt),
        ("key", derived[:32]),
        ("iv", derived[32:]),
        ("sealed", envelope.sealed),
        ("Envelope", envelope.serialize("msgpack")),
    )


def appendix() -> str:
    """The text between the two headings."""
    server = HandshakeServer(REALM)
    hello, greeting = begin_login(USERNAME, REALM, _draw("cn"))
    invitation = server.greet(hello, EXPIRES_S, _draw("sid", "sn"))
    login = invitation.for_code(Code(CODE))
    awaited = greeting.open(invitation.greeting)
    share, pending_share = awaited.enter(Code(CODE), _draw("seed of x"))
    server_share, exchange = server.answer_share(share, login, _draw("seed of y"))
    confirmation, pending = pending_share.open(server_share)
    ticket = random_bytes("ticket", 16)
    terms = Terms(SESSION_MS, random_bytes("chain", 16), ticket)
    enrolment = confirm_login(confirmation, exchange).enrol(terms, NOW_MS)
    answer = enrolment.accept(True)
    session, _ = pending.open(answer, NOW_MS)
    box = exchange.handshake().open_server_box(b"", answer.box)
    th2 = transcript(
        "session", exchange.th, exchange.confirm_client, b"", exchange.confirm_server, answer.box
    )

    envelope, pending_message, _ = seal_request(
        session, REQUEST, NOW_MS + 1000, _draw("salt of the request")
    )
    opened = open_request(envelope, ServerSession.load(enrolment.session), NOW_MS + 1000)
    accepted = opened.accept(True, NOW_MS + 1000)
    assert isinstance(accepted, AcceptedMessage)
    assert accepted.http_request() == REQUEST
    reply = accepted.seal_response(RESPONSE, NOW_MS + 1010, _draw("salt of the response"))
    assert pending_message.open(reply, 20) == RESPONSE

    x, y = (scalar(random_bytes(f"seed of {name}", SCALAR_SEED_BYTES)) for name in "xy")
    kept = enrolment.ticket
    assert kept is not None
    parts = [
        f"""\
A login, a request and its response in `ecdh-gcm` with `clock`, in msgpack. All bytes are in hex.
`tests/support/make_worked_exchange.py` computes them, and a test compares them.

The username is `{USERNAME}`, the realm `{REALM}`, and the code `{CODE}`. Both clocks are at
{NOW_MS} ms when the session begins. These values are random in a real exchange:
""",
        _block(
            ("cn", hello.client_nonce),
            ("sid", invitation.greeting.session_id),
            ("sn", invitation.greeting.server_nonce),
            ("x", x.to_bytes(32)),
            ("y", y.to_bytes(32)),
            ("ticket", ticket),
        ),
        "\n**ClientHello** and **ServerHello**:\n",
        _block(
            ("ClientHello", hello.serialize("msgpack")),
            ("ServerHello", invitation.greeting.serialize("msgpack")),
            ("th0", login.greeting),
            ("w", login.load_blinding().w.to_bytes(32)),
        ),
        "\n**ClientShare** and **ServerShare**:\n",
        _block(
            ("ClientShare", share.serialize("msgpack")),
            ("ServerShare", server_share.serialize("msgpack")),
            ("th", exchange.th),
            ("Ke", exchange.shared),
            ("cA", exchange.confirm_client),
            ("cB", exchange.confirm_server),
        ),
        "\n**ClientConfirmation** and **ServerConfirmation**; ServerBox is a plaintext:\n",
        _block(
            ("ClientConfirmation", confirmation.serialize("msgpack")),
            ("ServerBox", box),
            ("ServerConfirmation", answer.serialize("msgpack")),
            ("th2", th2),
            ("k_c2s", session.c2s),
            ("k_s2c", session.s2c),
            ("resume", kept.secret),
            ("export", session.export),
        ),
        f"""
A value of the **exporter** (2.5.3): 32 bytes for the label `{LABEL}` and the context
`{CONTEXT.decode()}`:
""",
        _block(("value", exported_value(ECDH_GCM, session.export, LABEL, CONTEXT, 32))),
        f"\nThe **request**, sealed at {NOW_MS + 1000} ms:\n",
        _sealed(session.c2s, envelope, REQUEST),
        f"\nThe **response**, sealed at {NOW_MS + 1010} ms:\n",
        _sealed(session.s2c, reply, RESPONSE),
    ]
    return "\n" + "\n".join(parts) + "\n\n"


def main() -> None:
    before, _, rest = DOCUMENT.read_text("utf-8").partition(HEADING)
    after = rest[rest.index(NEXT_HEADING) :]
    DOCUMENT.write_text(before + HEADING + appendix() + after, "utf-8")


if __name__ == "__main__":
    main()
