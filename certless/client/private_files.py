"""Files that only their owner can read (mode 0600): tickets and cookies.

A file is replaced as a whole: after a power failure, the old or the new content is there.
"""

import fcntl
import os
from pathlib import Path


class ReadableByOthers(OSError):
    """Other users can read the file."""


def read_private(path: Path) -> bytes | None:
    """The content, or None if there is no file. Raises: OSError, ReadableByOthers."""
    try:
        if path.stat().st_mode & 0o077:
            raise ReadableByOthers
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_private(path: Path, content: bytes) -> None:
    """Replace the content; it is on the disk when this returns. Raises: OSError."""
    part = _part_of(path)
    with os.fdopen(_locked(part), "wb") as file:
        # The lock is held until the new content has its name.
        try:
            file.truncate()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def delete_private(path: Path) -> None:
    """Delete the file, and what a killed program has left of its next content. Raises: OSError."""
    path.unlink(missing_ok=True)
    _part_of(path).unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    """The next content, until it is complete. It has one name, so kills leave one file at most."""
    return path.with_name(f".{path.name}.part")


def _locked(part: Path) -> int:
    """The open file ``part``, which no other program writes. It can have old content."""
    while True:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            # The system releases the lock of a killed program.
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Also fails if another user has made the file.
            os.fchmod(handle, 0o600)
            if os.path.samestat(os.fstat(handle), part.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        # Another program has completed the file, or deleted it, while this one waited.
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
