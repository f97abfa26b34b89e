"""File permissions: whether other users can read or change the files of the gateway."""

import asyncio
import os
import pwd
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config.options import default_of
from gateway.keys.keyring import VARIABLE
from gateway.stores.urls import default_key_file, sqlite_path

from . import Finding, Service, fix, ok, warn

ABOUT = "files"
_WEBHOOK_FILE = "webhook:@"
# Options that can contain a password.
_URLS = ("mail", "store", "ticket_store", "second_check")


@dataclass(frozen=True, slots=True)
class _File:
    """A file, its content, and the mode bits that must not be set."""

    path: Path
    content: str
    forbidden: int


async def check_files(service: Service) -> AsyncIterator[Finding]:
    """The mode of each existing file."""
    found = await asyncio.to_thread(lambda: list(_findings(service)))
    for finding in found:
        yield finding


def _findings(service: Service) -> Iterator[Finding]:
    files = [file for file in _files_of(service) if file.path.exists()]
    found_problem = False
    audit = service.options.get("audit")
    if audit and Path(audit).is_dir():
        found_problem = True
        yield fix(ABOUT, f"the audit log {audit} is a folder: set a file")
    elif audit and not os.access(Path(audit).parent, os.W_OK | os.X_OK, effective_ids=True):
        found_problem = True
        yield fix(
            ABOUT, f"this user cannot create the audit log {audit}: use a folder of this user"
        )
    for file in files:
        status = file.path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if mode & file.forbidden:
            found_problem = True
            verb = "change" if mode & file.forbidden & 0o022 else "read"
            new_mode = mode & ~file.forbidden
            yield fix(
                ABOUT,
                f"other users can {verb} {file.path} ({file.content}): "
                f"{_chgrp(file.path, status, new_mode)}chmod {new_mode:o} {file.path}",
            )
        if not os.access(file.path, os.R_OK, effective_ids=True):
            found_problem = True
            yield fix(
                ABOUT, f"this user cannot read {file.path}: run doctor as the user of the gateway"
            )
        elif os.geteuid() == 0 and status.st_uid != 0:
            found_problem = True
            yield warn(
                ABOUT,
                f"{file.path} belongs to {_name(status.st_uid)}, and root can read every file: "
                "run doctor as the user of the gateway",
            )
    if not found_problem:
        names = ", ".join(file.path.name for file in files) or "none yet"
        yield ok(ABOUT, f"other users cannot change them or read secrets: {names}")


def _chgrp(path: Path, status: os.stat_result, new_mode: int) -> str:
    """A command to run before chmod, so that this user can still read the file."""
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    if user in (0, status.st_uid) or status.st_gid in groups or not new_mode & stat.S_IRGRP:
        return ""
    return f"chgrp {os.getegid()} {path} && "


def _files_of(service: Service) -> Iterator[_File]:
    options = service.options
    stores = [options.get("store", default_of("store")), options.get("ticket_store") or ""]
    keys = options.get("key_file")
    if not os.environ.get(VARIABLE):
        keys = keys or default_key_file(stores[0])
    for path in filter(None, map(sqlite_path, stores)):
        for ending in ("", "-wal", "-shm"):
            yield _File(Path(f"{path}{ending}"), "sessions and sealed keys", 0o077)
    if keys:
        yield _File(Path(keys), "keys of the store", 0o077)
    if options.get("users"):
        yield _File(Path(options["users"]), "addresses of users", 0o027)
    if options.get("second_check_secret"):
        yield _File(Path(options["second_check_secret"]), "secret of the second check", 0o077)
    channels = dict(options.get("channels", {}))
    for url in (str(options.get("mail", "")), *channels.values()):
        if url.startswith(_WEBHOOK_FILE):
            yield _File(Path(url.removeprefix(_WEBHOOK_FILE)), "the request of a webhook", 0o027)
    if options.get("audit") and not Path(options["audit"]).is_dir():
        yield _File(Path(options["audit"]), "names and addresses of users", 0o027)
    if service.config:
        urls = (str(options.get(name, "")) for name in _URLS)
        if any(map(_holds_a_secret, (*urls, *channels.values()))):
            yield _File(service.config, "it holds a password", 0o027)
        else:
            yield _File(service.config, "it says who can log in", 0o022)


def _holds_a_secret(url: str) -> bool:
    try:
        # The path of a webhook is often its only secret.
        if url.startswith("webhook:"):
            return not url.startswith(_WEBHOOK_FILE)
        return urlsplit(url).password is not None
    except ValueError:
        return True


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"
