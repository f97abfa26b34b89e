"""New files with secrets: mode 0600, and never in place of another file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError


@contextmanager
def new_file(path: Path, content: bytes) -> Iterator[None]:
    """A new file with a secret; it is deleted if the context raises. Raises: ConfigError.

    A code or a ticket is written first and made valid in the context: one that is valid but written
    nowhere is of no use.
    """
    _write(path, content)
    try:
        yield
    except BaseException:
        path.unlink()
        raise


def _write(path: Path, content: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists: name a new file, or delete this one") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()
        raise ConfigError(f"{path}: {error.strerror}") from None
