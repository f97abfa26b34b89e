"""``SessionCryptoManager``: which session has which client key, and the keys sealed to it.

All state is in the memory of one process, so there must be one: a second process is refused.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from .errors import (
    ClientKeyChanged,
    InvalidClientKey,
    SessionCryptoError,
    SessionEncryptionDisabled,
    SessionExpired,
    SessionKeyFailed,
    WrongConfiguration,
)
from .process import SealingProcess
from .sealing import SealedKey, client_key, public_pem

EXPIRY_S = 3600
CLEANUP_INTERVAL_S = 300
# Processes that wait for their order, or work.
MAX_PROCESSES = 8
# Longer than any session of the gateway lasts.
_REMEMBER_S = 30 * 86_400
_KINDS = ("P-256", "RSA-3072")
_log = logging.getLogger("session_crypto")
_audit = logging.getLogger("session_crypto.audit")


@dataclass(slots=True)
class SessionKeys:
    """The state of one session. It has no secret."""

    began: float
    process: SealingProcess | None = field(default=None, repr=False)
    client: str = ""
    sealed: SealedKey | None = None


class SessionCryptoManager:
    """Seals private keys to sessions of the gateway.

    ``config`` has ``SESSION_ENCRYPTION_ENABLED`` (False unless set), ``SESSION_CRYPTO_EXPIRY``
    (3600 s), ``SESSION_CRYPTO_CLEANUP_INTERVAL`` (300 s), ``SESSION_CRYPTO_LOCK_FILE`` (in the
    folder for temporary files), and ``SESSION_CRYPTO_ESCROW_KEY`` (none). The last is an RSA key
    in PEM: every private key is then sealed to it as well, and each time is audited.

    ``session_id`` must come from the gateway, never from a part of the request that the client
    chooses. Raises: WrongConfiguration.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config = config or {}
        self.enabled = config.get("SESSION_ENCRYPTION_ENABLED", False) is True
        self._expiry_s = _seconds(config, "SESSION_CRYPTO_EXPIRY", EXPIRY_S)
        self._interval_s = _seconds(config, "SESSION_CRYPTO_CLEANUP_INTERVAL", CLEANUP_INTERVAL_S)
        self._escrow = str(config.get("SESSION_CRYPTO_ESCROW_KEY") or "")
        self._clock = clock
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._free = threading.BoundedSemaphore(MAX_PROCESSES)
        self._swept = clock()
        self._ended: dict[str, float] = {}
        self._made = self._tried = self._durations = 0
        self._lasted_s = 0.0
        self.sessions: dict[str, SessionKeys] = {}
        self._lock: TextIO | None = None
        if self.enabled:
            self._lock = _one_process(config.get("SESSION_CRYPTO_LOCK_FILE"))
            _tell("enabled", escrow=bool(self._escrow))

    def get_server_public_key(self, session_id: str) -> str:
        """The server's half of ECDH for the next key of this session, in PEM.

        Raises: SessionEncryptionDisabled; SessionExpired; SessionKeyFailed.
        """
        with self._mutex:
            self._begin(session_id)
            entry = self.sessions.setdefault(session_id, SessionKeys(self._clock()))
            if entry.process is None or not entry.process.is_running:
                self._drop_process(entry)
                if not self._free.acquire(blocking=False):
                    raise SessionKeyFailed("too many keys are made at the same time: try later")
                try:
                    entry.process = SealingProcess()
                except BaseException:
                    self._free.release()
                    raise
            return entry.process.server_public_key

    def make_private_key(
        self, session_id: str, client_public_key_pem: str, kind: str = "P-256"
    ) -> SealedKey:
        """A new private key, ``P-256`` or ``RSA-3072``, which this process never has.

        Raises: SessionCryptoError.
        """
        if kind not in _KINDS:
            raise InvalidClientKey("the kind of key must be P-256 or RSA-3072")
        return self._seal(session_id, client_public_key_pem, kind, "")

    def encrypt_private_key(
        self, session_id: str, client_public_key_pem: str, private_key_pem: str
    ) -> SealedKey:
        """Seal a private key that this process has already. Prefer ``make_private_key``.

        The caller's copy stays in this process's memory. Raises: SessionCryptoError.
        """
        return self._seal(session_id, client_public_key_pem, "", private_key_pem)

    def cleanup_expired_sessions(self) -> int:
        """Forget sessions whose time is over, with their keys. Returns how many there were."""
        with self._mutex:
            now = self._swept = self._clock()
            expired = [name for name, one in self.sessions.items() if self._is_over(one, now)]
            for name in expired:
                self.end_session(name)
            self._ended = {n: at for n, at in self._ended.items() if now - at < _REMEMBER_S}
            _log.debug("cleanup: %d expired, %d active", len(expired), len(self.sessions))
            return len(expired)

    def end_session(self, session_id: str) -> None:
        """Forget a session. Its id gets no other key."""
        with self._mutex:
            entry = self.sessions.pop(session_id, None)
            if entry is None:
                return
            self._drop_process(entry)
            now = self._clock()
            self._ended[session_id] = now
            self._lasted_s += now - entry.began
            self._durations += 1
            _tell("session_ended", session=session_id)

    def stats(self) -> dict[str, float | int | None]:
        """The figures of ``/session-stats``. ``None`` where nothing was counted yet."""
        with self._mutex:
            self._sweep_if_due()
            return {
                "active_sessions": len(self.sessions),
                "total_keys_generated": self._made,
                "avg_session_duration": (
                    round(self._lasted_s / self._durations, 1) if self._durations else None
                ),
                "encryption_success_rate": (
                    round(self._made / self._tried, 4) if self._tried else None
                ),
            }

    def close(self) -> None:
        """End all sessions and processes, and let another process begin."""
        with self._mutex:
            for name in list(self.sessions):
                self.end_session(name)
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _seal(self, session_id: str, client_pem: str, kind: str, private_pem: str) -> SealedKey:
        try:
            # One spelling of each key.
            client = public_pem(client_key(client_pem))
        except ValueError as error:
            raise InvalidClientKey(str(error)) from None
        with self._mutex:
            self._begin(session_id)
            entry = self.sessions.get(session_id)
            if entry is None or entry.process is None:
                raise SessionExpired("ask for the server's public key first")
            if entry.client not in ("", client):
                _tell("client_key_changed", session=session_id)
                raise ClientKeyChanged("this session has another client key: log in again")
            entry.client = client
            process, entry.process = entry.process, None
            self._tried += 1
        order = {
            "session": session_id,
            "client": client,
            "kind": kind,
            "private_key": private_pem,
            "escrow": self._escrow,
        }
        try:
            sealed = process.seal(order)
        except SessionCryptoError as error:
            _tell("not_sealed", session=session_id, reason=error.code)
            raise
        finally:
            self._free.release()
        with self._mutex:
            self._made += 1
            entry.sealed = sealed
        name = hashlib.sha256(sealed.public_key.encode()).hexdigest()
        _tell("sealed", session=session_id, key=name, made_here=bool(kind))
        if sealed.escrow:
            _tell("escrowed", session=session_id, key=name)
        return sealed

    def _begin(self, session_id: str) -> None:
        """Raises: SessionEncryptionDisabled; WrongConfiguration; SessionExpired."""
        if not self.enabled:
            raise SessionEncryptionDisabled("set SESSION_ENCRYPTION_ENABLED to True to use this")
        if os.getpid() != self._pid:
            raise WrongConfiguration("the state is in another process: run one worker")
        if not session_id:
            raise SessionExpired("the gateway named no session: log in")
        entry = self.sessions.get(session_id)
        if entry is not None and self._is_over(entry, self._clock()):
            self.end_session(session_id)
        self._sweep_if_due()
        if session_id in self._ended:
            raise SessionExpired("the keys of this session are over: log in again")

    def _sweep_if_due(self) -> None:
        if self._clock() - self._swept >= self._interval_s:
            self.cleanup_expired_sessions()

    def _is_over(self, entry: SessionKeys, now: float) -> bool:
        return now - entry.began >= self._expiry_s

    def _drop_process(self, entry: SessionKeys) -> None:
        if entry.process is not None:
            entry.process.end()
            entry.process = None
            self._free.release()


def _seconds(config: Mapping[str, Any], name: str, default: int) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise WrongConfiguration(f"{name} must be a number of seconds above 0")
    return float(value)


def _one_process(path: Any) -> TextIO:
    """A lock that this process holds while it runs. Raises: WrongConfiguration."""
    if (os.environ.get("WEB_CONCURRENCY") or "1") != "1":
        raise WrongConfiguration("session keys need one worker: set WEB_CONCURRENCY to 1")
    here = hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:16]
    default = Path(tempfile.gettempdir()) / f"session_crypto-{os.getuid()}-{here}.lock"
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.fdopen(os.open(path or default, flags, 0o600), "r+")
    except OSError as error:
        raise WrongConfiguration(f"SESSION_CRYPTO_LOCK_FILE: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        text = "another process makes session keys: run one worker (--workers 1), or set "
        raise WrongConfiguration(text + "SESSION_CRYPTO_LOCK_FILE for each application") from None
    return lock


def _tell(event: str, **members: object) -> None:
    """A line of the audit log."""
    _audit.info("%s", json.dumps({"event": event, **members}))
