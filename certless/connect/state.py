"""The state folder of one site: the label of its local name, the ticket, and a lock.

Only the user can read it. One process at a time uses it: a ticket that is resumed twice is revoked.
"""

import base64
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import platformdirs

from .errors import CannotStart

_LABEL_BYTES = 16
_LABEL = re.compile(r"[a-z2-7]{26}")


class State:
    """The folder of one site, realm and suite, below ``base`` (default: the user's state folder).

    Raises: CannotStart.
    """

    def __init__(self, site: str, realm: str, suite: str, base: Path | None = None) -> None:
        root = base or platformdirs.user_state_path("certless") / "connect"
        name = hashlib.sha256("\0".join((site, realm, suite)).encode()).hexdigest()[:32]
        self._folder = root / name
        self._lock: int | None = None
        self.ticket = self._folder / "ticket"
        # Profiles of browsers are kept in it.
        self.browsers = self._folder / "browsers"

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self.browsers.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(self._folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotStart(f"state folder {self._folder}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise CannotStart(
                "another certless connect for this site is running: use that one, or stop it"
            ) from None
        self._lock = handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def label(self) -> str:
        """128 random bits as text, the same at every start. Raises: CannotStart."""
        path = self._folder / "label"
        try:
            if path.exists() and _LABEL.fullmatch(stored := path.read_text("ascii")):
                return stored
            random = secrets.token_bytes(_LABEL_BYTES)
            made = base64.b32encode(random).decode().rstrip("=").lower()
            with os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
            ) as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, UnicodeError) as error:
            raise CannotStart(f"state folder {self._folder}: {error}") from None
        return made

    def forget(self) -> None:
        """Delete the ticket, the label and the profiles of browsers. Raises: CannotStart."""
        try:
            shutil.rmtree(self.browsers)
            for name in ("ticket", "ticket.lock", "label"):
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise CannotStart(f"state folder {self._folder}: {error.strerror}") from None
