"""The client has proven itself: M4 and M5, R3 and R4, at the server (PROTOCOL §15.5, §19.2).

``confirm_login`` gives a ``ConfirmedClient``, ``confirm_resumption`` a ``ConfirmedTicket``, which
is enrolled when its chain was swapped. Either is enrolled once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from .envelopes import Members, serialize_members
from .errors import CodeRefused, DecryptionFailed, LocalProtocolError, TicketRefused
from .handshake_messages import MAX_SESSION_MS, ClientConfirmation, ServerConfirmation
from .hardened_suites import Freshness, HardenedSuite
from .key_schedule import Handshake
from .once import Once
from .primitives import RsaPrivateKey, RsaPublicKey, equal
from .records import ExchangeRecord, SessionRecord, TicketChain, TicketRecord, ticket_hash
from .rsa_keys import admit_der

TICKET_LIFETIME_MS = 2_592_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a gateway grants: the session's lifetime, a ticket or none, and its pair in rsa-gcm.

    ``ticket`` is 16 new random bytes; ``chain_id`` that of its chain.
    """

    session_ms: int
    chain_id: bytes = b""
    ticket: bytes | None = field(default=None, repr=False)
    ticket_ms: int = TICKET_LIFETIME_MS
    private_key: RsaPrivateKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """M5, to be sent when the session is stored, and ticket and chain too if there are any.

    ``chain`` is the chain that a login begins; a resumption has swapped its own before.
    """

    message: ServerConfirmation
    session: SessionRecord
    ticket: TicketRecord | None
    ticket_expires_ms: int

    @property
    def chain(self) -> TicketChain | None:
        if self.ticket is None:
            return None
        return TicketChain(
            self.ticket.chain_id,
            self.ticket.suite,
            self.ticket.username,
            self.ticket_expires_ms,
            self.session.session_id,
            b"",
            self.ticket.ticket_hash,
        )


class ConfirmedClient:
    """A client that has proven its code or its ticket. The code is spent; enrol it once."""

    def __init__(
        self, record: ExchangeRecord, client_box: bytes, client_key: RsaPublicKey | None
    ) -> None:
        self.session_id = record.session_id
        self.username = record.username
        self.fresh: Freshness = record.fresh
        self.client_key = client_key
        self._handshake = record.handshake()
        self._client_box = client_box
        self._enrolled = Once()

    @property
    def suite(self) -> HardenedSuite:
        return self._handshake.suite

    def enrol(self, terms: Terms, now_ms: int) -> Enrolment:
        """The session, and the message that begins it. Raises: LocalProtocolError."""
        self._enrolled.use("the right to enrol")
        if not 0 < terms.session_ms <= MAX_SESSION_MS:
            raise LocalProtocolError("a session lives 12 hours at most")
        if self.suite.wraps != (terms.private_key is not None):
            raise LocalProtocolError("a pair of keys belongs to rsa-gcm, and to it alone")
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
        )
        record = None
        if ticket is not None:
            record = TicketRecord(
                ticket_hash(ticket),
                terms.chain_id,
                self.suite.name,
                self.username,
                secrets.resume,
            )
        return Enrolment(
            ServerConfirmation(handshake.confirm_server, box),
            session,
            record,
            now_ms + terms.ticket_ms,
        )


def _confirm(message: ClientConfirmation, record: ExchangeRecord) -> ConfirmedClient | None:
    if message.session_id != record.session_id:
        raise LocalProtocolError("a record of another session")
    handshake = record.handshake()
    if not equal(message.confirmation, handshake.confirm_client):
        return None
    box = message.box
    if handshake.suite.wraps != (box is not None):
        raise DecryptionFailed("a box belongs to rsa-gcm, and to it alone")
    client_key = None if box is None else _client_key(handshake, box)
    return ConfirmedClient(record, box or b"", client_key)


def _client_key(handshake: Handshake, box: bytes) -> RsaPublicKey:
    inside = Members("msgpack", handshake.open_client_box(box))
    der = inside.raw("public_key")
    inside.end()
    return admit_der(der)


def confirm_login(message: ClientConfirmation, exchange: ExchangeRecord | None) -> ConfirmedClient:
    """M4; ``exchange`` is what the store had for it and has let go of, None where it had none.

    Up to 20 ms of arithmetic in rsa-gcm, and only for who knew the code.
    Raises: CodeRefused (another code, or no exchange), DecryptionFailed, MalformedMessage,
    KeyNotAdmitted (the code is spent).
    """
    if exchange is None or exchange.chain_id:
        raise CodeRefused("no exchange is open: begin with pA")
    confirmed = _confirm(message, exchange)
    if confirmed is None:
        raise CodeRefused("the code does not fit, or someone stands between")
    return confirmed


@dataclass(frozen=True, slots=True)
class Redemption:
    """A ticket whose chain must be swapped, from what it was to ``chain``, before it counts.

    ``ended_session`` is the session that the chain had before: to be ended with the swap.
    """

    chain: TicketChain
    ended_session: bytes
    _enrol: Callable[[], Enrolment] = field(repr=False)

    def accept(self, swapped: bool) -> Enrolment:
        """R4. Raises: TicketRefused, where another redemption was first: load and redeem again."""
        if not swapped:
            raise TicketRefused("the chain has changed")
        return self._enrol()


class ConfirmedTicket:
    """A client that has proven to hold a ticket; whether the ticket is good, its chain tells."""

    def __init__(self, record: ExchangeRecord, confirmed: ConfirmedClient) -> None:
        self.chain_id = record.chain_id
        self.suite = confirmed.suite
        self.username = confirmed.username
        self.__ticket_hash = record.ticket_hash
        self.__confirmed = confirmed

    def redeem(self, chain: TicketChain | None, terms: Terms, now_ms: int) -> Redemption:
        """What the chain becomes; ``terms.ticket`` is the successor.

        Raises: TicketRefused, TicketReturned (end the chain and its session, and write it down:
        two hold its secrets), LocalProtocolError.
        """
        if chain is None:
            raise TicketRefused("the chain was revoked")
        if terms.ticket is None or not self.chain_id == chain.chain_id == terms.chain_id:
            raise LocalProtocolError("a resumption goes on with a ticket of its chain")
        changed = chain.redeemed(
            self.__ticket_hash,
            ticket_hash(terms.ticket),
            self.__confirmed.session_id,
            now_ms,
            now_ms + terms.ticket_ms,
        )
        enrol = partial(self.__confirmed.enrol, terms, now_ms)
        return Redemption(changed, chain.session_id, enrol)


def confirm_resumption(
    message: ClientConfirmation, exchange: ExchangeRecord | None
) -> ConfirmedTicket:
    """R3: the ticket to redeem from the chain that it names.

    Raises: TicketRefused, DecryptionFailed, MalformedMessage, KeyNotAdmitted.
    """
    if exchange is None or not exchange.chain_id:
        raise TicketRefused("no resumption is open")
    confirmed = _confirm(message, exchange)
    if confirmed is None:
        raise TicketRefused("the proof does not fit the ticket")
    return ConfirmedTicket(exchange, confirmed)
