"""ClientConfirmation and ServerConfirmation at the server (PROTOCOL §2.4.5, §2.8.2).

``confirm_login`` returns a ``ConfirmedClient``, ``confirm_resumption`` a ``ConfirmedTicket``. Each
becomes an ``Enrolment`` once. An enrolment returns the answer after the store has accepted it.
"""

from dataclasses import dataclass, field

from protocol.common.acceptance import Once
from protocol.common.envelopes import Members, serialize_members
from protocol.common.errors import (
    CodeRefused,
    DecryptionFailed,
    LocalProtocolError,
    TicketRefused,
)
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey, equal
from protocol.common.rsa_keys import validate_public_key_der

from .handshake_messages import MAX_SESSION_MS, ClientConfirmation, ServerConfirmation
from .key_schedule import Handshake
from .records import (
    MAX_EPOCH_MS,
    ExchangeRecord,
    SessionRecord,
    TicketChain,
    TicketRecord,
    ticket_hash,
)
from .suites import Freshness, HardenedSuite

TICKET_LIFETIME_MS = 2_592_000_000
# Of a ticket that an operator gives to a device, until its first use (PROTOCOL §2.8.5).
SHELF_LIFE_MS = 15_552_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server grants: the session's lifetime, an optional ticket, its pair in rsa-gcm.

    ``ticket`` is 16 new random bytes; ``chain_id`` is the id of its chain.
    """

    session_ms: int
    chain_id: bytes = b""
    ticket: bytes | None = field(default=None, repr=False)
    ticket_ms: int = TICKET_LIFETIME_MS
    private_key: RsaPrivateKey | None = field(default=None, repr=False)


class Enrolment:
    """The records to store in one step, and ServerConfirmation after that.

    For a login the step stores ``session``, and ``ticket`` and ``chain`` if there are any, if the
    login still waits for its confirmation; this spends the code. For a resumption the step also
    replaces ``previous`` by ``chain``, if the chain is still ``previous``, and ends the session
    that ``previous`` names.
    """

    def __init__(
        self,
        session: SessionRecord,
        ticket: TicketRecord | None,
        chain: TicketChain | None,
        previous: TicketChain | None,
        message: ServerConfirmation,
    ) -> None:
        self.session = session
        self.ticket = ticket
        self.chain = chain
        self.previous = previous
        self.__message = message
        self.__decided = Once()

    def accept(self, stored: bool) -> ServerConfirmation:
        """ServerConfirmation. Raises: CodeRefused or TicketRefused, if nothing was stored."""
        self.__decided.use("an enrolment")
        if not stored:
            refused = CodeRefused if self.previous is None else TicketRefused
            raise refused("another client was first, or it was revoked")
        return self.__message


class ConfirmedClient:
    """A client that has proven its code or its ticket. Enrol it once."""

    def __init__(
        self, record: ExchangeRecord, client_box: bytes, client_key: RsaPublicKey | None
    ) -> None:
        self.session_id = record.session_id
        self.username = record.username
        self.fresh: Freshness = record.fresh
        self.device = record.device
        self.client_key = client_key
        self._handshake = record.handshake()
        self._client_box = client_box
        self._enrolled = Once()

    @property
    def suite(self) -> HardenedSuite:
        return self._handshake.suite

    def enrol(self, terms: Terms, now_ms: int) -> Enrolment:
        """The session, and a new chain if a ticket is granted. Raises: LocalProtocolError."""
        return self._enrol(terms, now_ms, None)

    def _enrol(
        self, terms: Terms, now_ms: int, resumed: tuple[TicketChain, TicketChain] | None
    ) -> Enrolment:
        self._enrolled.use("the right to enrol")
        if not 0 < terms.session_ms <= MAX_SESSION_MS:
            raise LocalProtocolError("a session lives 12 hours at most")
        if self.suite.wraps != (terms.private_key is not None):
            raise LocalProtocolError("pass a key pair in rsa-gcm, and only there")
        if (terms.ticket is None) != (not terms.chain_id):
            raise LocalProtocolError("pass ticket and chain_id together")
        pair, ticket = terms.private_key, terms.ticket
        plaintext = serialize_members(
            "msgpack",
            {
                "time_ms": now_ms,
                "session_s": terms.session_ms // 1000,
                "ticket": ticket,
                "ticket_s": None if ticket is None else terms.ticket_ms // 1000,
                "public_key": None if pair is None else pair.public.to_der(),
            },
        )
        handshake = self._handshake
        box = handshake.seal_server_box(self._client_box, plaintext)
        secrets = handshake.secrets(self._client_box, box)
        session = SessionRecord(
            self.session_id,
            self.suite.name,
            self.username,
            self.fresh,
            now_ms + terms.session_ms,
            terms.chain_id,
            secrets.keys.epoch,
            secrets.keys.c2s,
            secrets.keys.s2c,
            private_key=b"" if pair is None else pair.to_der(),
            client_key=b"" if self.client_key is None else self.client_key.to_der(),
            epoch_until_ms=now_ms + MAX_EPOCH_MS,
            export=secrets.export,
        )
        record = None
        previous, chain = resumed or (None, None)
        if ticket is not None:
            ticket_id = ticket_hash(ticket)
            record = TicketRecord(
                ticket_id, terms.chain_id, self.suite.name, self.username, secrets.resume
            )
            chain = chain or TicketChain(
                terms.chain_id,
                self.suite.name,
                self.username,
                now_ms + terms.ticket_ms,
                self.session_id,
                b"",
                ticket_id,
                self.device,
            )
        message = ServerConfirmation(handshake.confirm_server, box)
        return Enrolment(session, record, chain, previous, message)


def _confirm(message: ClientConfirmation, record: ExchangeRecord) -> ConfirmedClient | None:
    if message.session_id != record.session_id:
        raise LocalProtocolError("a record of another session")
    handshake = record.handshake()
    if not equal(message.confirmation, handshake.confirm_client):
        return None
    box = message.box
    if handshake.suite.wraps != (box is not None):
        raise DecryptionFailed("a box is for rsa-gcm, and only for it")
    client_key = None if box is None else _client_key(handshake, box)
    return ConfirmedClient(record, box or b"", client_key)


def _client_key(handshake: Handshake, box: bytes) -> RsaPublicKey:
    inside = Members.parse("msgpack", handshake.open_client_box(box))
    der = inside.raw("public_key")
    inside.end()
    return validate_public_key_der(der)


def confirm_login(message: ClientConfirmation, exchange: ExchangeRecord | None) -> ConfirmedClient:
    """The client of a login; ``exchange`` is what the store removed, None if there was none.

    In rsa-gcm it takes up to 20 ms of arithmetic, but only if the client knew the code.
    Raises: CodeRefused (wrong code, or no exchange), DecryptionFailed, MalformedMessage,
    InvalidPublicKey (the code is spent).
    """
    if exchange is None or exchange.chain:
        raise CodeRefused("no exchange is open: begin with pA")
    confirmed = _confirm(message, exchange)
    if confirmed is None:
        raise CodeRefused("the code is wrong, or an attacker changed the handshake")
    return confirmed


class ConfirmedTicket:
    """A client that holds a ticket, good or spent. The chain at ResumptionServerHello decides."""

    def __init__(self, record: ExchangeRecord, confirmed: ConfirmedClient) -> None:
        self.suite = confirmed.suite
        self.username = confirmed.username
        self.ticket_hash = record.ticket_hash
        self.__chain = TicketChain.parse(record.chain)
        self.__confirmed = confirmed

    @property
    def chain_id(self) -> bytes:
        return self.__chain.chain_id

    def redeem(self, terms: Terms, now_ms: int) -> Enrolment:
        """The session and the new chain; ``terms.ticket`` is the successor.

        Raises: TicketRefused, LocalProtocolError, TicketReuseDetected (two parties hold the secret
        of the ticket: end the chain and its session, and log it).
        """
        before = self.__chain
        if terms.ticket is None or before.chain_id != terms.chain_id:
            raise LocalProtocolError("a resumption needs a new ticket of the same chain")
        after = before.redeemed(
            self.ticket_hash,
            ticket_hash(terms.ticket),
            self.__confirmed.session_id,
            now_ms,
            now_ms + terms.ticket_ms,
        )
        return self.__confirmed._enrol(terms, now_ms, (before, after))


def confirm_resumption(
    message: ClientConfirmation, exchange: ExchangeRecord | None
) -> ConfirmedTicket:
    """The ticket of a resumption, to be redeemed in its chain.

    Raises: TicketRefused, DecryptionFailed, MalformedMessage, InvalidPublicKey.
    """
    if exchange is None or not exchange.chain:
        raise TicketRefused("no resumption is open")
    confirmed = _confirm(message, exchange)
    if confirmed is None:
        raise TicketRefused("the proof does not fit the ticket")
    return ConfirmedTicket(exchange, confirmed)
