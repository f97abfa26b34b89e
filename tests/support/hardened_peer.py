"""A client and a server of a hardened suite, in memory; for tests.

``Memory`` is the simplest store that STORAGE §2 allows: bytes, a counter and comparisons.
"""

from dataclasses import dataclass, field, replace

from make_vectors import NOW_MS
from peer import key_pair, seeded

from protocol.common.codes import CODE_ATTEMPTS, Code
from protocol.common.envelopes import Format
from protocol.common.errors import TicketReuseDetected
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.hardened.client_handshake import (
    AwaitedCode,
    PendingServerHello,
    begin_login,
    begin_resumption,
)
from protocol.hardened.client_session import (
    ClientSession,
    ClientTicket,
    PendingMessage,
    seal_request,
)
from protocol.hardened.confirmation import Enrolment, Terms, confirm_login, confirm_resumption
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.message_server import (
    AcceptedMessage,
    OpenedMessage,
    ServerSession,
    StaleMessage,
    open_request,
)
from protocol.hardened.records import (
    ExchangeRecord,
    LoginRecord,
    SessionRecord,
    TicketChain,
    TicketRecord,
    ticket_hash,
)
from protocol.hardened.replay_window import FreshnessClaim, ReplayWindow
from protocol.hardened.sealed_messages import Envelope, Kind
from protocol.hardened.suites import HARDENED_SUITES, Freshness

HOUR_MS = 3_600_000
REALM = "gateway.example"
CODE8 = Code("7K3QWXYZ")
OTHER_CODE8 = Code("7K3QWXY0")
REQUEST = HttpRequest("PUT", "/fan?speed=2", (("Accept", "*/*"),), b"\xff\x00 secret-value")
RESPONSE = HttpResponse(201, (("X-Unit", "rpm"),), b"1200")


@dataclass
class Memory:
    """The data of a gateway. Every method is one atomic step."""

    logins: dict[bytes, bytes] = field(default_factory=dict)
    attempts: dict[bytes, int] = field(default_factory=dict)
    exchanges: dict[bytes, bytes] = field(default_factory=dict)
    sessions: dict[bytes, bytes] = field(default_factory=dict)
    windows: dict[bytes, bytes] = field(default_factory=dict)
    salts: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    tickets: dict[bytes, bytes] = field(default_factory=dict)
    chains: dict[bytes, bytes] = field(default_factory=dict)
    revoked: list[bytes] = field(default_factory=list)

    def claim_attempt(self, session_id: bytes) -> LoginRecord | None:
        """Counts an attempt and deletes the exchange of the previous one."""
        if session_id not in self.logins or self.attempts.get(session_id, 0) >= CODE_ATTEMPTS:
            return None
        self.attempts[session_id] = self.attempts.get(session_id, 0) + 1
        self.exchanges.pop(session_id, None)
        return LoginRecord.parse(self.logins[session_id])

    def take_exchange(self, session_id: bytes) -> ExchangeRecord | None:
        data = self.exchanges.pop(session_id, None)
        return ExchangeRecord.parse(data) if data else None

    def enrol(self, enrolment: Enrolment) -> bool:
        """Confirms a pending login, or continues a chain that has not changed."""
        session, chain, previous = enrolment.session, enrolment.chain, enrolment.previous
        if previous is None:
            if self.logins.pop(session.session_id, None) is None:
                return False
        elif self.chains.get(previous.chain_id) != previous.serialize():
            return False
        else:
            self.sessions.pop(previous.session_id, None)
        self.sessions[session.session_id] = session.serialize()
        self.windows[session.session_id] = ReplayWindow().serialize()
        if enrolment.ticket is not None:
            self.tickets[enrolment.ticket.ticket_hash] = enrolment.ticket.serialize()
        if chain is not None:
            self.chains[chain.chain_id] = chain.serialize()
        return True

    def session(self, session_id: bytes) -> SessionRecord | None:
        data = self.sessions.get(session_id)
        return SessionRecord.parse(data) if data else None

    def claim(self, session_id: bytes, claim: FreshnessClaim) -> bool:
        if claim.fresh == "counter":
            window = ReplayWindow.parse(self.windows[session_id]).claim(claim.value)
            if window is None:
                return False
            self.windows[session_id] = window.serialize()
            return True
        key = (session_id, claim.salt)
        if key in self.salts:
            return False
        self.salts[key] = claim.expires_ms
        return True

    def forget(self, now_ms: int) -> None:
        self.salts = {key: until for key, until in self.salts.items() if until >= now_ms}

    def ticket(self, ticket: bytes) -> TicketRecord | None:
        data = self.tickets.get(ticket_hash(ticket))
        return TicketRecord.parse(data) if data else None

    def chain(self, chain_id: bytes) -> TicketChain | None:
        data = self.chains.get(chain_id)
        return TicketChain.parse(data) if data else None

    def revoke(self, chain_id: bytes) -> None:
        chain = TicketChain.parse(self.chains.pop(chain_id))
        self.sessions.pop(chain.session_id, None)
        self.tickets = {
            key: data
            for key, data in self.tickets.items()
            if TicketRecord.parse(data).chain_id != chain.chain_id
        }
        self.revoked.append(chain.chain_id)


