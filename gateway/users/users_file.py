"""Changes of a users file that keep its comments and its order."""

import os
import stat
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from gateway.errors import ConfigError

from .directory import TomlDirectory


def set_password_hash(path: Path, name: str, password_hash: str) -> None:
    """Write the hash to the table of the user ``name``.

    The file is replaced atomically, and keeps its owner and mode. Raises: ConfigError.
    """
    # A symbolic link stays, and its file is replaced.
    target = path.resolve()
    try:
        document: Any = tomlkit.parse(target.read_text("utf-8"))
        document["users"][name]["password"] = password_hash
        _replace(target, tomlkit.dumps(document).encode())
    except (TOMLKitError, UnicodeDecodeError, KeyError):
        raise ConfigError(f"users file {path}: user {name!r} cannot be changed") from None
    except OSError as error:
        raise ConfigError(
            f"users file {path}: {error.strerror}; let this user write to its folder"
        ) from None


def _replace(target: Path, content: bytes) -> None:
    """Raises: ConfigError, OSError; the file is then unchanged."""
    status = target.stat()
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            file.flush()
            os.fsync(descriptor)
        # Never replace a good file by one that the gateway would refuse.
        TomlDirectory.from_file(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
