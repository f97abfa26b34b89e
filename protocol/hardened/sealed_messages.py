"""One sealed message: its header, its envelope, and the seal (PROTOCOL §2.6).

Every message has its own AES key, derived from the key of its direction, a salt and the header::

    key ‖ iv = HKDF(ikm = k [‖ cek], salt, info = header, 44)

So no side needs state to avoid the reuse of a key and IV. k authenticates the message: anyone who
knows the public key can wrap a ``cek``.
"""

import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Self

from protocol.common.codes import Entropy
from protocol.common.envelopes import Format, Members, serialize_members
from protocol.common.errors import MalformedMessage, UnsupportedSuite
from protocol.common.primitives import (
    GCM_TAG_BYTES,
    RsaPrivateKey,
    RsaPublicKey,
    aes_gcm_open,
    aes_gcm_seal,
    hkdf,
    sha256,
)

from .replay_window import MAX_FRESH_VALUE
from .suites import FRESHNESS, SUITE_OF_NUMBER, Freshness, HardenedSuite

MAGIC = b"CG1"
SALT_BYTES = 16
CEK_BYTES = 32
REQUEST_HEADER_BYTES = 67
RESPONSE_HEADER_BYTES = REQUEST_HEADER_BYTES + GCM_TAG_BYTES
MIN_WRAPPED_BYTES, MAX_WRAPPED_BYTES = 256, 512

_LAYOUT = struct.Struct(">3sHBI16sBQ32s")
_FRESHNESS_OF: dict[int, Freshness] = {number: name for name, number in FRESHNESS.items()}
_NOTHING_WRAPPED = sha256(b"")


class Kind(IntEnum):
    """The kind of a message, which also fixes its direction."""

    REQUEST = 1
    RESPONSE = 2
    REFUSAL = 3
    STREAM_REQUEST = 4
    STREAM_GRANT = 5
    SOCKET_REQUEST = 6


_KINDS = frozenset(Kind)
_REQUESTS = frozenset({Kind.REQUEST, Kind.STREAM_REQUEST, Kind.SOCKET_REQUEST})


@dataclass(frozen=True, slots=True)
class Header:
    """The unencrypted part of a message, which the seal authenticates (PROTOCOL §2.6.1).

    ``fresh_value`` is a time in milliseconds or a number. ``wrapped_hash`` is SHA-256 of the
    wrapped key, or of the empty string. ``request_tag`` is the last 16 bytes of the request, in an
    answer.
    """

    suite: HardenedSuite
    kind: Kind
    epoch: int
    session_id: bytes
    fresh: Freshness
    fresh_value: int
    wrapped_hash: bytes = _NOTHING_WRAPPED
    request_tag: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: MalformedMessage, UnsupportedSuite."""
        if len(data) not in (REQUEST_HEADER_BYTES, RESPONSE_HEADER_BYTES):
            raise MalformedMessage("a header has 67 or 83 bytes")
        magic, number, kind, epoch, session_id, fresh, value, wrapped_hash = _LAYOUT.unpack_from(
            data
        )
        if magic != MAGIC:
            raise MalformedMessage("a header begins with CG1")
        if kind not in _KINDS or (kind in _REQUESTS) != (len(data) == REQUEST_HEADER_BYTES):
            raise MalformedMessage("a header of another kind or length")
        if fresh not in _FRESHNESS_OF or value > MAX_FRESH_VALUE:
            raise MalformedMessage("a header's freshness is out of range")
        if number not in SUITE_OF_NUMBER:
            raise UnsupportedSuite(f"no suite has the number {number}")
        return cls(
            SUITE_OF_NUMBER[number],
            Kind(kind),
            epoch,
            session_id,
            _FRESHNESS_OF[fresh],
            value,
            wrapped_hash,
            data[REQUEST_HEADER_BYTES:],
        )

    def serialize(self) -> bytes:
        fixed = _LAYOUT.pack(
            MAGIC,
            self.suite.number,
            self.kind,
            self.epoch,
            self.session_id,
            FRESHNESS[self.fresh],
            self.fresh_value,
            self.wrapped_hash,
        )
        return fixed + self.request_tag


# The lengths of the members of an envelope, in bytes; any length if none is given.
_REQUIRED: dict[str, tuple[int, ...]] = {
    "header": (REQUEST_HEADER_BYTES, RESPONSE_HEADER_BYTES),
    "salt": (SALT_BYTES,),
    "sealed": (),
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed message on the wire. ``header`` is the parsed ``raw_header``."""

    raw_header: bytes
    header: Header = field(compare=False)
    salt: bytes
    wrapped: bytes | None
    sealed: bytes

    @property
    def tag(self) -> bytes:
        """The tag, to which the answer is bound."""
        return self.sealed[-GCM_TAG_BYTES:]

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        """Raises: MalformedMessage, UnsupportedSuite."""
        return cls.take(Members.parse(form, data))

    @classmethod
    def take(cls, members: Members) -> Self:
        """From members that were parsed before, to tell the suite by ``header`` (§5.5)."""
        (raw_header, salt, sealed), wrapped = members.all_raw(_REQUIRED, "wrapped")
        header = Header.parse(raw_header)
        if header.suite.wraps != (wrapped is not None):
            raise MalformedMessage("a wrapped key is for rsa-gcm, and only for it")
        if wrapped is not None and not MIN_WRAPPED_BYTES <= len(wrapped) <= MAX_WRAPPED_BYTES:
            raise MalformedMessage("a wrapped key has 256 to 512 bytes")
        if len(sealed) < GCM_TAG_BYTES:
            raise MalformedMessage("a seal has at least 16 bytes")
        return cls(raw_header, header, salt, wrapped, sealed)

    def serialize(self, form: Format) -> bytes:
        return serialize_members(
            form,
            {
                "header": self.raw_header,
                "salt": self.salt,
                "wrapped": self.wrapped,
                "sealed": self.sealed,
            },
        )


