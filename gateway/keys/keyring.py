"""The keys that seal the records of a store: session private keys and pending codes.

AES-256-GCM with a random 12-byte nonce. Purpose and session id are authenticated, so a sealed
record cannot replace another one. The first key seals, all keys open: a new key becomes the first
one while records of old keys exist (``rotation.py``). The keys are in a file (``key_file.py``) or
in the environment.
"""

import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import ConfigError
from protocol.common.primitives import AesGcm, hkdf, sha256

from .key_file import KEY_BYTES, KeyFile, Stamp, keys_in

VARIABLE = "CERTLESS_KEYS"
_NONCE_BYTES = 12
_ID_BYTES = 6
_log = logging.getLogger("certless")


def key_id(key: bytes) -> str:
    """The name of a key, 12 characters of its hash; it does not reveal the key."""
    return sha256(b"certless key\x00" + key)[:_ID_BYTES].hex()


class KeyRing:
    """Seals records with the first of its keys (32 bytes each), and opens them with any.

    A ring of a file follows the file: it seals with the current first key of the file, and looks
    for new keys before it says that a record does not open.
    """

    def __init__(self, keys: Sequence[bytes], file: KeyFile | None = None) -> None:
        """``keys`` can be empty only if ``file`` is set, which is then created later."""
        self._file = file
        self._stamp: Stamp | None = None
        self._by_id: dict[str, bytes] = {}
        # A prepared cipher for each key.
        self._ciphers: dict[str, AesGcm] = {}
        if keys or file is None:
            self._set_keys(keys)

    def _set_keys(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError("a ring needs a key, and a key has 32 bytes")
        self._by_id = {key_id(key): key for key in keys}
        self._ciphers = {name: AesGcm(key) for name, key in self._by_id.items()}

    @property
    def _first(self) -> AesGcm:
        for cipher in self._ciphers.values():
            return cipher
        raise ConfigError(f"there is no {self}: serve creates it for a new store")

    @classmethod
    def ephemeral(cls) -> "KeyRing":
        """A random key for this process only."""
        return cls([secrets.token_bytes(KEY_BYTES)])

    @classmethod
    def from_file(cls, path: Path) -> "KeyRing":
        """The keys in ``path``; creates the file with one key if there is none.

        Raises: ConfigError.
        """
        ring = cls.of_file(path)
        ring.make()
        return ring

    @classmethod
    def of_file(cls, path: Path) -> "KeyRing":
        """The keys in ``path``, or none yet: ``make`` creates the first. Raises: ConfigError."""
        file = KeyFile(path)
        ring = cls((), file)
        if file.stamp():
            ring._read()
        else:
            file.must_have_folder()
        return ring

    def make(self) -> None:
        """Create the file with a first key, if there is none. Raises: ConfigError."""
        if self._file is not None and not self.has_keys():
            self._file.make()
            self._read()

    def has_keys(self) -> bool:
        """Whether there are keys, also if another process has just created them."""
        return bool(self._by_id) or self._follow()

    def __str__(self) -> str:
        if self._file:
            return f"key file {self._file.path}"
        return VARIABLE if os.environ.get(VARIABLE) else "key of this process"

    @classmethod
    def from_environment(cls) -> "KeyRing | None":
        """The keys in ``CERTLESS_KEYS``, base64 separated by commas; None if it is not set.

        Raises: ConfigError.
        """
        text = os.environ.get(VARIABLE)
        if not text:
            return None
        try:
            return cls(keys_in(text.split(",")))
        except ValueError:
            raise ConfigError(
                f"{VARIABLE} must be keys separated by commas, each the base64 of 32 bytes"
            ) from None

    @classmethod
    def chosen(cls, key_file: Path | None, default: Path | None = None) -> "KeyRing":
        """The keys of the environment, else of ``key_file``, else of ``default``.

        Without any of these, a random key for this process. A missing file is not created here:
        the store can be sealed with another one (``user_tags.py``). Raises: ConfigError.
        """
        ring = cls.from_environment()
        if ring and key_file:
            raise ConfigError(f"keys come from {VARIABLE} or from a key file: remove one of them")
        path = key_file or default
        return ring or (cls.of_file(path) if path else cls.ephemeral())

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the keys; the first one seals."""
        return tuple(self._by_id)

    def derived(self, purpose: str) -> bytes:
        """32 bytes for ``purpose``, derived from the last, that is the oldest, key of the ring."""
        return hkdf(list(self._by_id.values())[-1], b"", b"certless " + purpose.encode(), KEY_BYTES)

    def seal(self, purpose: str, session_id: bytes, secret: bytes) -> bytes:
        """``secret`` sealed: nonce (12), ciphertext, tag (16)."""
        self._follow()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._first.seal(nonce, secret, purpose.encode() + session_id)

    def open(self, purpose: str, session_id: bytes, sealed: bytes) -> bytes | None:
        """The content of a record sealed for this purpose and session, or None."""
        found = self.find(purpose, session_id, sealed)
        if found is None and self._follow():
            found = self.find(purpose, session_id, sealed)
        return None if found is None else found[1]

    def find(self, purpose: str, session_id: bytes, sealed: bytes) -> tuple[str, bytes] | None:
        """The name of the key that opens a record, and the content."""
        nonce, body = sealed[:_NONCE_BYTES], memoryview(sealed)[_NONCE_BYTES:]
        for name, cipher in self._ciphers.items():
            opened = cipher.open(nonce, body, purpose.encode() + session_id)
            if opened is not None:
                return name, opened
        return None

    async def reload(self) -> None:
        """Read the key file, if there is one. Raises: ConfigError; the old keys stay."""
        self._read()

    def _read(self) -> None:
        if self._file is not None:
            self._stamp = self._file.stamp()
            self._set_keys(self._file.read())

    def _follow(self) -> bool:
        """Read the file if it has changed; whether it did."""
        if self._file is None or self._file.stamp() == self._stamp:
            return False
        try:
            self._read()
        except ConfigError as error:
            # Logged once: the file is not read again before it changes again.
            _log.error("%s; the old keys stay in use", error)
            return False
        return True
