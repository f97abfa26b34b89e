"""One sealed message at the server, in the only safe order (PROTOCOL §2.6.5).

``open_request`` verifies the seal and returns an ``OpenedMessage``, which exposes only its
``claim``. ``accept(claimed, now_ms)`` returns an ``AcceptedMessage``, with the plaintext and one
response, or a ``StaleMessage``, with one refusal. The claim comes before the checks of the clock
and of the epoch's age: a refused message is used up, so a client that corrects its clock and sends
the request again cannot cause it to run twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from protocol.common.acceptance import WINDOW_MS, used_twice
from protocol.common.codec import parse_msgpack, serialize_msgpack
from protocol.common.codes import Entropy
from protocol.common.errors import DecryptionFailed, LocalProtocolError, ReplayedNonce
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.primitives import GCM_TAG_BYTES, RsaPrivateKey, RsaPublicKey
from protocol.streams.opening import SocketRequest, StreamGrant, StreamRequest
from protocol.streams.records import STREAM_ID_BYTES, StreamKeys

from .key_schedule import EpochKeys, stream_label
from .records import SessionRecord
from .replay_window import FreshnessClaim
from .sealed_messages import (
    Envelope,
    Header,
    Kind,
    MessageSecret,
    open_message,
    seal_answer,
    unwrap,
)

STALE_TIMESTAMP = "stale_timestamp"
STALE_EPOCH = "stale_epoch"


@dataclass(frozen=True, slots=True)
class ServerSession:
    """A SessionRecord with its RSA keys loaded. It may be cached as long as the record is valid."""

    record: SessionRecord
    private_key: RsaPrivateKey | None = field(repr=False)
    client_key: RsaPublicKey | None = field(repr=False)

    @classmethod
    def load(cls, record: SessionRecord) -> Self:
        """Raises: LocalProtocolError."""
        if not record.private_key:
            return cls(record, None, None)
        client_key = RsaPublicKey.from_der(record.client_key)
        if client_key is None:
            raise LocalProtocolError("a stored session without its client's key")
        return cls(record, RsaPrivateKey.from_der(record.private_key), client_key)


class _Answer:
    """Seals one answer to a request, under the keys of its epoch."""

    def __init__(
        self, asked: Header, request_tag: bytes, keys: EpochKeys, wrap_to: RsaPublicKey | None
    ) -> None:
        # Not the envelope, which can be large.
        self._asked = asked
        self._request_tag = request_tag
        self._keys = keys
        self._wrap_to = wrap_to
        self._seal = seal_answer

    def seal(self, kind: Kind, plaintext: bytes, now_ms: int, entropy: Entropy) -> Envelope:
        return self.seal_with_secret(kind, plaintext, now_ms, entropy)[0]

    def seal_with_secret(
        self, kind: Kind, plaintext: bytes, now_ms: int, entropy: Entropy
    ) -> tuple[Envelope, MessageSecret]:
        seal, self._seal = self._seal, used_twice
        asked, tag = self._asked, self._request_tag
        return seal(self._keys.s2c, asked, tag, kind, plaintext, now_ms, self._wrap_to, entropy)


class AcceptedMessage:
    """A message that was claimed: its plaintext, and one response.

    If ``moved``, store ``session`` before you run the request: the message began an epoch or
    extended it, or the time of the previous epoch's keys is over.
    """

    def __init__(
        self, plaintext: bytes, answer: _Answer, session: SessionRecord, moved: bool
    ) -> None:
        self.session = session
        self.moved = moved
        self._plaintext = plaintext
        self._answer = answer

    def http_request(self) -> HttpRequest:
        """The request (§2.6.3), once. Raises: MalformedMessage; answer it inside the seal."""
        plaintext, self._plaintext = self._plaintext, b""
        return HttpRequest.parse_array(parse_msgpack(plaintext))

    def stream_request(self) -> StreamRequest:
        """The stream request inside. Raises: MalformedMessage, to be answered inside."""
        return StreamRequest.parse(self._plaintext)

    def socket_request(self) -> SocketRequest:
        """The socket request inside. Raises: MalformedMessage, to be answered inside."""
        return SocketRequest.parse(self._plaintext)

    def seal_response(self, response: HttpResponse, now_ms: int, entropy: Entropy) -> Envelope:
        """A response, bound to its request."""
        plaintext = serialize_msgpack(response.to_array())
        return self._answer.seal(Kind.RESPONSE, plaintext, now_ms, entropy)

    def seal_grant(
        self, record_bytes: int, now_ms: int, entropy: Entropy
    ) -> tuple[Envelope, StreamKeys]:
        """A stream, bound to its request. ``record_bytes`` is the longest record that we take."""
        stream_id = entropy(STREAM_ID_BYTES)
        plaintext = StreamGrant(stream_id, record_bytes).serialize()
        envelope, secret = self._answer.seal_with_secret(
            Kind.STREAM_GRANT, plaintext, now_ms, entropy
        )
        label = stream_label(envelope.header.suite)
        return envelope, StreamKeys(stream_id, *secret.stream_keys(label))


class StaleMessage:
    """A message outside the window, or of an epoch that has lasted too long (``error``).

    It was used up unread. This object can seal one refusal.
    """

    def __init__(self, answer: _Answer, window_ms: int, error: str) -> None:
        self.error = error
        self._answer = answer
        self._window_ms = window_ms

    def seal_refusal(self, now_ms: int, entropy: Entropy) -> Envelope:
        """The error, and the server's time and window for clock correction (§2.6.6)."""
        plaintext = serialize_msgpack(
            {"error": self.error, "time_ms": now_ms, "window_ms": self._window_ms}
        )
        return self._answer.seal(Kind.REFUSAL, plaintext, now_ms, entropy)