@dataclass(frozen=True, slots=True)
class MessageSecret:
    """What all keys of one message come from; ``ikm`` is k ‖ cek."""

    ikm: bytes = field(repr=False)
    salt: bytes
    header: bytes

    def message_key(self) -> tuple[bytes, bytes]:
        """Key (32 bytes) and IV (12 bytes) of the message itself."""
        block = hkdf(self.ikm, self.salt, self.header, 44)
        return block[:32], block[32:]

    def stream_keys(self, label: bytes) -> tuple[bytes, bytes]:
        """The first record key of the client and of the server, 32 bytes each.

        ``label`` is that of the suite and of "stream". No header begins as a label does.
        """
        block = hkdf(self.ikm, self.salt, label + self.header, 64)
        return block[:32], block[32:]


def seal_with_secret(
    key: bytes, header: Header, plaintext: bytes, wrap_to: RsaPublicKey | None, entropy: Entropy
) -> tuple[Envelope, MessageSecret]:
    """As ``seal_message``, with the secret of the message, from which a stream's keys come."""
    cek, wrapped = b"", None
    if wrap_to is not None:
        cek = entropy(CEK_BYTES)
        wrapped = wrap_to.wrap(cek, "oaep-sha256")
        header = replace(header, wrapped_hash=sha256(wrapped))
    raw_header, salt = header.serialize(), entropy(SALT_BYTES)
    secret = MessageSecret(key + cek, salt, raw_header)
    message_key, iv = secret.message_key()
    sealed = aes_gcm_seal(message_key, iv, plaintext, raw_header)
    return Envelope(raw_header, header, salt, wrapped, sealed), secret


def seal_message(
    key: bytes, header: Header, plaintext: bytes, wrap_to: RsaPublicKey | None, entropy: Entropy
) -> Envelope:
    """``plaintext`` under ``key`` (32 bytes) of the header's direction and epoch.

    ``wrap_to`` is the receiver's key in rsa-gcm, otherwise None. It also sets the header's
    ``wrapped_hash``.
    """
    return seal_with_secret(key, header, plaintext, wrap_to, entropy)[0]


def seal_answer(
    key: bytes,
    asked: Header,
    request_tag: bytes,
    kind: Kind,
    plaintext: bytes,
    now_ms: int,
    wrap_to: RsaPublicKey | None,
    entropy: Entropy,
) -> tuple[Envelope, MessageSecret]:
    """An answer of ``kind``, bound to the request with the header ``asked`` and ``request_tag``.

    ``key`` is the key of the answer's direction.
    """
    header = Header(
        asked.suite,
        kind,
        asked.epoch,
        asked.session_id,
        asked.fresh,
        now_ms if asked.fresh == "clock" else asked.fresh_value,
        request_tag=request_tag,
    )
    return seal_with_secret(key, header, plaintext, wrap_to, entropy)


def unwrap(private_key: RsaPrivateKey | None, wrapped: bytes) -> bytes | None:
    """The content of ``wrapped``, with a key in this process; None if it does not open."""
    return None if private_key is None else private_key.unwrap(wrapped, "oaep-sha256")


def open_with_secret(
    key: bytes, envelope: Envelope, unwrapped: bytes | None
) -> tuple[bytes, MessageSecret] | None:
    """The plaintext and the secret of the message, or None if any part of it was changed.

    In rsa-gcm ``unwrapped`` is the content of ``envelope.wrapped``, or None if it did not open. It
    is then replaced by a constant, so that the work is that of a seal that is not valid.
    """
    cek, valid = b"", True
    if envelope.header.suite.wraps:
        unwrapped_cek, wrapped = unwrapped or b"", envelope.wrapped or b""
        valid = len(unwrapped_cek) == CEK_BYTES and sha256(wrapped) == envelope.header.wrapped_hash
        cek = unwrapped_cek if valid else bytes(CEK_BYTES)
    secret = MessageSecret(key + cek, envelope.salt, envelope.raw_header)
    message_key, iv = secret.message_key()
    plaintext = aes_gcm_open(message_key, iv, envelope.sealed, envelope.raw_header)
    return (plaintext, secret) if valid and plaintext is not None else None


def open_message(key: bytes, envelope: Envelope, unwrapped: bytes | None) -> bytes | None:
    """The plaintext, or None, as ``open_with_secret``."""
    opened = open_with_secret(key, envelope, unwrapped)
    return None if opened is None else opened[0]
