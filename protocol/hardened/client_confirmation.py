"""ClientConfirmation and ServerConfirmation at the client (PROTOCOL §2.4.5, §2.4.6).

The client opens the server's box, and has a session, only after the server has proven that it knows
the code or the secret of the ticket.
"""

from dataclasses import dataclass

from protocol.common.acceptance import Once
from protocol.common.envelopes import Members, serialize_members
from protocol.common.errors import LocalProtocolError, RejectedMessage
from protocol.common.primitives import RsaPublicKey, equal
from protocol.common.rsa_keys import validate_public_key_der

from .client_session import ClientSession, ClientTicket
from .handshake_messages import (
    MAX_SESSION_MS,
    TICKET_BYTES,
    ClientConfirmation,
    ServerConfirmation,
)
from .key_schedule import Handshake
from .replay_window import MAX_FRESH_VALUE
from .suites import Freshness

_MAX_TICKET_S = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Subject:
    """The user, the realm and the freshness of the future session."""

    username: str
    realm: str
    fresh: Freshness


class PendingConfirmation:
    """ClientConfirmation was sent. It opens ServerConfirmation once."""

    def __init__(
        self,
        subject: Subject,
        session_id: bytes,
        handshake: Handshake,
        client_box: bytes,
        refused: type[RejectedMessage],
    ) -> None:
        self._subject = subject
        self._session_id = session_id
        self._handshake = handshake
        self._client_box = client_box
        self._refused = refused
        self._opened = Once()

    def open(
        self, message: ServerConfirmation, now_ms: int
    ) -> tuple[ClientSession, ClientTicket | None]:
        """The session, and the ticket if the server granted one. Store the ticket before you send.

        Raises: CodeRefused or TicketRefused (the server has not proven itself),
        DecryptionFailed, MalformedMessage, InvalidPublicKey.
        """
        self._opened.use("a server's confirmation")
        handshake, subject = self._handshake, self._subject
        if not equal(message.confirmation, handshake.confirm_server):
            raise self._refused("the server has not proven itself")
        plaintext = handshake.open_server_box(self._client_box, message.box)
        inside = Members.parse("msgpack", plaintext)
        offset_ms = inside.number("time_ms", MAX_FRESH_VALUE) - now_ms
        session_ms = inside.number("session_s", MAX_SESSION_MS // 1000) * 1000
        secrets = handshake.secrets(self._client_box, message.box)
        ticket = None
        if inside.has("ticket"):
            ticket = ClientTicket(
                inside.raw("ticket", TICKET_BYTES),
                handshake.suite.name,
                subject.username,
                subject.realm,
                now_ms + inside.number("ticket_s", _MAX_TICKET_S) * 1000,
                secrets.resume,
            )
        wraps = handshake.suite.wraps
        server_key = validate_public_key_der(inside.raw("public_key")).to_der() if wraps else b""
        inside.end()
        session = ClientSession(
            self._session_id,
            handshake.suite.name,
            subject.username,
            subject.realm,
            subject.fresh,
            now_ms + session_ms,
            offset_ms,
            secrets.keys.epoch,
            now_ms,
            secrets.keys.c2s,
            secrets.keys.s2c,
            server_key=server_key,
            export=secrets.export,
        )
        return session, ticket


def confirm(
    subject: Subject,
    session_id: bytes,
    handshake: Handshake,
    public_key: RsaPublicKey | None,
    refused: type[RejectedMessage],
) -> tuple[ClientConfirmation, PendingConfirmation]:
    """ClientConfirmation, and the object that opens its answer.

    ``refused`` is the error for a wrong proof of the server.
    """
    if handshake.suite.wraps != (public_key is not None):
        raise LocalProtocolError("pass a key of the client in rsa-gcm, and only there")
    box = None
    if public_key is not None:
        inside = serialize_members("msgpack", {"public_key": public_key.to_der()})
        box = handshake.seal_client_box(inside)
    pending = PendingConfirmation(subject, session_id, handshake, box or b"", refused)
    return ClientConfirmation(session_id, handshake.confirm_client, box), pending
