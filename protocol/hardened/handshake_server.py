"""Login and resumption at the server (PROTOCOL §2.4, §2.8).

Each step needs the result of the step before, which enforces the order::

    ClientHello -> Invitation -> LoginRecord               ServerHello, and the mail
    ClientShare + LoginRecord -> ExchangeRecord            ServerShare; the attempt was counted
    ClientConfirmation + ExchangeRecord -> ConfirmedClient only now the box is opened
    ConfirmedClient -> Enrolment                           ServerConfirmation, and the records

A store returns a LoginRecord only when it counts an attempt, and an ExchangeRecord only when it
removes the record. So one exchange is open for a session id, and it is confirmed or lost once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.common.codes import HARDENED_CODE_CHARS, Code, Entropy, mint_code
from protocol.common.errors import (
    CodeRefused,
    InvalidPublicKey,
    LocalProtocolError,
    TicketRefused,
)
from protocol.common.primitives import SCALAR_SEED_BYTES, Point, ecdh, scalar

from .handshake_messages import (
    NONCE_BYTES,
    SESSION_ID_BYTES,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerHello,
    ServerShare,
)
from .key_schedule import (
    Handshake,
    code_scalar,
    greeting_transcript,
    login_transcript,
    resumption_transcript,
)
from .records import ExchangeRecord, LoginRecord, TicketChain, TicketRecord
from .spake2 import Blinding, Identities, admit_share, agree, server_secret, server_share
from .suites import HARDENED_SUITES, HardenedSuite, choose_suite


@dataclass(frozen=True, slots=True)
class Invitation:
    """A login after ServerHello, which has no code yet."""

    greeting: ServerHello
    suite: HardenedSuite
    _hello: ClientHello = field(repr=False)
    _transcript: bytes = field(repr=False)

    def for_code(self, code: Code) -> LoginRecord:
        """The login for ``code``. It does not keep the code. It takes half a millisecond."""
        return self._record(self._scalar(code))

    def decoy_for_unknown_user(self, entropy: Entropy) -> LoginRecord:
        """A login that no code opens: the user is unknown, or got the allowed number of mails."""
        self._scalar(mint_code(entropy, HARDENED_CODE_CHARS))  # for equal work
        return self._record(scalar(entropy(SCALAR_SEED_BYTES)))

    def _scalar(self, code: Code) -> int:
        greeting = self.greeting
        return code_scalar(
            code.text,
            self.suite,
            self._hello.username,
            greeting.session_id,
            greeting.server_nonce,
        )

    def _record(self, w: int) -> LoginRecord:
        return LoginRecord(
            self.greeting.session_id,
            self.suite.name,
            self._hello.username,
            self._hello.fresh,
            self._transcript,
            Blinding.of(w).serialize(),
            self._hello.device or "",
        )


@dataclass(frozen=True, slots=True)
class HandshakeServer:
    """``realm`` is the name of the service; ``accepted`` are the suites that it accepts."""

    realm: str
    accepted: Sequence[str] = tuple(HARDENED_SUITES)

    def greet(self, hello: ClientHello, expires_s: int, entropy: Entropy) -> Invitation:
        """ServerHello, alike for every user. Raises: UnsupportedSuite."""
        suite = choose_suite(hello.version, hello.suites, self.accepted)
        greeting = ServerHello(
            entropy(SESSION_ID_BYTES), suite.name, entropy(NONCE_BYTES), expires_s
        )
        transcript = greeting_transcript(hello, greeting, self.realm)
        return Invitation(greeting, suite, hello, transcript)

    def answer_share(
        self, message: ClientShare, login: LoginRecord | None, entropy: Entropy
    ) -> tuple[ServerShare, ExchangeRecord]:
        """ServerShare, and the exchange for ClientConfirmation. It voids an earlier exchange.

        ``login`` is what the store returned when it counted the attempt; None if no attempt was
        left. Raises: CodeRefused, InvalidPublicKey.
        """
        if login is None:
            raise CodeRefused("no code waits: unknown, spent or expired")
        _check_session(login.session_id, message.session_id)
        p_a = admit_share(message.p_a)
        if p_a is None:
            raise InvalidPublicKey("pA is not a valid share of a client")
        blinding, y = login.load_blinding(), scalar(entropy(SCALAR_SEED_BYTES))
        secret, p_b = server_secret(blinding, y, p_a), server_share(blinding, y)
        if secret is None:
            raise InvalidPublicKey("pA leads to the point at infinity")
        th = login_transcript(login.greeting, message.p_a, p_b)
        who = Identities.of(login.username, self.realm)
        agreement = agree(who, message.p_a, p_b, secret, blinding.w, th)
        return ServerShare(p_b), ExchangeRecord(
            login.session_id,
            login.suite,
            login.username,
            login.fresh,
            th,
            agreement.shared,
            agreement.confirm_client,
            agreement.confirm_server,
            device=login.device,
        )

    def answer_resumption(
        self,
        message: ResumptionClientHello,
        ticket: TicketRecord | None,
        chain: TicketChain | None,
        entropy: Entropy,
    ) -> tuple[ResumptionServerHello, ExchangeRecord]:
        """ResumptionServerHello, and the exchange for ClientConfirmation.

        ``chain`` is the current chain of the ticket. A spent ticket gets the same answer as a good
        one: only ClientConfirmation shows whether the client holds its secret or has merely seen
        the ticket. Raises: UnsupportedSuite, TicketRefused, InvalidPublicKey.
        """
        suite = choose_suite(message.version, [message.suite], self.accepted)
        if ticket is None or chain is None or ticket.suite != suite.name:
            raise TicketRefused("no such ticket: unknown, expired, revoked, or of another suite")
        if ticket.chain_id != chain.chain_id:
            raise LocalProtocolError("a chain of another ticket")
        secret = scalar(entropy(SCALAR_SEED_BYTES))
        agreed = ecdh(secret, message.client_point)
        if agreed is None:
            raise InvalidPublicKey("eC is not a point")
        greeting = ResumptionServerHello(
            entropy(SESSION_ID_BYTES), entropy(NONCE_BYTES), Point.of_generator(secret).encode()
        )
        th = resumption_transcript(message, greeting, ticket.username, self.realm)
        handshake = Handshake.of_resumption(suite, th, ticket.secret, agreed)
        return greeting, ExchangeRecord(
            greeting.session_id,
            suite.name,
            ticket.username,
            message.fresh,
            th,
            handshake.shared,
            handshake.confirm_client,
            handshake.confirm_server,
            ticket.ticket_hash,
            chain.serialize(),
        )


def _check_session(stored: bytes, named: bytes) -> None:
    if stored != named:
        raise LocalProtocolError("a record of another session")
