"""The key that seals what a store keeps: session private keys and pending codes.

AES-256-GCM with a random 12-byte nonce; purpose and session id are authenticated along, so that
one sealed record cannot stand in for another. A key file holds one line of base64 (32 bytes),
mode 0600, made on first start.
"""

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path

from protocol.primitives import aes_gcm_open, aes_gcm_seal

from .errors import ConfigError

KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyRing:
    """Seals and opens records under one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._key = key

    @classmethod
    def ephemeral(cls) -> "KeyRing":
        """A key that lives as long as this process."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_file(cls, path: Path) -> "KeyRing":
        """The key in ``path``, made there if there is none. Raises: ConfigError."""
        try:
            if not path.exists():
                _create(path)
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"key file {path} can be read by others: chmod 600 {path}")
            key = base64.b64decode(path.read_text("ascii").strip(), validate=True)
            return cls(key)
        except OSError as error:
            reason = error.strerror if path.parent.is_dir() else f"there is no folder {path.parent}"
            raise ConfigError(f"key file {path}: {reason}") from None
        except (ValueError, binascii.Error):
            raise ConfigError(
                f"key file {path} must hold one line, the base64 of 32 bytes; "
                "name another with --key-file, or restore this one"
            ) from None

    def seal(self, purpose: str, session_id: bytes, secret: bytes) -> bytes:
        """``secret`` sealed: nonce (12), ciphertext, tag (16)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + aes_gcm_seal(self._key, nonce, secret, purpose.encode() + session_id)

    def open(self, purpose: str, session_id: bytes, sealed: bytes) -> bytes | None:
        """What was sealed for this purpose and session, or None."""
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return aes_gcm_open(self._key, nonce, body, purpose.encode() + session_id)


def _create(path: Path) -> None:
    # Written whole and then linked: of two processes that start at once one makes the key, and
    # the other finds either nothing or all of it.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()
