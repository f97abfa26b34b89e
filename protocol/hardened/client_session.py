"""A hardened session at the client, as values that the client can store (PROTOCOL §2.6, §2.7).

``seal_request`` returns the message, a ``PendingMessage`` that opens the answer, and the new state
of the session. With ``counter`` a client MUST store that state before it sends. An answer is opened
in two steps, because the client's RSA key can be in another place: ``receive`` returns what that
key must unwrap, and ``ReceivedAnswer.open`` takes the result. The module is long because these
values take each other apart: each is made by the one before.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from protocol.common.acceptance import Once
from protocol.common.codec import parse_msgpack, serialize_msgpack
from protocol.common.codes import Entropy
from protocol.common.envelopes import Members
from protocol.common.errors import (
    DecryptionFailed,
    LocalProtocolError,
    MalformedMessage,
    RejectedMessage,
    StaleTimestamp,
)
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.streams.opening import SocketRequest, StreamGrant, StreamRequest, stream_offer
from protocol.streams.records import StreamKeys

from .key_schedule import EpochKeys, stream_label
from .records import Record
from .replay_window import MAX_FRESH_VALUE
from .sealed_messages import Envelope, Header, Kind, open_with_secret, seal_message, unwrap
from .suites import HARDENED_SUITES, Freshness

EPOCH_LIFETIME_MS = 900_000
CLOCK_MARGIN_MS = 1_000


class ClockRefused(StaleTimestamp):
    """The server has used the message up unread, because of its time.

    ``server_ms`` is the server's time. ``may_retry``: the message was never inside the window on
    its way. Otherwise the server may have carried it out before, and an attacker may have held the
    answer back: let the user decide.
    """

    def __init__(self, server_ms: int, may_retry: bool) -> None:
        super().__init__("the server's clock differs")
        self.server_ms = server_ms
        self.may_retry = may_retry


class EpochRefused(RejectedMessage):
    """The server has used the message up unread, because its epoch has lasted too long.

    The server claimed it only now, so it was not carried out before. The client may send the
    request once more, in the next epoch.
    """

    code = "stale_epoch"


@dataclass(frozen=True, slots=True)
class ClientTicket(Record):
    """A ticket with its secret. ``expires_ms`` is by the client's clock."""

    KIND: ClassVar[str] = "client ticket"

    ticket: bytes = field(repr=False)
    suite: str
    username: str
    realm: str
    expires_ms: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientSession(Record):
    """A session at the client. Times are by the client's clock.

    ``offset_ms``   add it to the client's clock to get the server's
    ``sequence``    the number of the last message
    ``heard``       1 after the client has opened a response in this epoch, otherwise 0
    ``server_key``  the server's public key (SPKI DER) in rsa-gcm, otherwise empty
    ``export``      the secret of the exporter, the same in all epochs
    """

    KIND: ClassVar[str] = "client session"

    session_id: bytes
    suite: str
    username: str
    realm: str
    fresh: Freshness
    expires_ms: int
    offset_ms: int
    epoch: int
    epoch_started_ms: int
    c2s: bytes = field(repr=False)
    s2c: bytes = field(repr=False)
    sequence: int = 0
    heard: int = 0
    server_key: bytes = field(default=b"", repr=False)
    export: bytes = field(default=b"", repr=False)

    def keys(self) -> EpochKeys:
        return EpochKeys(HARDENED_SUITES[self.suite], self.epoch, self.c2s, self.s2c)

    def rekeyed(self, now_ms: int) -> "ClientSession":
        """The session in its next epoch. Call it only after an answer in this one (§2.7.1)."""
        keys = self.keys().next()
        return replace(
            self,
            epoch=keys.epoch,
            c2s=keys.c2s,
            s2c=keys.s2c,
            epoch_started_ms=now_ms,
            heard=0,
        )

    def answered(self, epoch: int) -> "ClientSession":
        """The session after a response to a message of ``epoch`` was opened.

        A refusal does not count: a refused message does not move the server to the next epoch.
        """
        return replace(self, heard=1) if epoch == self.epoch and not self.heard else self

    def refused(self, epoch: int, now_ms: int) -> "ClientSession":
        """The session after EpochRefused for a message of ``epoch``."""
        return self.rekeyed(now_ms) if epoch == self.epoch else self

    def corrected(self, server_ms: int, now_ms: int) -> "ClientSession":
        """The session with the server's time from a refusal."""
        return replace(self, offset_ms=server_ms - now_ms)

    def _ready(self, now_ms: int) -> "ClientSession":
        due = self.heard and now_ms - self.epoch_started_ms >= EPOCH_LIFETIME_MS
        session = self.rekeyed(now_ms) if due else self
        return replace(session, sequence=session.sequence + 1)


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """A stream that the server has granted. ``record_bytes`` is the longest that it takes."""

    keys: StreamKeys
    record_bytes: int


