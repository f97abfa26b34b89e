"""Login and resumption at the client (PROTOCOL §2.4, §2.8).

Each function returns a message to send and an object that opens the answer::

    begin_login        ClientHello             PendingServerHello.open      -> AwaitedCode
    AwaitedCode.enter  ClientShare             PendingShare.open         -> ClientConfirmation
    begin_resumption   ResumptionClientHello   PendingResumption.open    -> ClientConfirmation
                                               PendingConfirmation.open  -> ClientSession
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.common.acceptance import Once
from protocol.common.codes import Code, Entropy
from protocol.common.errors import (
    CodeRefused,
    InvalidPublicKey,
    LocalProtocolError,
    TicketRefused,
)
from protocol.common.primitives import SCALAR_SEED_BYTES, Point, RsaPublicKey, ecdh, scalar

from .client_confirmation import PendingConfirmation, Subject, confirm
from .client_session import ClientTicket
from .handshake_messages import (
    DEVICE_RULE,
    NONCE_BYTES,
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerHello,
    ServerShare,
    is_device_name,
)
from .key_schedule import (
    Handshake,
    code_scalar,
    greeting_transcript,
    login_transcript,
    resumption_transcript,
)
from .spake2 import Blinding, Identities, admit_share, agree, client_secret, client_share
from .suites import ECDH_GCM, HARDENED_SUITES, VERSION, Freshness, HardenedSuite, choose_suite


class PendingShare:
    """pA was sent. It opens pB once."""

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
        self, message: ServerShare, public_key: RsaPublicKey | None = None
    ) -> tuple[ClientConfirmation, PendingConfirmation]:
        """ClientConfirmation; ``public_key`` is the client's, in rsa-gcm. Raises: InvalidPublicKey.

        ClientConfirmation lets the peer that made pB test one guess of the code.
        """
        self._opened.use("a server's share")
        p_b = None if message.p_b == self._p_a else admit_share(message.p_b)
        if p_b is None:
            raise InvalidPublicKey("pB is not a valid share of a server")
        secret = client_secret(self._blinding, self._x, p_b)
        if secret is None:
            raise InvalidPublicKey("pB leads to the point at infinity")
        awaited = self._awaited
        subject, suite = awaited.subject, awaited.suite
        th = login_transcript(awaited.transcript, self._p_a, message.p_b)
        who = Identities.of(subject.username, subject.realm)
        agreed = agree(who, self._p_a, message.p_b, secret, self._blinding.w, th)
        handshake = Handshake(
            suite, th, agreed.shared, agreed.confirm_client, agreed.confirm_server
        )
        return confirm(subject, awaited.greeting.session_id, handshake, public_key, CodeRefused)


@dataclass(frozen=True, slots=True)
class AwaitedCode:
    """A login that waits for the code. Each code that is entered costs an attempt."""

    subject: Subject
    suite: HardenedSuite
    greeting: ServerHello
    transcript: bytes = field(repr=False)

    def enter(self, code: Code, entropy: Entropy) -> tuple[ClientShare, PendingShare]:
        """ClientShare, with a code from ``typed_codes.read_code``."""
        session_id = self.greeting.session_id
        w = code_scalar(
            code.text, self.suite, self.subject.username, session_id, self.greeting.server_nonce
        )
        blinding, x = Blinding.of(w), scalar(entropy(SCALAR_SEED_BYTES))
        p_a = client_share(blinding, x)
        return ClientShare(session_id, p_a), PendingShare(self, blinding, x, p_a)


class PendingServerHello:
    """ClientHello was sent. It opens ServerHello once."""

    def __init__(self, hello: ClientHello, realm: str) -> None:
        self._hello = hello
        self._realm = realm
        self._opened = Once()

    def open(self, greeting: ServerHello) -> AwaitedCode:
        """Raises: UnsupportedSuite, if the client did not offer the suite of the server."""
        self._opened.use("a greeting")
        hello = self._hello
        suite = choose_suite(VERSION, [greeting.suite], hello.suites)
        transcript = greeting_transcript(hello, greeting, self._realm)
        return AwaitedCode(
            Subject(hello.username, self._realm, hello.fresh), suite, greeting, transcript
        )


def begin_login(
    username: str,
    realm: str,
    entropy: Entropy,
    suites: Sequence[str] = (ECDH_GCM.name,),
    fresh: Freshness = "clock",
    device: str | None = None,
) -> tuple[ClientHello, PendingServerHello]:
    """ClientHello. ``suites`` in order of preference; the client accepts no other suite.

    ``device`` names the device that the operator has issued the code for.
    Raises: LocalProtocolError, for a name that no device can have.
    """
    if device is not None and not is_device_name(device):
        raise LocalProtocolError(DEVICE_RULE)
    hello = ClientHello(VERSION, username, tuple(suites), fresh, entropy(NONCE_BYTES), device)
    return hello, PendingServerHello(hello, realm)


class PendingResumption:
    """ResumptionClientHello was sent. It opens ResumptionServerHello once."""

    def __init__(self, ticket: ClientTicket, hello: ResumptionClientHello, secret: int) -> None:
        self._ticket = ticket
        self._hello = hello
        self._secret = secret
        self._opened = Once()

    def open(
        self, greeting: ResumptionServerHello, public_key: RsaPublicKey | None = None
    ) -> tuple[ClientConfirmation, PendingConfirmation]:
        """ClientConfirmation; ``public_key`` as in a login. Raises: InvalidPublicKey."""
        self._opened.use("a server's share")
        ticket, hello = self._ticket, self._hello
        agreed = ecdh(self._secret, greeting.server_point)
        if agreed is None or greeting.server_point == hello.client_point:
            raise InvalidPublicKey("eS is not a valid point of a server")
        suite = HARDENED_SUITES[ticket.suite]
        th = resumption_transcript(hello, greeting, ticket.username, ticket.realm)
        handshake = Handshake.of_resumption(suite, th, ticket.secret, agreed)
        subject = Subject(ticket.username, ticket.realm, hello.fresh)
        return confirm(subject, greeting.session_id, handshake, public_key, TicketRefused)


def begin_resumption(
    ticket: ClientTicket, entropy: Entropy, fresh: Freshness = "clock"
) -> tuple[ResumptionClientHello, PendingResumption]:
    """ResumptionClientHello, and the object that opens its answer."""
    secret = scalar(entropy(SCALAR_SEED_BYTES))
    hello = ResumptionClientHello(
        VERSION,
        ticket.ticket,
        ticket.suite,
        fresh,
        entropy(NONCE_BYTES),
        Point.of_generator(secret).encode(),
    )
    return hello, PendingResumption(ticket, hello, secret)