class OpenedMessage:
    """A message with a valid seal that can still be a replay. It exposes only its claim."""

    def __init__(
        self, claim: FreshnessClaim, accept: Callable[[int], AcceptedMessage | StaleMessage]
    ) -> None:
        self.claim = claim
        self.__accept = accept

    def accept(self, claimed: bool, now_ms: int) -> AcceptedMessage | StaleMessage:
        """The message, or its refusal, if the store has claimed it. Raises: ReplayedNonce.

        Take ``now_ms`` after the claim. If the window were checked before, a slow claim could
        succeed after the store has forgotten the first one. A replay gets no sealed answer,
        because an attacker could pass it off as the answer to the first message.
        """
        accept, self.__accept = self.__accept, used_twice
        if not claimed:
            raise ReplayedNonce("the message was seen before, or is too far behind")
        return accept(now_ms)


def open_request(
    envelope: Envelope,
    session: ServerSession | None,
    now_ms: int,
    window_ms: int = WINDOW_MS,
    kind: Kind = Kind.REQUEST,
) -> OpenedMessage:
    """Verifies the message; ``session`` is None if there is no session with its id.

    ``kind`` is the kind that the route takes. A message of another kind does not open.

    That a session is open is not a secret, so a message without a session is refused at once.
    Raises: DecryptionFailed.
    """
    header = envelope.header
    if session is None or now_ms >= session.record.expires_ms:
        raise DecryptionFailed("no such session, or it has ended")
    record = session.record
    if header.session_id != record.session_id:
        raise LocalProtocolError("a record of another session")
    keys = record.keys_of(header.epoch, now_ms)
    expected = (kind, record.suite, record.fresh)
    if keys is None or (header.kind, header.suite.name, header.fresh) != expected:
        raise DecryptionFailed("another epoch, direction, suite or freshness than the session's")
    unwrapped = unwrap(session.private_key, envelope.wrapped) if envelope.wrapped else None
    plaintext = open_message(keys.c2s, envelope, unwrapped)
    if plaintext is None:
        raise DecryptionFailed("the seal is not valid: changed, or other keys")

    tag = envelope.sealed[-GCM_TAG_BYTES:]

    def accept(then_ms: int) -> AcceptedMessage | StaleMessage:
        answer = _Answer(header, tag, keys, session.client_key)
        if header.fresh == "clock" and abs(then_ms - header.fresh_value) > window_ms:
            return StaleMessage(answer, window_ms, STALE_TIMESTAMP)
        after = record.moved_to(keys, then_ms)
        if after is None:
            return StaleMessage(answer, window_ms, STALE_EPOCH)
        return AcceptedMessage(plaintext, answer, after, after is not record)

    # A store must remember the message until its time is outside the window.
    expires_ms = header.fresh_value + window_ms
    salt = envelope.salt if header.fresh == "clock" else b""
    return OpenedMessage(FreshnessClaim(header.fresh, header.fresh_value, salt, expires_ms), accept)
