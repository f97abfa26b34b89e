"""Transcripts, and the keys that are derived from them (PROTOCOL §2.5).

A transcript is a hash of typed fields, each with its length before it, under a label of its own. So
two different lists of fields never have the same encoding. The label of a key names the protocol,
the suite and the purpose, so each key has its own label. The two directions never share a key.
"""

from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

from protocol.common.errors import DecryptionFailed
from protocol.common.primitives import (
    SCALAR_SEED_BYTES,
    aes_gcm_open,
    aes_gcm_seal,
    hkdf_expand,
    hkdf_extract,
    pbkdf2,
    scalar,
    sha256,
)

from .handshake_messages import (
    ClientHello,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerHello,
)
from .suites import FRESHNESS, HARDENED_SUITES, VERSION, HardenedSuite

Direction: TypeAlias = Literal["c2s", "s2c"]

CODE_ITERATIONS = 1000
KEY_BYTES = 32


def length_prefixed(*fields: bytes) -> bytes:
    """LP(f1) ‖ LP(f2) ‖ ...: a length of four bytes, big-endian, before each."""
    return b"".join(len(part).to_bytes(4) + part for part in fields)


def transcript(purpose: str, *fields: bytes) -> bytes:
    """SHA-256 over the label of ``purpose`` and the fields."""
    return sha256(length_prefixed(f"certless/{VERSION} {purpose}".encode(), *fields))


def info(suite: HardenedSuite, purpose: str) -> bytes:
    """The label of a key: protocol, suite, purpose."""
    return length_prefixed(f"certless/{VERSION}".encode(), suite.name.encode(), purpose.encode())


def stream_label(suite: HardenedSuite) -> bytes:
    """The label of the keys of a stream (PROTOCOL §2.10.2)."""
    return info(suite, "stream")


def code_scalar(
    code: str, suite: HardenedSuite, username: str, session_id: bytes, server_nonce: bytes
) -> int:
    """w of SPAKE2 (1 to n - 1) from the eight characters of a code (PROTOCOL §2.4.3)."""
    salt = length_prefixed(b"w", suite.name.encode(), username.encode(), session_id, server_nonce)
    stretched = pbkdf2(code.encode(), salt, CODE_ITERATIONS)
    return scalar(hkdf_expand(stretched, info(suite, "w"), SCALAR_SEED_BYTES))


def greeting_transcript(hello: ClientHello, greeting: ServerHello, realm: str) -> bytes:
    """th0: all fields of ClientHello and ServerHello, and the realm (PROTOCOL §2.5.1).

    The name of a device is one more field at the end. Each field has its length before it, so no
    other hello has the same bytes.
    """
    device = () if hello.device is None else (hello.device.encode(),)
    return transcript(
        "greeting",
        hello.version.to_bytes(2),
        hello.username.encode(),
        length_prefixed(*(name.encode() for name in hello.suites)),
        bytes([FRESHNESS[hello.fresh]]),
        hello.client_nonce,
        greeting.session_id,
        HARDENED_SUITES[greeting.suite].number.to_bytes(2),
        greeting.server_nonce,
        greeting.expires_s.to_bytes(4),
        realm.encode(),
        *device,
    )


def login_transcript(greeting: bytes, p_a: bytes, p_b: bytes) -> bytes:
    """th of a login; the two empty fields are reserved for ML-KEM."""
    return transcript("login", greeting, p_a, p_b, b"", b"")


def resumption_transcript(
    hello: ResumptionClientHello, greeting: ResumptionServerHello, username: str, realm: str
) -> bytes:
    """th of a resumption: all fields of its two hellos, the user and the realm."""
    return transcript(
        "resumption",
        hello.version.to_bytes(2),
        hello.ticket,
        HARDENED_SUITES[hello.suite].number.to_bytes(2),
        bytes([FRESHNESS[hello.fresh]]),
        hello.client_nonce,
        hello.client_point,
        greeting.session_id,
        greeting.server_nonce,
        greeting.server_point,
        username.encode(),
        realm.encode(),
        b"",
        b"",
    )


