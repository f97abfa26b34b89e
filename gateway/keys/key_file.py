"""The key file of a store: one key of 32 bytes in each line, as base64; mode 0600.

The first key seals, all keys open. The file is replaced atomically: a reader finds either the old
or the new content, also after a crash.
"""

import base64
import binascii
import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from gateway.errors import ConfigError

KEY_BYTES = 32

Stamp: TypeAlias = tuple[int, int, int]


def keys_in(lines: Sequence[str]) -> list[bytes]:
    """The keys in ``lines``; empty lines are ignored. Raises: ValueError, without key material."""
    try:
        keys = [base64.b64decode(line.strip(), validate=True) for line in lines if line.strip()]
    except (binascii.Error, ValueError):
        raise ValueError("a key is not base64") from None
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("a key has 32 bytes")
    return keys


class KeyFile:
    """Reads and replaces a key file. All methods except ``stamp`` can raise ConfigError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Create the file with one new key, unless it exists."""
        with self._errors_explained():
            if not self.path.exists():
                # Written completely, then linked: if two processes start at the same time, one
                # creates the key, and the other never sees a part of it.
                part = self._part(self.path, [secrets.token_bytes(KEY_BYTES)])
                with part as complete, contextlib.suppress(FileExistsError):
                    os.link(complete, self.path)

    def must_have_folder(self) -> None:
        """Check that the folder exists, to find a mistyped path early."""
        if not self.path.parent.is_dir():
            raise ConfigError(f"key file {self.path}: there is no folder {self.path.parent}")

    def stamp(self) -> Stamp | None:
        """A value that changes with the file; None if there is no file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> list[bytes]:
        """The keys, at least one."""
        with self._errors_explained(), self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError(
                    f"other users can read key file {self.path}: chmod 600 {self.path}"
                )
            content = file.read()
        try:
            return keys_in(content.decode("ascii").splitlines())
        except ValueError:
            raise ConfigError(
                f"key file {self.path} must have one key in each line, as base64 of 32 bytes; "
                "set another --key-file, or restore this one"
            ) from None

    def write(self, keys: Sequence[bytes]) -> None:
        """Replace all keys, keep owner and mode. They are on the disk when this returns."""
        with self._errors_explained():
            # Replace the target of a symbolic link, not the link.
            path = self.path.resolve(strict=True)
            previous = path.stat()
            with self._part(path, keys) as part:
                if os.geteuid() == 0:
                    os.chown(part, previous.st_uid, previous.st_gid)
                part.chmod(previous.st_mode & 0o777)
                part.replace(path)
            self._remove_leftovers(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """A lock for commands that change the file."""
        import fcntl  # noqa: PLC0415 (only POSIX systems have it)

        with self._errors_explained():
            # Each change creates a new file, so the lock is on its folder.
            folder = os.open(self.path.resolve().parent, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigError(
                    f"another command is changing the keys of {self.path}: wait until it has ended"
                ) from None
            yield
        finally:
            os.close(folder)

    @staticmethod
    @contextlib.contextmanager
    def _part(path: Path, keys: Sequence[bytes]) -> Iterator[Path]:
        """A temporary file next to ``path`` with these keys; deleted unless it was renamed."""
        part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(base64.b64encode(key).decode() + "\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            yield part
        finally:
            part.unlink(missing_ok=True)

    @staticmethod
    def _remove_leftovers(path: Path) -> None:
        """Delete temporary files that crashes have left; they can contain deleted keys."""
        part = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{16}")
        for leftover in path.parent.iterdir():
            if part.fullmatch(leftover.name):
                leftover.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            parent = self.path.parent
            reason = error.strerror if parent.is_dir() else f"there is no folder {parent}"
            raise ConfigError(f"key file {self.path}: {reason}") from None
