"""Files that only their owner can read (mode 0600): tickets and cookies.

A file is replaced as a whole: after a power failure, the old or the new content is there.
"""

import os
import secrets
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
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
