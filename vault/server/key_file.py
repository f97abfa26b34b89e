"""The key file of the server: 32 random bytes as base64 in one line, with mode 0600."""

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path

from certless import ConfigError
from vault.core.account import KEY_BYTES


def read_or_make(path: Path) -> bytes:
    """The key in ``path``. A missing file is made with a new key. Raises: ConfigError."""
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError(
                    f"other users can read the vault's key file {path}: chmod 600 {path}"
                )
            content = file.read()
    except OSError as error:
        raise ConfigError(f"the vault's key file {path}: {error.strerror}") from None
    with contextlib.suppress(binascii.Error):
        key = base64.b64decode(content.strip(), validate=True)
        if len(key) == KEY_BYTES:
            return key
    raise ConfigError(
        f"the vault's key file {path} must have one key of 32 bytes as base64: restore it from the "
        "backup"
    )


def key_path(database: Path | None, key_file: str | Path | None) -> Path:
    """The path of the key file. ``database`` is the file of SQLite. Raises: ConfigError."""
    if key_file is not None:
        return Path(key_file)
    if database is None:
        raise ConfigError(
            "servers on one PostgreSQL share the vault's key: name its file with key_file"
        )
    return database.with_name(f"{database.name}.key")


def _make(path: Path) -> None:
    # Written completely, then linked: if two workers start at the same time, one makes the key, and
    # the other never sees a part of it.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)
