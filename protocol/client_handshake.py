"""Logging in and resuming at the client (PROTOCOL §15, §19).

::

    begin_login -> Hello           PendingGreeting.open -> AwaitedCode
    AwaitedCode.enter -> ClientShare                       PendingShare.open -> M4
    begin_resumption -> ResumptionHello                    PendingResumption.open -> R3
    PendingConfirmation.open -> ClientSession, ClientTicket

Nothing of the server's box is used, and so no session is had, before the server has proven that
it knows the code, or the ticket's secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .client_session import ClientSession, ClientTicket
from .codes import Code, Entropy
from .counter_window import MAX_FRESH_VALUE
from .envelopes import Members, serialize_members
from .errors import CodeRefused, KeyNotAdmitted, LocalProtocolError, RejectedMessage, TicketRefused
from .handshake_messages import (
    MAX_SESSION_MS,
    NONCE_BYTES,
    TICKET_BYTES,
    ClientConfirmation,
    ClientShare,
    Greeting,
    Hello,
    ResumptionGreeting,
    ResumptionHello,
    ServerConfirmation,
    ServerShare,
)
from .hardened_suites import (
    ECDH_GCM,
    HARDENED_SUITES,
    VERSION,
    Freshness,
    HardenedSuite,
    choose_suite,
)
from .key_schedule import (
    Handshake,
    code_scalar,
    greeting_transcript,
    login_transcript,
    resumption_transcript,
)
from .once import Once
from .primitives import SCALAR_SEED_BYTES, Point, RsaPrivateKey, ecdh, equal, scalar
from .rsa_keys import admit_der
from .spake2 import Blinding, Identities, admit_share, agree, client_secret, client_share

_MAX_TICKET_S = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whose session it will be, and what kind."""

    username: str
    realm: str
    fresh: Freshness


class PendingConfirmation:
    """The client has proven itself; opens the server's proof."""

    def __init__(
        self,
        subject: _Subject,
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
        """The session and, where one was granted, the ticket: to be kept before it is used.

        Raises: CodeRefused or TicketRefused (the server has not proven itself),
        DecryptionFailed, MalformedMessage, KeyNotAdmitted.
        """
        self._opened.use("a server's confirmation")
        handshake, subject = self._handshake, self._subject
        if not equal(message.confirmation, handshake.confirm_server):
            raise self._refused("the server has not proven itself")
        plaintext = handshake.open_server_box(self._client_box, message.box)
        inside = Members("msgpack", plaintext)
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
        server_key = admit_der(inside.raw("public_key")).to_der() if wraps else b""
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
        )
        return session, ticket


def _confirm(
    subject: _Subject,
    session_id: bytes,
    handshake: Handshake,
    pair: RsaPrivateKey | None,
    refused: type[RejectedMessage],
) -> tuple[ClientConfirmation, PendingConfirmation]:
    if handshake.suite.wraps != (pair is not None):
        raise LocalProtocolError("a pair of keys belongs to rsa-gcm, and to it alone")
    box = None
    if pair is not None:
        inside = serialize_members("msgpack", {"public_key": pair.public.to_der()})
        box = handshake.seal_client_box(inside)
    pending = PendingConfirmation(subject, session_id, handshake, box or b"", refused)
    return ClientConfirmation(session_id, handshake.confirm_client, box), pending


class PendingShare:
    """pA was sent; opens pB."""

    def __init__(
        self,
        awaited: "AwaitedCode",
        blinding: Blinding,
        x: int,
        p_a: bytes,
    ) -> None:
        self._awaited = awaited
        self._blinding = blinding
        self._x = x
        self._p_a = p_a
        self._opened = Once()

    def open(
        self, message: ServerShare, pair: RsaPrivateKey | None = None
    ) -> tuple[ClientConfirmation, PendingConfirmation]:
        """M4; ``pair`` is the client's where the suite wraps. Raises: KeyNotAdmitted.

        What M4 says lets whoever made pB test one guess of the code, and no more.
        """
        self._opened.use("a server's share")
        p_b = None if message.p_b == self._p_a else admit_share(message.p_b)
        if p_b is None:
            raise KeyNotAdmitted("pB is not a point that a server makes")
        secret = client_secret(self._blinding, self._x, p_b)
        if secret is None:
            raise KeyNotAdmitted("pB leads to the point at infinity")
        awaited = self._awaited
        subject, suite = awaited.subject, awaited.suite
        th = login_transcript(awaited.transcript, self._p_a, message.p_b)
        who = Identities.of(subject.username, subject.realm)
        agreed = agree(who, self._p_a, message.p_b, secret, self._blinding.w, th)
        handshake = Handshake(
            suite, th, agreed.shared, agreed.confirm_client, agreed.confirm_server
        )
        return _confirm(subject, awaited.greeting.session_id, handshake, pair, CodeRefused)


