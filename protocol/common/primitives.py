"""The cryptographic primitives. No other module imports a crypto library, so this one is long.

``cryptography`` (OpenSSL) does RSA, AES, key derivation, ECDH and multiples of the base point;
every message uses it. ``pycryptodome`` does the arithmetic on integers and on points of P-256 that
OpenSSL's binding does not offer. Its authors intend the multiplication of a point by a secret to
take constant time. The Python code around it (the sign and the length of a number) does not.

Functions that open something return None, or a flag, instead of raising: the caller must do the
same work after a failure (PROTOCOL §1.13). RSA padding and RSA key generation use OpenSSL's own
random generator.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

if TYPE_CHECKING:
    from Crypto.PublicKey.ECC import EccPoint  # type: ignore[attr-defined]

RsaPadding: TypeAlias = Literal["pkcs1-v1.5", "oaep-sha1", "oaep-sha256"]
RsaKeyForm: TypeAlias = Literal["spki", "pkcs1"]

SESSION_KEY_BITS = 2048
AES_BLOCK_BYTES = 16
GCM_TAG_BYTES = 16
POINT_BYTES = 65
SCALAR_SEED_BYTES = 48
# A copy of longer data costs more than what avoids it.
_COPIED_BYTES = 16_384

# The field and the order of P-256. Source: FIPS 186-4 §D.1.2.3.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_PADDINGS: dict[RsaPadding, padding.AsymmetricPadding] = {
    "pkcs1-v1.5": padding.PKCS1v15(),
    "oaep-sha1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
    "oaep-sha256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}
_FORMS: dict[RsaKeyForm, serialization.PublicFormat] = {
    "spki": serialization.PublicFormat.SubjectPublicKeyInfo,
    "pkcs1": serialization.PublicFormat.PKCS1,
}


def md5(data: bytes) -> bytes:
    """MD5, 16 bytes. A format of Node programs; nothing relies on it for security."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256, 32 bytes. Source: RFC 2104."""
    return hmac.digest(key, data, "sha256")


def equal(a: bytes, b: bytes) -> bool:
    """Whether two secrets are equal, in a time that depends only on their lengths."""
    return hmac.compare_digest(a, b)


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """A pseudorandom key of 32 bytes. Source: RFC 5869 §2.2, with SHA-256."""
    return hmac_sha256(salt, ikm)


def hkdf_expand(prk: bytes, info: bytes, length: int = 32) -> bytes:
    """``length`` bytes from a pseudorandom key. Source: RFC 5869 §2.3, with SHA-256."""
    return HKDFExpand(hashes.SHA256(), length, info).derive(prk)


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Extract, then expand. Source: RFC 5869, with SHA-256."""
    return HKDF(hashes.SHA256(), length, salt, info).derive(ikm)


def pbkdf2(password: bytes, salt: bytes, iterations: int) -> bytes:
    """32 bytes, by HMAC-SHA256. Source: RFC 8018 §5.2."""
    return PBKDF2HMAC(hashes.SHA256(), 32, salt, iterations).derive(password)


def evp_bytes_to_key(passphrase: bytes) -> tuple[bytes, bytes]:
    """Key (32 bytes) and IV (16 bytes) as Node's ``createCipher`` derives them for AES-256.

    OpenSSL's EVP_BytesToKey with MD5, one round and no salt. Source: PROTOCOL §3.2.3.
    """
    block, out = b"", b""
    while len(out) < 48:
        block = md5(block + passphrase)
        out += block
    return out[:32], out[32:48]


def aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-256-CTR, both directions; ``key`` 32 bytes, ``iv`` the first counter block (16 bytes)."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def aes_cbc_seal(key: bytes, iv: bytes, data: bytes) -> bytes | bytearray:
    """AES-256-CBC with PKCS#7 padding; ``key`` 32 bytes, ``iv`` 16 bytes."""
    pad = AES_BLOCK_BYTES - len(data) % AES_BLOCK_BYTES
    padding_bytes = bytes([pad]) * pad
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    if len(data) <= _COPIED_BYTES:
        return encryptor.update(data + padding_bytes)
    sealed = bytearray(len(data) + 2 * AES_BLOCK_BYTES)
    size = encryptor.update_into(data, sealed)
    size += encryptor.update_into(padding_bytes, memoryview(sealed)[size:])
    del sealed[size:]
    return sealed


