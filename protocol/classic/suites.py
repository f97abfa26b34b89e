"""How the classic suite wraps a passphrase and seals a payload (PROTOCOL §3.2.3, §3.4).

``unwrap`` and ``open`` never raise. They return whether they succeeded, after the same work.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from protocol.common.codec import decode_bytes, encode_bytes, serialize_encoded
from protocol.common.codes import Code, Entropy
from protocol.common.messages import SealedMessage
from protocol.common.primitives import (
    GCM_TAG_BYTES,
    RsaPrivateKey,
    RsaPublicKey,
    aes_cbc_open,
    aes_cbc_seal,
    aes_ctr,
    aes_gcm_open,
    aes_gcm_seal,
    evp_bytes_to_key,
    md5,
)

from .dialects import Dialect

PASSPHRASE_CHARS = 32
IV_CHARS = 16
GCM_IV_CHARS = 12

# Maps a byte to the character that its low six bits select.
_BYTE_TO_TEXT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" * 4
_PRINTABLE = bytes(range(0x20, 0x7F))

# A passphrase and an iv.
Secrets: TypeAlias = tuple[bytes, str | None]


def _turned(data: bytes, at: int) -> bytes:
    """``data`` from ``at`` on, and then what is before it."""
    view = memoryview(data)
    return b"".join((view[at:], view[:at]))


def _is_printable(text: bytes) -> bool:
    return not text.translate(None, _PRINTABLE)


@dataclass(frozen=True, slots=True)
class Classic:
    """The classic suite in one dialect."""

    dialect: Dialect

    @property
    def name(self) -> str:
        return f"classic/{self.dialect.name}"

    def code_passphrase(self, code: Code) -> bytes:
        """The passphrase of ``code``: its MD5 in hex, or the code itself."""
        text = code.text.encode()
        return md5(text).hex().encode() if self.dialect.code_passphrase == "md5hex" else text

    def new_secrets(self, entropy: Entropy) -> Secrets:
        """A new passphrase and the ``iv`` to send, in one call of ``entropy``.

        The passphrase is 32 random characters of an alphabet of 64: 192 bits. The iv is 12 random
        characters for GCM, otherwise None: a key seals one message, so a constant IV repeats no
        pair of key and IV.
        """
        if self.dialect.aes != "gcm":
            return entropy(PASSPHRASE_CHARS).translate(_BYTE_TO_TEXT), None
        text = entropy(PASSPHRASE_CHARS + GCM_IV_CHARS).translate(_BYTE_TO_TEXT)
        return text[:PASSPHRASE_CHARS], text[PASSPHRASE_CHARS:].decode()

    def new_passphrase(self, entropy: Entropy) -> bytes:
        """As the first of ``new_secrets``."""
        return entropy(PASSPHRASE_CHARS).translate(_BYTE_TO_TEXT)

    def new_iv(self, entropy: Entropy) -> str | None:
        """As the second of ``new_secrets``, for a message under a code."""
        if self.dialect.aes != "gcm":
            return None
        return entropy(GCM_IV_CHARS).translate(_BYTE_TO_TEXT).decode()

    def wrap(self, key: RsaPublicKey, passphrase: bytes) -> str:
        """``passphrase`` encrypted under ``key``, as text."""
        return encode_bytes(self.dialect.encoding, key.wrap(passphrase, self.dialect.rsa_padding))

    def unwrap(self, key: RsaPrivateKey, wrapped: str) -> bytes | None:
        """The passphrase (32 printable ASCII characters), or None.

        One private operation in every case.
        """
        number = decode_bytes(self.dialect.encoding, wrapped)
        secret = key.unwrap(number, self.dialect.rsa_padding)
        if secret is None or len(secret) != PASSPHRASE_CHARS or not _is_printable(secret):
            return None
        return secret

    def _key_and_iv(self, passphrase: bytes, iv: str | None) -> tuple[bytes, bytes, bool]:
        if self.dialect.key_derivation == "evp-bytes-to-key":
            return *evp_bytes_to_key(passphrase), True
        key = (
            md5(passphrase).hex().encode()
            if self.dialect.key_derivation == "md5hex"
            else passphrase
        )
        chars = GCM_IV_CHARS if self.dialect.aes == "gcm" else IV_CHARS
        if iv is None:
            return key, b"0" * chars, self.dialect.aes != "gcm"
        valid = len(iv) == chars and iv.isascii()
        return key, iv.encode() if valid else b"0" * chars, valid

    def seal(self, passphrase: bytes, plaintext: bytes, iv: str | None) -> str:
        """``plaintext`` under ``passphrase``, as text; ``iv`` comes from ``new_iv``."""
        return encode_bytes(self.dialect.encoding, self._encrypted(passphrase, plaintext, iv))

    def _encrypted(self, passphrase: bytes, plaintext: bytes, iv: str | None) -> bytes | bytearray:
        key, iv_bytes, _ = self._key_and_iv(passphrase, iv)
        match self.dialect.aes:
            case "ctr":
                return aes_ctr(key, iv_bytes, plaintext)
            case "cbc":
                return aes_cbc_seal(key, iv_bytes, plaintext)
            case _:
                sealed = aes_gcm_seal(key, iv_bytes, plaintext)
                is_first = self.dialect.tag == "first"
                return _turned(sealed, len(sealed) - GCM_TAG_BYTES) if is_first else sealed

    def seal_to(self, key: RsaPublicKey, plaintext: bytes, entropy: Entropy) -> SealedMessage:
        """``plaintext`` under a new passphrase, which is wrapped under ``key``."""
        passphrase, iv = self.new_secrets(entropy)
        return SealedMessage(self.wrap(key, passphrase), self.seal(passphrase, plaintext, iv), iv)

    def seal_json(self, secrets: Secrets, key: RsaPublicKey, plaintext: bytes) -> bytes:
        """The JSON of ``seal_to``, with ``new_secrets`` that were not used before."""
        passphrase, iv = secrets
        names, members = self.dialect.names, dict[str, Any]()
        members[names.key] = key.wrap(passphrase, self.dialect.rsa_padding)
        members[names.payload] = self._encrypted(passphrase, plaintext, iv)
        if iv is not None:
            members[names.iv] = iv
        return serialize_encoded(self.dialect.encoding, members)

    def open_or_pretend(
        self, passphrase: bytes | None, payload: str, iv: str | None, entropy: Entropy
    ) -> tuple[bytes, bool, Secrets]:
        """As ``open``, with ``new_secrets`` for the answer.

        Without a passphrase the same work is done under the one of these secrets.
        """
        secrets = self.new_secrets(entropy)
        return *self.open(passphrase or secrets[0], payload, iv), secrets

    def open(self, passphrase: bytes, payload: str, iv: str | None) -> tuple[bytes, bool]:
        """The plaintext, and whether it is valid.

        An invalid plaintext has no meaning. The caller does the same work on it.
        """
        key, iv_bytes, valid = self._key_and_iv(passphrase, iv)
        data = decode_bytes(self.dialect.encoding, payload)
        valid = valid and data is not None
        data = data or b""
        match self.dialect.aes:
            case "ctr":
                return aes_ctr(key, iv_bytes, data), valid
            case "cbc":
                plaintext, padded = aes_cbc_open(key, iv_bytes, data)
                return plaintext, valid and padded
            case _:
                if self.dialect.tag == "first":
                    data = _turned(data, GCM_TAG_BYTES)
                opened = aes_gcm_open(key, iv_bytes, data)
                return opened or b"", valid and opened is not None
