"""Recovery codes, temporary keys and device secrets: keys, and codes as text (VAULT §3.3, §4)."""

from dataclasses import dataclass, field

from protocol.common.primitives import hkdf, sha256

from .account import KEY_BYTES, label, lp
from .errors import Malformed, WrongSecret
from .primitives import SEED_BYTES, SigningKey
from .wraps import Kind

SECRET_BYTES: dict[Kind, int] = {"recovery": 20, "temporary": 16, "device": 32}
DEVICE_ID_BYTES = 16

_CHECK_BITS: dict[Kind, int] = {"recovery": 20, "temporary": 12}
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Hyphens and white space mean nothing. Case is that of ASCII: upper() of "\u0131" would be "I".
_MEANT = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzOIL", "ABCDEFGH1JK1MN0PQRSTUVWXYZ011", "-\t\n\v\f\r \xa0"
)
_CHAR_BITS = 5
_GROUP_CHARS = 4


@dataclass(frozen=True, slots=True)
class UnlockSecret:
    """A random secret of ``account`` that opens one wrap; 16 to 32 bytes, as its kind says."""

    account: bytes
    kind: Kind
    secret: bytes = field(repr=False)

    @property
    def kek(self) -> bytes:
        """The key of the wrap (32 bytes)."""
        return hkdf(self.secret, self.account, label(f"{self.kind} key"), KEY_BYTES)

    @property
    def proof_key(self) -> SigningKey:
        """The key whose signature makes the server release the wrap."""
        seed = hkdf(self.secret, self.account, label(f"{self.kind} proof"), SEED_BYTES)
        return SigningKey.of(seed)


def code_of(kind: Kind, secret: bytes) -> str:
    """``secret`` as a code: 36 characters for a recovery code, 28 for a temporary key."""
    bits = _CHECK_BITS[kind]
    check = int.from_bytes(_digest(kind, secret)) >> (256 - bits)
    number = int.from_bytes(secret) << bits | check
    chars = (8 * len(secret) + bits) // _CHAR_BITS
    text = "".join(_ALPHABET[number >> _CHAR_BITS * place & 31] for place in reversed(range(chars)))
    return "-".join(text[at : at + _GROUP_CHARS] for at in range(0, chars, _GROUP_CHARS))


def read_code(kind: Kind, typed: str) -> bytes:
    """The secret in a code that a person typed.

    Raises: Malformed, if it is not a code of this kind; WrongSecret, if a character is wrong.
    """
    text = typed.translate(_MEANT)
    bits = _CHECK_BITS[kind]
    size = SECRET_BYTES[kind]
    chars = (8 * size + bits) // _CHAR_BITS
    if len(text) != chars or any(char not in _ALPHABET for char in text):
        raise Malformed(f"a {kind} code has {chars} letters and digits")
    number = 0
    for char in text:
        number = number << _CHAR_BITS | _ALPHABET.index(char)
    secret = (number >> bits).to_bytes(size)
    if code_of(kind, secret).replace("-", "") != text:
        raise WrongSecret("a character of this code is wrong: compare it with what you wrote down")
    return secret


def _digest(kind: Kind, secret: bytes) -> bytes:
    return sha256(label(f"{kind} code") + lp(secret))