def aes_cbc_open(key: bytes, iv: bytes, data: bytes | bytearray) -> tuple[bytes, bool]:
    """The plaintext, and whether its length and its PKCS#7 padding are right.

    If they are not, the plaintext is the raw output of the cipher: the caller does the same work on
    it and discards it.
    """
    whole = len(data) - len(data) % AES_BLOCK_BYTES
    block = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor().update(data[:whole])
    pad = block[-1] if block else 0
    padded = 1 <= pad <= AES_BLOCK_BYTES and hmac.compare_digest(block[-pad:], bytes([pad]) * pad)
    return (block[:-pad], whole == len(data)) if padded else (block, False)


class AesGcm:
    """AES-256-GCM under one key (32 bytes). Quicker than the functions if it is used often."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, iv: bytes, data: bytes, aad: bytes) -> bytes:
        """As ``aes_gcm_seal``."""
        return self._cipher.encrypt(iv, data, aad)

    def open(self, iv: bytes, data: memoryview, aad: bytes) -> bytes | None:
        """As ``aes_gcm_open``."""
        try:
            return self._cipher.decrypt(iv, data, aad)
        except (InvalidTag, ValueError):
            return None


def aes_gcm_seal(key: bytes, iv: bytes, data: bytes, aad: bytes = b"") -> bytes:
    """AES-256-GCM; ``key`` 32 bytes, ``iv`` 12 bytes. Returns ciphertext ‖ tag (16 bytes)."""
    return AESGCM(key).encrypt(iv, data, aad)


def aes_gcm_open(key: bytes, iv: bytes, data: bytes, aad: bytes = b"") -> bytes | None:
    """The plaintext of ``data`` (ciphertext ‖ tag), or None."""
    try:
        return AESGCM(key).decrypt(iv, data, aad)
    except (InvalidTag, ValueError):
        return None


def scalar(seed: bytes) -> int:
    """A number from 1 to n - 1. ``seed`` has 48 random bytes, so that the bias is negligible."""
    return int.from_bytes(seed) % (P256_ORDER - 1) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A point of P-256. As bytes: ``04``, x, y. Source: SEC 1 §2.3.3.

    A sum can be infinity. ``encode`` writes it as zeros, which ``decode`` refuses.
    """

    _point: "EccPoint" = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> "Point | None":
        """The point that ``data`` encodes, or None if it is not a point, or infinity.

        pycryptodome reduces coordinates modulo p and reads (0, 0) as infinity, so both are refused
        before it is called.
        """
        if len(data) != POINT_BYTES or data[0] != 4:
            return None
        x, y = int.from_bytes(data[1:33]), int.from_bytes(data[33:])
        if x >= _P or y >= _P or x == y == 0:
            return None
        try:
            return cls(_point(x, y))
        except ValueError:
            return None

    @classmethod
    def of_generator(cls, factor: int) -> "Point":
        """``factor`` (1 to n - 1) times the base point, by OpenSSL."""
        numbers = ec.derive_private_key(factor, ec.SECP256R1()).public_key().public_numbers()
        return cls(_point(numbers.x, numbers.y))

    def encode(self) -> bytes:
        x, y = self._point.xy
        return b"\x04" + x.to_bytes(32) + y.to_bytes(32)

    def times(self, factor: int) -> "Point":
        """``factor`` (1 to n - 1) times the point."""
        return Point(self._point * factor)

    def plus(self, other: "Point") -> "Point":
        return Point(self._point + other._point)

    def minus(self, other: "Point") -> "Point":
        return Point(self._point + -other._point)

    def is_infinity(self) -> bool:
        return bool(self._point.is_point_at_infinity())


def _point(x: int, y: int) -> "EccPoint":
    """Raises: ValueError, if (x, y) is not on the curve."""
    # Only logins use pycryptodome, and it takes as long to load as all of protocol/.
    from Crypto.PublicKey.ECC import EccPoint  # type: ignore[attr-defined]  # noqa: PLC0415

    return EccPoint(x, y, "p256")