class ReceivedAnswer:
    """The answer to a request, before the client's RSA key is used.

    ``wrapped`` is what that key must unwrap: RSA-OAEP with SHA-256 for both hash and MGF1, no
    label. It is empty in ecdh-gcm.
    """

    def __init__(self, asked: Header, answer: Envelope, s2c: bytes, takes_stream: bool) -> None:
        self.wrapped = answer.wrapped or b""
        self._asked = asked
        self._takes_stream = takes_stream
        self._answer = answer
        self._s2c = s2c
        self._opened = Once()

    def open(self, unwrapped: bytes | None, elapsed_ms: int) -> HttpResponse | OpenedStream:
        """The response, or the stream if the request asked for one or offered to take one.

        ``unwrapped`` is the result for ``wrapped``, or None if that failed.

        ``elapsed_ms`` is the time since before the request was sealed, by a monotonic clock.
        Raises: DecryptionFailed (``unwrapped`` or the seal is wrong), ClockRefused, EpochRefused,
        MalformedMessage.
        """
        self._opened.use("an answer that was received")
        opened = open_with_secret(self._s2c, self._answer, unwrapped)
        if opened is None:
            raise DecryptionFailed("the answer's seal does not hold")
        plaintext, secret = opened
        kind = self._answer.header.kind
        if kind is Kind.REFUSAL:
            raise self._refusal(plaintext, elapsed_ms)
        if kind is Kind.STREAM_GRANT:
            if not self._takes_stream:
                raise MalformedMessage("a stream that was not asked for")
            grant = StreamGrant.parse(plaintext)
            label = stream_label(self._answer.header.suite)
            keys = StreamKeys(grant.stream_id, *secret.stream_keys(label))
            return OpenedStream(keys, grant.record_bytes)
        return HttpResponse.parse_array(parse_msgpack(plaintext))

    def _refusal(self, plaintext: bytes, elapsed_ms: int) -> ClockRefused | EpochRefused:
        inside = Members.parse("msgpack", plaintext)
        error = inside.text("error")
        server_ms = inside.number("time_ms", MAX_FRESH_VALUE)
        window_ms = inside.number("window_ms", MAX_FRESH_VALUE)
        inside.end()
        if error == "stale_epoch":
            return EpochRefused("the epoch has lasted too long")
        if error != "stale_timestamp" or self._asked.fresh != "clock":
            raise MalformedMessage("a refusal that this version does not know")
        stamp = self._asked.fresh_value
        # The refused message is used up. The server can only have accepted it before the refusal,
        # while its clock went from server_ms - elapsed_ms to server_ms.
        window_ms += CLOCK_MARGIN_MS
        early = server_ms < stamp - window_ms
        late = server_ms - elapsed_ms > stamp + window_ms
        return ClockRefused(server_ms, early or late)