class HardenedPeer:
    """Client and server; every message is serialized in ``form``."""

    def __init__(
        self,
        suite: str = "ecdh-gcm",
        fresh: Freshness = "clock",
        form: Format = "msgpack",
        seed: object = 0,
    ) -> None:
        self.suite = HARDENED_SUITES[suite]
        self.fresh: Freshness = fresh
        self.form: Format = form
        self.entropy = seeded(seed)
        self.now_ms = NOW_MS
        self.memory = Memory()
        self.server = HandshakeServer(REALM)
        self.code = CODE8

    @property
    def client_pair(self) -> RsaPrivateKey | None:
        return key_pair("test-client") if self.suite.wraps else None

    @property
    def client_key(self) -> RsaPublicKey | None:
        return key_pair("test-client").public if self.suite.wraps else None

    def terms(self, chain_id: bytes, tickets: bool = True) -> Terms:
        return Terms(
            HOUR_MS,
            chain_id if tickets else b"",
            self.entropy(16) if tickets else None,
            private_key=key_pair("test-session") if self.suite.wraps else None,
        )

    # --- login ---

    def hello(self) -> tuple[ClientHello, PendingServerHello]:
        hello, pending = begin_login("Ada", REALM, self.entropy, [self.suite.name], self.fresh)
        return ClientHello.parse(self.form, hello.serialize(self.form)), pending

    def greet(self, known: bool = True) -> AwaitedCode:
        """ClientHello, ServerHello and the mail."""
        hello, pending = self.hello()
        invitation = self.server.greet(hello, 600, self.entropy)
        login = (
            invitation.for_code(self.code)
            if known
            else invitation.decoy_for_unknown_user(self.entropy)
        )
        self.memory.logins[login.session_id] = login.serialize()
        greeting = ServerHello.parse(self.form, invitation.greeting.serialize(self.form))
        return pending.open(greeting)

    def answer_share(self, share: ClientShare) -> ServerShare:
        """ClientShare and ServerShare at the server, in the order of a gateway."""
        share = ClientShare.parse(self.form, share.serialize(self.form))
        login = self.memory.claim_attempt(share.session_id)
        answer, exchange = self.server.answer_share(share, login, self.entropy)
        self.memory.exchanges[share.session_id] = exchange.serialize()
        return ServerShare.parse(self.form, answer.serialize(self.form))

    def confirm(self, message: ClientConfirmation, tickets: bool = True) -> ServerConfirmation:
        """ClientConfirmation and ServerConfirmation at the server."""
        message = ClientConfirmation.parse(self.form, message.serialize(self.form))
        client = confirm_login(message, self.memory.take_exchange(message.session_id))
        enrolment = client.enrol(self.terms(self.entropy(16), tickets), self.now_ms)
        answer = enrolment.accept(self.memory.enrol(enrolment))
        return ServerConfirmation.parse(self.form, answer.serialize(self.form))

    def login(
        self, code: Code | None = None, tickets: bool = True
    ) -> tuple[ClientSession, ClientTicket | None]:
        share, pending = self.greet().enter(code or self.code, self.entropy)
        message, confirmation = pending.open(self.answer_share(share), self.client_key)
        return confirmation.open(self.confirm(message, tickets), self.now_ms)

    # --- resumption ---

    def answer_resumption(self, hello: ResumptionClientHello) -> ResumptionServerHello:
        """ResumptionClientHello and ResumptionServerHello at the server."""
        hello = ResumptionClientHello.parse(self.form, hello.serialize(self.form))
        ticket = self.memory.ticket(hello.ticket)
        chain = self.memory.chain(ticket.chain_id) if ticket else None
        greeting, exchange = self.server.answer_resumption(hello, ticket, chain, self.entropy)
        self.memory.exchanges[greeting.session_id] = exchange.serialize()
        return ResumptionServerHello.parse(self.form, greeting.serialize(self.form))

    def redeem(self, message: ClientConfirmation) -> ServerConfirmation:
        """ClientConfirmation and ServerConfirmation at the server."""
        message = ClientConfirmation.parse(self.form, message.serialize(self.form))
        ticket = confirm_resumption(message, self.memory.take_exchange(message.session_id))
        try:
            enrolment = ticket.redeem(self.terms(ticket.chain_id), self.now_ms)
        except TicketReuseDetected:
            self.memory.revoke(ticket.chain_id)
            raise
        answer = enrolment.accept(self.memory.enrol(enrolment))
        return ServerConfirmation.parse(self.form, answer.serialize(self.form))

    def resume(self, ticket: ClientTicket) -> tuple[ClientSession, ClientTicket]:
        hello, pending = begin_resumption(ticket, self.entropy, self.fresh)
        message, confirmation = pending.open(self.answer_resumption(hello), self.client_key)
        session, successor = confirmation.open(self.redeem(message), self.now_ms)
        assert successor is not None
        return session, successor

    # --- messages ---

    def send(
        self, session: ClientSession, request: HttpRequest = REQUEST
    ) -> tuple[Envelope, PendingMessage, ClientSession]:
        return seal_request(session, request, self.now_ms, self.entropy, self.client_pair)

    def open(
        self, envelope: Envelope, now_ms: int | None = None, kind: Kind = Kind.REQUEST
    ) -> OpenedMessage:
        envelope = Envelope.parse(self.form, envelope.serialize(self.form))
        record = self.memory.session(envelope.header.session_id)
        session = ServerSession.load(record) if record else None
        now_ms = self.now_ms if now_ms is None else now_ms
        return open_request(envelope, session, now_ms, kind=kind)

    def decide(
        self, envelope: Envelope, now_ms: int | None = None, kind: Kind = Kind.REQUEST
    ) -> AcceptedMessage | StaleMessage:
        """Serve the request: claim it and store the session."""
        opened = self.open(envelope, now_ms, kind)
        session_id = envelope.header.session_id
        claimed = self.memory.claim(session_id, opened.claim)
        decided = opened.accept(claimed, self.now_ms if now_ms is None else now_ms)
        if isinstance(decided, AcceptedMessage) and decided.moved:
            self.memory.sessions[session_id] = decided.session.serialize()
        return decided

    def receive(
        self, envelope: Envelope, now_ms: int | None = None, kind: Kind = Kind.REQUEST
    ) -> AcceptedMessage:
        decided = self.decide(envelope, now_ms, kind)
        assert isinstance(decided, AcceptedMessage)
        return decided

    def respond(self, envelope: Envelope, response: HttpResponse = RESPONSE) -> Envelope:
        answer = self.receive(envelope).seal_response(response, self.now_ms, self.entropy)
        return Envelope.parse(self.form, answer.serialize(self.form))

    def exchange(
        self, session: ClientSession, request: HttpRequest = REQUEST
    ) -> tuple[HttpResponse, ClientSession]:
        """A request and its response."""
        envelope, pending, session = self.send(session, request)
        response = pending.open(self.respond(envelope), 0)
        return response, session.answered(pending.epoch)


def with_header(envelope: Envelope, raw_header: bytes) -> Envelope:
    """``envelope`` with another header, as a parser would see it."""
    return replace(envelope, raw_header=raw_header, header=type(envelope.header).parse(raw_header))
