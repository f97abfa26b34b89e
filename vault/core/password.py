"""From a password to the verifier of SPAKE2+ and to the key of a wrap (VAULT §3.2)."""

import unicodedata
from dataclasses import dataclass, field

from protocol.common.primitives import P256_ORDER, Point, hkdf

from .account import KEY_BYTES, Owner, label
from .errors import Malformed, WeakKdf
from .primitives import argon2id

SALT_BYTES = 16
MAX_PASSWORD_CHARS = 1024
_ROOT_BYTES = 64
_HALF_BYTES = 40


@dataclass(frozen=True, slots=True)
class Kdf:
    """Parameters of Argon2id."""

    memory_kib: int
    passes: int
    lanes: int

    @property
    def cost(self) -> int:
        """KiB that one computation writes."""
        return self.memory_kib * self.passes


KDFS = {1: Kdf(65_536, 3, 4), 2: Kdf(19_456, 2, 1)}
STRONGEST_KDF = 1


def kdf_of(number: int) -> Kdf:
    """Raises: WeakKdf, if a client must refuse ``number``."""
    if number not in KDFS:
        raise WeakKdf("the server names unknown parameters of Argon2id: update this client")
    return KDFS[number]


def le(data: bytes) -> bytes:
    """``data`` behind its length as u64, little-endian. Source: RFC 9383 §3.2."""
    return len(data).to_bytes(8, "little") + data


def password_bytes(password: str) -> bytes:
    """UTF-8 of the normalisation form NFC. Raises: Malformed."""
    text = unicodedata.normalize("NFC", password)
    if not 1 <= len(text) <= MAX_PASSWORD_CHARS:
        raise Malformed(f"a password has 1 to {MAX_PASSWORD_CHARS} characters")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed("the password has half of a surrogate pair") from None


def stretched(data: bytes, salt: bytes, kdf: int) -> bytes:
    """64 bytes by Argon2id. Raises: WeakKdf."""
    chosen = kdf_of(kdf)
    return argon2id(
        data,
        salt,
        memory_kib=chosen.memory_kib,
        passes=chosen.passes,
        lanes=chosen.lanes,
        length=_ROOT_BYTES,
    )


@dataclass(frozen=True, slots=True)
class PasswordSecrets:
    """w0, w1 (numbers from 0 to n - 1) and KEK (32 bytes) of a password."""

    w0: int = field(repr=False)
    w1: int = field(repr=False)
    kek: bytes = field(repr=False)

    @classmethod
    def derive(cls, password: str, salt: bytes, kdf: int, owner: Owner) -> "PasswordSecrets":
        """``salt`` has 16 bytes. It takes the time and memory of Argon2id.

        Raises: Malformed, WeakKdf.
        """
        data = le(password_bytes(password)) + le(owner.prover) + le(owner.verifier)
        root = stretched(data, salt, kdf)
        halves = hkdf(root, b"", label("password verifier"), 2 * _HALF_BYTES)
        return cls(
            int.from_bytes(halves[:_HALF_BYTES]) % P256_ORDER,
            int.from_bytes(halves[_HALF_BYTES:]) % P256_ORDER,
            hkdf(root, b"", label("password key"), KEY_BYTES),
        )

    @property
    def verifier(self) -> tuple[bytes, bytes]:
        """w0 (32 bytes) and L (65 bytes), for the server."""
        return self.w0.to_bytes(32), Point.of_generator(self.w1).encode()
