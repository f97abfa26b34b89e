"""Logging in and resuming at the server (PROTOCOL §15, §19).

The order is kept by what can be had from what::

    Hello -> Invitation -> LoginRecord                 M0, M1, and the mail
    ClientShare + claimed LoginRecord -> exchange      M2, M3: the attempt is spent by then
    ClientConfirmation + taken record -> Confirmed...  M4: only now is its box opened
    ConfirmedClient -> Enrolment                       M5, and what is to be stored

A store gives a LoginRecord only by claiming an attempt, and an ExchangeRecord only by taking it
away, so that one exchange is open for a session id and is confirmed or lost once.
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
    ClientShare,
    Greeting,
    Hello,
    ResumptionGreeting,
    ResumptionHello,
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
    """A login that was greeted and has no code yet."""

    greeting: Greeting
    suite: HardenedSuite
    _hello: Hello = field(repr=False)
    _transcript: bytes = field(repr=False)

    def for_code(self, code: Code) -> LoginRecord:
        """The login that ``code`` opens; it forgets the code. Half a millisecond."""
        return self._record(self._scalar(code))

    def decoy_for_unknown_user(self, entropy: Entropy) -> LoginRecord:
        """A login that no code opens: the user is unknown, or has had enough mails."""
        self._scalar(mint_code(entropy, HARDENED_CODE_CHARS))  # for the work, which is the same
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
        )


@dataclass(frozen=True, slots=True)
class HandshakeServer:
    """``realm`` names the service, as its clients know it; ``accepted`` the suites it takes."""

    realm: str
    accepted: Sequence[str] = tuple(HARDENED_SUITES)

    def greet(self, hello: Hello, expires_s: int, entropy: Entropy) -> Invitation:
        """M1, alike for every user. Raises: UnsupportedSuite."""
        suite = choose_suite(hello.version, hello.suites, self.accepted)
        greeting = Greeting(entropy(SESSION_ID_BYTES), suite.name, entropy(NONCE_BYTES), expires_s)
        transcript = greeting_transcript(
            hello.version,
            hello.username,
            hello.suites,
            hello.fresh,
            hello.client_nonce,
            greeting.session_id,
            suite,
            greeting.server_nonce,
            expires_s,
            self.realm,
        )
        return Invitation(greeting, suite, hello, transcript)

    def answer_share(
        self, message: ClientShare, login: LoginRecord | None, entropy: Entropy
    ) -> tuple[ServerShare, ExchangeRecord]:
        """M3, and what M4 will be tried against; the exchange before it is void.

        ``login`` is what the store gave for an attempt that it has counted, None where there was
        none to count. Raises: CodeRefused, InvalidPublicKey.
        """
        if login is None:
            raise CodeRefused("no code waits: unknown, spent or expired")
        _check_session(login.session_id, message.session_id)
        p_a = admit_share(message.p_a)
        if p_a is None:
            raise InvalidPublicKey("pA is not a point that a client makes")
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
        )

    def answer_resumption(
        self,
        message: ResumptionHello,
        ticket: TicketRecord | None,
        chain: TicketChain | None,
        entropy: Entropy,
    ) -> tuple[ResumptionGreeting, ExchangeRecord]:
        """R2, and what R3 will be tried against; ``chain`` is that of the ticket, as it is now.

        A spent ticket is answered like a good one: only R3 shows whether the client holds its
        secret, or has merely seen it go by. Raises: UnsupportedSuite, TicketRefused,
        InvalidPublicKey.
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
        greeting = ResumptionGreeting(
            entropy(SESSION_ID_BYTES), entropy(NONCE_BYTES), Point.of_generator(secret).encode()
        )
        th = resumption_transcript(
            message.version,
            message.ticket,
            suite,
            message.fresh,
            message.client_nonce,
            message.client_point,
            greeting.session_id,
            greeting.server_nonce,
            greeting.server_point,
            ticket.username,
            self.realm,
        )
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
