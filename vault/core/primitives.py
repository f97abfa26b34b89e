"""Ed25519, HPKE, Argon2id, and RSA-OAEP with a label.

The other primitives are those of ``protocol.common.primitives``.
"""

from dataclasses import dataclass, field
from typing import cast

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import load_der_public_key

from protocol.common.primitives import RsaPublicKey

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
EXCHANGE_KEY_BYTES = 32
DEVICE_KEY_BITS = 3_072
_HPKE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)

_P = 2**255 - 19
# The y coordinates of the 8 points whose order divides 8. Source: RFC 8032 §5.1, computed.
_SMALL_ORDER = {
    0,
    1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    _P - 1,
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key. Source: RFC 8032."""

    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, seed: bytes) -> "SigningKey":
        """The key of ``seed`` (32 bytes)."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        """The public key (32 bytes)."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data`` (64 bytes)."""
        return self._key.sign(data)


class InvalidExchangeKey(Exception):
    """A public key of X25519 has small order, so that everybody knows the shared secret."""


@dataclass(frozen=True, slots=True)
class ExchangeKey:
    """An X25519 key that opens what HPKE has sealed. Source: RFC 9180, base mode."""

    _key: X25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, seed: bytes) -> "ExchangeKey":
        """The key of ``seed`` (32 bytes)."""
        return cls(X25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        """The public key (32 bytes)."""
        return self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes | None:
        """The plaintext, or None if ``sealed`` is not for this key and ``info``."""
        try:
            return _HPKE.decrypt(sealed, self._key, info)
        except (InvalidTag, ValueError):
            return None


def hpke_seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """enc ‖ ciphertext for the owner of ``public``, 48 bytes longer than ``plaintext``.

    The library draws the ephemeral key. Raises: InvalidExchangeKey.
    """
    try:
        return _HPKE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    except ValueError:
        raise InvalidExchangeKey from None


def is_public_key(data: bytes) -> bool:
    """Whether ``data`` can be a public key: canonical, and not of small order (VAULT §2).

    Under a key of small order, one signature is valid for every message. OpenSSL accepts it.
    """
    y = int.from_bytes(data, "little") % 2**255
    return len(data) == PUBLIC_KEY_BYTES and y < _P and y not in _SMALL_ORDER


def is_signature(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` is that of ``data`` by the key with the public half ``public``."""
    if not is_public_key(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def argon2id(
    password: bytes, salt: bytes, *, memory_kib: int, passes: int, lanes: int, length: int
) -> bytes:
    """``length`` bytes. It uses ``memory_kib`` KiB of memory. Source: RFC 9106, version 0x13."""
    kdf = Argon2id(salt=salt, length=length, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    return kdf.derive(password)


def is_device_key(public: bytes) -> bool:
    """Whether ``public`` is an RSA key in DER with 3,072 bits and e = 65537 (VAULT §26)."""
    key = RsaPublicKey.from_der(public)
    return key is not None and key.n.bit_length() == DEVICE_KEY_BITS and key.e == 65537


def oaep_wrap(public: bytes, secret: bytes, label: bytes) -> bytes:
    """``secret`` for the device key ``public``. Source: RFC 8017 §7.1.1, SHA-256."""
    # is_device_key() has checked the kind of key.
    key = cast(rsa.RSAPublicKey, load_der_public_key(public))
    return key.encrypt(secret, oaep(label))


def oaep(label: bytes) -> padding.OAEP:
    """OAEP with SHA-256, MGF1 with SHA-256, and ``label``."""
    sha = hashes.SHA256()
    return padding.OAEP(padding.MGF1(sha), sha, label)