@dataclass(frozen=True, slots=True)
class Handshake:
    """The secrets of one login or resumption, before either side has confirmed.

    ``th`` has 32 bytes. ``shared`` is Ke. The confirmations have 32 bytes each.
    """

    suite: HardenedSuite
    th: bytes = field(repr=False)
    shared: bytes = field(repr=False)
    confirm_client: bytes = field(repr=False)
    confirm_server: bytes = field(repr=False)

    @classmethod
    def of_resumption(cls, suite: HardenedSuite, th: bytes, resume: bytes, agreed: bytes) -> Self:
        """From the secret of a ticket (32 bytes) and the result of ECDH (32 bytes)."""
        prk = hkdf_extract(th, resume + agreed)
        return cls(
            suite,
            th,
            hkdf_expand(prk, info(suite, "resumed")),
            hkdf_expand(prk, info(suite, "confirm c2s")),
            hkdf_expand(prk, info(suite, "confirm s2c")),
        )

    def _box(self, direction: Direction, *before: bytes) -> tuple[bytes, bytes, bytes]:
        # Each direction has one box, so its key and IV are used once.
        prk = hkdf_extract(self.th, self.shared)
        block = hkdf_expand(prk, info(self.suite, f"box {direction}"), 44)
        return block[:32], block[32:], transcript(f"box {direction}", self.th, *before)

    def _client_box(self) -> tuple[bytes, bytes, bytes]:
        return self._box("c2s", self.confirm_client)

    def _server_box(self, client_box: bytes) -> tuple[bytes, bytes, bytes]:
        return self._box("s2c", self.confirm_client, client_box, self.confirm_server)

    def seal_client_box(self, plaintext: bytes) -> bytes:
        """The box of ClientConfirmation."""
        key, iv, aad = self._client_box()
        return aes_gcm_seal(key, iv, plaintext, aad)

    def open_client_box(self, box: bytes) -> bytes:
        """Raises: DecryptionFailed."""
        key, iv, aad = self._client_box()
        return _opened(aes_gcm_open(key, iv, box, aad))

    def seal_server_box(self, client_box: bytes, plaintext: bytes) -> bytes:
        """The box of ServerConfirmation; ``client_box`` is empty if there was none."""
        key, iv, aad = self._server_box(client_box)
        return aes_gcm_seal(key, iv, plaintext, aad)

    def open_server_box(self, client_box: bytes, box: bytes) -> bytes:
        """Raises: DecryptionFailed."""
        key, iv, aad = self._server_box(client_box)
        return _opened(aes_gcm_open(key, iv, box, aad))

    def secrets(self, client_box: bytes, server_box: bytes) -> "Secrets":
        """The keys of the session. They depend on every byte that either side has sent."""
        th2 = transcript(
            "session",
            self.th,
            self.confirm_client,
            client_box,
            self.confirm_server,
            server_box,
        )
        prk = hkdf_extract(th2, self.shared)
        first = EpochKeys(
            self.suite,
            0,
            hkdf_expand(prk, info(self.suite, "c2s")),
            hkdf_expand(prk, info(self.suite, "s2c")),
        )
        return Secrets(
            first,
            hkdf_expand(prk, info(self.suite, "resume")),
            hkdf_expand(prk, info(self.suite, "export")),
        )


def _opened(plaintext: bytes | None) -> bytes:
    if plaintext is None:
        raise DecryptionFailed("the box does not open")
    return plaintext


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """The two keys (32 bytes each) of one epoch of a session (PROTOCOL §2.7)."""

    suite: HardenedSuite
    epoch: int
    c2s: bytes = field(repr=False)
    s2c: bytes = field(repr=False)

    def next(self) -> "EpochKeys":
        """The keys of the next epoch. They do not reveal the keys of this one."""
        label = info(self.suite, "rekey")
        return EpochKeys(
            self.suite, self.epoch + 1, hkdf_expand(self.c2s, label), hkdf_expand(self.s2c, label)
        )


@dataclass(frozen=True, slots=True)
class Secrets:
    """The result of a login or a resumption.

    These are the first keys, the secret of the next ticket and the secret of the exporter.
    """

    keys: EpochKeys
    resume: bytes = field(repr=False)
    export: bytes = field(repr=False)
