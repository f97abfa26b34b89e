"""Tokens, verification codes and names of users (PROTOCOL §1.5, §1.6).

A token is 16 random bytes in the form of a GUID. A code is text of the Crockford base32 alphabet,
with 5 bits per character: no I, L, O or U, so that people can read it aloud. In the classic suite
the code is an AES key for a message with known plaintext, so it can be guessed offline, and only
its length protects it. In the hardened suites a recording does not let anyone test a guess, so
eight characters and five attempts are enough.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .errors import RejectedMessage
from .primitives import sha256

Entropy: TypeAlias = Callable[[int], bytes]

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS_PER_CHAR = 5
# Maps a byte to the character that its low five bits select.
_BYTE_TO_CHAR = CODE_ALPHABET.encode() * 8
CLASSIC_CODE_CHARS = 26
CLASSIC_MIN_CODE_BITS = 128
HARDENED_CODE_CHARS = 8
PASSWORD_MIN_CODE_BITS = 112
CODE_LIFETIME_MS = 600_000
# A code from an operator lives at most this long.
MAX_ISSUED_CODE_MS = 2_592_000_000
CODE_ATTEMPTS = 5
SESSION_ID_BYTES = 16
MAX_USERNAME_CHARS = 254
_NOT_IN_NAMES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Code:
    """A verification code. The server sends ``text`` in the mail and nowhere else."""

    text: str

    @property
    def bits(self) -> int:
        return len(self.text) * BITS_PER_CHAR

    def __repr__(self) -> str:
        return f"Code(<{self.bits} bits>)"


def mint_code(entropy: Entropy, chars: int = CLASSIC_CODE_CHARS) -> Code:
    """A code of ``chars`` random characters (26 are 130 bits)."""
    return Code(entropy(chars).translate(_BYTE_TO_CHAR).decode())


def mint_token(entropy: Entropy) -> str:
    """16 random bytes as 8-4-4-4-12 lower-case hex digits."""
    digits = entropy(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def session_id(token: str) -> bytes:
    """The 16 bytes that identify ``token`` in stores and logs without revealing it."""
    return sha256(b"session\x00" + token.encode(errors="surrogatepass"))[:SESSION_ID_BYTES]


def normalise_username(username: str) -> str:
    """The normalised name: case folded, in NFC, without spaces at the ends.

    Raises: RejectedMessage, if the name is empty, has more than 254 characters, or has control,
    format or line-breaking characters.
    """
    # Normalising marks in the wrong order takes quadratic time. Case folding at most triples.
    if len(username) > 4 * MAX_USERNAME_CHARS:
        raise RejectedMessage("a username has 1 to 254 characters")
    is_simple = username.isascii() and username.isprintable()
    # For such a name, which nearly all are, case folding is lower case and NFC changes nothing.
    name = username.lower() if is_simple else _folded(username)
    name = name.strip(" ")
    if not 1 <= len(name) <= MAX_USERNAME_CHARS:
        raise RejectedMessage("a username has 1 to 254 characters")
    if not is_simple and any(unicodedata.category(char) in _NOT_IN_NAMES for char in name):
        raise RejectedMessage("a username has no control characters")
    return name


def _folded(username: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", username).casefold())
