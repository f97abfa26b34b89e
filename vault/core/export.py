"""A note as a file that only a passphrase opens (VAULT §13)."""

from protocol.common.primitives import GCM_TAG_BYTES, aes_gcm_open, aes_gcm_seal, hkdf

from .account import KEY_BYTES, label
from .errors import Malformed, Tampered, WrongSecret
from .password import SALT_BYTES, kdf_of, le, password_bytes, stretched
from .sealed_values import MAX_NOTE_BYTES, padded, unpadded
from .wraps import IV_BYTES

_MAGIC = b"certless-vault/1 export\n"
_AAD_BYTES = len(_MAGIC) + 1 + SALT_BYTES
MAX_EXPORT_BYTES = _AAD_BYTES + IV_BYTES + MAX_NOTE_BYTES + 4_096 + GCM_TAG_BYTES


def seal_export(text: str, passphrase: str, salt: bytes, iv: bytes, kdf: int) -> bytes:
    """A file. ``salt`` is 16 random bytes, ``iv`` 12. Raises: Malformed, WeakKdf."""
    kdf_of(kdf)
    aad = _MAGIC + bytes([kdf]) + salt
    try:
        note = text.encode()
    except UnicodeEncodeError:
        raise Malformed("the note has half of a surrogate pair") from None
    if len(note) > MAX_NOTE_BYTES:
        raise Malformed(f"a note has at most {MAX_NOTE_BYTES} bytes")
    plaintext = padded(0, note)
    return aad + iv + aes_gcm_seal(_key(passphrase, salt, kdf), iv, plaintext, aad)


def open_export(data: bytes, passphrase: str) -> str:
    """The text in a file. Raises: Malformed, WeakKdf, WrongSecret, Tampered."""
    least = _AAD_BYTES + IV_BYTES + GCM_TAG_BYTES
    if not data.startswith(_MAGIC) or not least <= len(data) <= MAX_EXPORT_BYTES:
        raise Malformed("not an export of this version of the vault")
    aad, rest = data[:_AAD_BYTES], data[_AAD_BYTES:]
    key = _key(passphrase, aad[-SALT_BYTES:], aad[len(_MAGIC)])
    plaintext = aes_gcm_open(key, rest[:IV_BYTES], rest[IV_BYTES:], aad)
    if plaintext is None:
        raise WrongSecret("the passphrase is wrong, or the file was changed")
    sequence, note = unpadded(plaintext)
    if sequence or len(note) > MAX_NOTE_BYTES:
        raise Tampered("the export has a sequence, or is longer than a note can be")
    try:
        return note.decode()
    except UnicodeDecodeError:
        raise Tampered("the export is not text") from None


def _key(passphrase: str, salt: bytes, kdf: int) -> bytes:
    root = stretched(le(password_bytes(passphrase)), salt, kdf)
    return hkdf(root, b"", label("export key"), KEY_BYTES)