class PendingMessage:
    """A request that was sent. It takes the answer to this request once."""

    def __init__(
        self,
        request: Envelope,
        s2c: bytes,
        private_key: RsaPrivateKey | None,
        *,
        takes_stream: bool = False,
    ) -> None:
        self._request = request
        self._takes_stream = takes_stream
        self._s2c = s2c
        self._private_key = private_key
        self._received = Once()

    @property
    def epoch(self) -> int:
        return self._request.header.epoch

    def receive(self, answer: Envelope) -> ReceivedAnswer:
        """The object that opens the answer after its key was unwrapped.

        Raises: DecryptionFailed (not the answer to this request).
        """
        self._received.use("a request's answer")
        asked, reply = self._request.header, answer.header
        if (reply.suite, reply.epoch, reply.session_id, reply.fresh) != (
            asked.suite,
            asked.epoch,
            asked.session_id,
            asked.fresh,
        ):
            raise DecryptionFailed("an answer of another session or epoch")
        if reply.request_tag != self._request.tag:
            raise DecryptionFailed("the answer to another request, or none")
        if asked.fresh == "counter" and reply.fresh_value != asked.fresh_value:
            raise DecryptionFailed("an answer with another number than its request")
        return ReceivedAnswer(asked, answer, self._s2c, self._takes_stream)

    def open(self, answer: Envelope, elapsed_ms: int) -> HttpResponse:
        """``receive`` and ``ReceivedAnswer.open``, with the key given to ``seal_request``.

        Only for a request that takes no stream.
        """
        received = self.receive(answer)
        opened = received.open(unwrap(self._private_key, received.wrapped), elapsed_ms)
        if isinstance(opened, OpenedStream):
            raise LocalProtocolError("the answer is a stream: use receive")
        return opened


def seal_request(
    session: ClientSession,
    request: HttpRequest,
    now_ms: int,
    entropy: Entropy,
    private_key: RsaPrivateKey | None = None,
) -> tuple[Envelope, PendingMessage, ClientSession]:
    """Seals ``request``. ``private_key`` is the client's in rsa-gcm, if it is in this process.

    Without it, use ``PendingMessage.receive`` and unwrap elsewhere.
    """
    plaintext = serialize_msgpack(request.to_array())
    takes_stream = bool(stream_offer(request.headers))
    return _seal(session, Kind.REQUEST, plaintext, takes_stream, now_ms, entropy, private_key)


def seal_stream_request(
    session: ClientSession,
    request: StreamRequest,
    now_ms: int,
    entropy: Entropy,
    private_key: RsaPrivateKey | None = None,
) -> tuple[Envelope, PendingMessage, ClientSession]:
    """Seals the opening of a stream whose body follows as records. Else as ``seal_request``."""
    plaintext = request.serialize()
    return _seal(session, Kind.STREAM_REQUEST, plaintext, True, now_ms, entropy, private_key)


def seal_socket_request(
    session: ClientSession,
    request: SocketRequest,
    now_ms: int,
    entropy: Entropy,
    private_key: RsaPrivateKey | None = None,
) -> tuple[Envelope, PendingMessage, ClientSession]:
    """Seals the opening of a socket. Else as ``seal_request``."""
    plaintext = request.serialize()
    return _seal(session, Kind.SOCKET_REQUEST, plaintext, True, now_ms, entropy, private_key)


def _seal(
    session: ClientSession,
    kind: Kind,
    plaintext: bytes,
    takes_stream: bool,
    now_ms: int,
    entropy: Entropy,
    private_key: RsaPrivateKey | None,
) -> tuple[Envelope, PendingMessage, ClientSession]:
    session = session._ready(now_ms)
    keys = session.keys()
    clock = max(0, now_ms + session.offset_ms)
    header = Header(
        keys.suite,
        kind,
        keys.epoch,
        session.session_id,
        session.fresh,
        clock if session.fresh == "clock" else session.sequence,
    )
    server_key = RsaPublicKey.from_der(session.server_key) if session.server_key else None
    envelope = seal_message(keys.c2s, header, plaintext, server_key, entropy)
    pending = PendingMessage(envelope, keys.s2c, private_key, takes_stream=takes_stream)
    return envelope, pending, session