@dataclass(frozen=True, slots=True)
class AwaitedCode:
    """A login that waits for what the mail says. Each code that is entered costs an attempt."""

    subject: _Subject
    suite: HardenedSuite
    greeting: Greeting
    transcript: bytes = field(repr=False)

    def enter(self, code: Code, entropy: Entropy) -> tuple[ClientShare, PendingShare]:
        """M2, with a code as ``read_code`` gave it."""
        session_id = self.greeting.session_id
        w = code_scalar(
            code.text, self.suite, self.subject.username, session_id, self.greeting.server_nonce
        )
        blinding, x = Blinding.of(w), scalar(entropy(SCALAR_SEED_BYTES))
        p_a = client_share(blinding, x)
        return ClientShare(session_id, p_a), PendingShare(self, blinding, x, p_a)


class PendingGreeting:
    """A login was begun; opens the greeting."""

    def __init__(self, hello: Hello, realm: str) -> None:
        self._hello = hello
        self._realm = realm
        self._opened = Once()

    def open(self, greeting: Greeting) -> AwaitedCode:
        """Raises: UnsupportedSuite, where the server chose what was not offered."""
        self._opened.use("a greeting")
        hello = self._hello
        suite = choose_suite(VERSION, [greeting.suite], hello.suites)
        transcript = greeting_transcript(
            hello.version,
            hello.username,
            hello.suites,
            hello.fresh,
            hello.client_nonce,
            greeting.session_id,
            suite,
            greeting.server_nonce,
            greeting.expires_s,
            self._realm,
        )
        return AwaitedCode(
            _Subject(hello.username, self._realm, hello.fresh), suite, greeting, transcript
        )


def begin_login(
    username: str,
    realm: str,
    entropy: Entropy,
    suites: Sequence[str] = (ECDH_GCM.name,),
    fresh: Freshness = "clock",
) -> tuple[Hello, PendingGreeting]:
    """M0. ``suites`` in the order of preference; no other will be used, whatever is answered."""
    hello = Hello(VERSION, username, tuple(suites), fresh, entropy(NONCE_BYTES))
    return hello, PendingGreeting(hello, realm)


class PendingResumption:
    """A ticket was presented; opens the server's share."""

    def __init__(self, ticket: ClientTicket, hello: ResumptionHello, secret: int) -> None:
        self._ticket = ticket
        self._hello = hello
        self._secret = secret
        self._opened = Once()

    def open(
        self, greeting: ResumptionGreeting, pair: RsaPrivateKey | None = None
    ) -> tuple[ClientConfirmation, PendingConfirmation]:
        """R3; ``pair`` is the client's where the suite wraps. Raises: KeyNotAdmitted."""
        self._opened.use("a server's share")
        ticket, hello = self._ticket, self._hello
        agreed = ecdh(self._secret, greeting.server_point)
        if agreed is None or greeting.server_point == hello.client_point:
            raise KeyNotAdmitted("eS is not a point that a server makes")
        suite = HARDENED_SUITES[ticket.suite]
        th = resumption_transcript(
            hello.version,
            hello.ticket,
            suite,
            hello.fresh,
            hello.client_nonce,
            hello.client_point,
            greeting.session_id,
            greeting.server_nonce,
            greeting.server_point,
            ticket.username,
            ticket.realm,
        )
        handshake = Handshake.of_resumption(suite, th, ticket.secret, agreed)
        subject = _Subject(ticket.username, ticket.realm, hello.fresh)
        return _confirm(subject, greeting.session_id, handshake, pair, TicketRefused)


def begin_resumption(
    ticket: ClientTicket, entropy: Entropy, fresh: Freshness = "clock"
) -> tuple[ResumptionHello, PendingResumption]:
    """R1."""
    secret = scalar(entropy(SCALAR_SEED_BYTES))
    hello = ResumptionHello(
        VERSION,
        ticket.ticket,
        ticket.suite,
        fresh,
        entropy(NONCE_BYTES),
        Point.of_generator(secret).encode(),
    )
    return hello, PendingResumption(ticket, hello, secret)