def ecdh(secret: int, peer: bytes) -> bytes | None:
    """The x coordinate (32 bytes) of ``secret`` times ``peer``; None if ``peer`` is not a point.

    Source: SEC 1 §3.3.1, with the checks of ``Point.decode``.
    """
    if len(peer) != POINT_BYTES or peer[0] != 4:
        return None
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), peer)
    except ValueError:
        return None
    return ec.derive_private_key(secret, ec.SECP256R1()).exchange(ec.ECDH(), point)


@dataclass(frozen=True, slots=True)
class RsaPublicKey:
    """An RSA public key to encrypt to: validated, or generated here."""

    _key: rsa.RSAPublicKey = field(repr=False)

    @property
    def n(self) -> int:
        return self._key.public_numbers().n

    @property
    def e(self) -> int:
        return self._key.public_numbers().e

    def to_pem(self) -> str:
        """SubjectPublicKeyInfo PEM. Source: RFC 5280 §4.1, RFC 7468 §13."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def to_der(self, form: RsaKeyForm = "spki") -> bytes:
        """DER: SubjectPublicKeyInfo, or RSAPublicKey (RFC 8017 §A.1.1)."""
        return self._key.public_bytes(serialization.Encoding.DER, _FORMS[form])

    @classmethod
    def from_der(cls, der: bytes, form: RsaKeyForm = "spki") -> "RsaPublicKey | None":
        """The RSA key in ``der``, or None if ``der`` is not a key in canonical form."""
        try:
            key = serialization.load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm):
            return None
        loaded = cls(key) if isinstance(key, rsa.RSAPublicKey) else None
        return loaded if loaded and loaded.to_der(form) == der else None

    def wrap(self, secret: bytes, scheme: RsaPadding) -> bytes:
        """``secret`` encrypted; as long as the modulus. Source: RFC 8017 §7.1, §7.2."""
        return self._key.encrypt(secret, _PADDINGS[scheme])


@dataclass(frozen=True, slots=True)
class RsaPrivateKey:
    """An RSA key pair of this side."""

    _key: rsa.RSAPrivateKey = field(repr=False)
    public: RsaPublicKey = field(repr=False)
    _modulus: int = field(repr=False)
    _size: int

    @classmethod
    def _of(cls, key: rsa.RSAPrivateKey) -> "RsaPrivateKey":
        public = key.public_key()
        n = public.public_numbers().n
        return cls(key, RsaPublicKey(public), n, (n.bit_length() + 7) // 8)

    @classmethod
    def generate(cls, bits: int = SESSION_KEY_BITS) -> "RsaPrivateKey":
        """A new pair with e = 65537. It takes tens to hundreds of ms; OpenSSL releases the GIL."""
        return cls._of(rsa.generate_private_key(65537, bits))

    @classmethod
    def from_der(cls, der: bytes) -> "RsaPrivateKey":
        """A pair that ``to_der`` wrote and that was kept under an authenticated seal.

        It skips the primality checks (30 ms), because the seal proves that this side made the
        pair. Raises: ValueError, TypeError.
        """
        key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("not an RSA private key")
        return cls._of(key)

    def to_der(self) -> bytes:
        """PKCS#8 DER, unencrypted: seal it before you store it."""
        return self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def unwrap(self, wrapped: bytes | None, scheme: RsaPadding) -> bytes | None:
        """The wrapped secret, or None; one private operation in every case.

        A value that is not a number below the modulus is replaced by a number that is, because an
        early refusal would let an attacker find the modulus by bisection (PROTOCOL §1.13). PKCS#1
        v1.5 uses OpenSSL's implicit rejection: bad padding gives random bytes of a random length,
        not an error. Source: RFC 8017 §7.1.2, §7.2.2.
        """
        valid = (
            wrapped is not None
            and len(wrapped) == self._size
            and int.from_bytes(wrapped) < self._modulus
        )
        number = (
            wrapped if wrapped is not None and valid else (self._modulus >> 1).to_bytes(self._size)
        )
        try:
            secret = self._key.decrypt(number, _PADDINGS[scheme])
        except ValueError:
            return None
        return secret if valid else None


def is_fermat_prime(n: int) -> bool:
    """Whether odd ``n`` passes Fermat's test to base 2. Primes pass it, RSA moduli do not."""
    from Crypto.Math.Numbers import Integer  # noqa: PLC0415 (as in _point)

    return bool(pow(Integer(2), Integer(n - 1), Integer(n)) == 1)
