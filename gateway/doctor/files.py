"""Who on this machine can read, or change, the files of a gateway."""

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

from . import Finding, Service, fix, ok, warn

ABOUT = "files"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file, what is in it, and the bits of its mode that must not be set."""

    path: Path
    content: str
    forbidden: int


async def check_files(service: Service) -> AsyncIterator[Finding]:
    """The mode of each file that is there."""
    found = await asyncio.to_thread(lambda: list(_findings(service)))
    for finding in found:
        yield finding


def _findings(service: Service) -> Iterator[Finding]:
    files = [kept for kept in _files_of(service) if kept.path.exists()]
    wrong = False
    audit = service.options.get("audit")
    if audit and Path(audit).is_dir():
        wrong = True
        yield fix(ABOUT, f"the audit log {audit} is a folder: name a file in it")
    elif audit and not os.access(Path(audit).parent, os.W_OK | os.X_OK, effective_ids=True):
        wrong = True
        yield fix(ABOUT, f"the audit log {audit} cannot be made: name a folder of this user's")
    for kept in files:
        status = kept.path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if mode & kept.forbidden:
            wrong = True
            verb = "change" if mode & kept.forbidden & 0o022 else "read"
            mended = mode & ~kept.forbidden
            yield fix(
                ABOUT,
                f"others can {verb} {kept.path} ({kept.content}): "
                f"{_regroup(kept.path, status, mended)}chmod {mended:o} {kept.path}",
            )
        if not os.access(kept.path, os.R_OK, effective_ids=True):
            wrong = True
            yield fix(ABOUT, f"this user cannot read {kept.path}: run as the gateway's user")
        elif os.geteuid() == 0 and status.st_uid != 0:
            wrong = True
            yield warn(
                ABOUT,
                f"{kept.path} belongs to {_name(status.st_uid)} and this is root, who may read "
                "everything: look again as the user that serves",
            )
    if not wrong:
        names = ", ".join(kept.path.name for kept in files) or "none so far"
        yield ok(ABOUT, f"nobody else can change them, or read what is secret: {names}")


def _regroup(path: Path, status: os.stat_result, mended: int) -> str:
    """What to do before the mode is ``mended``, lest this user cannot read the file any more."""
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    if user in (0, status.st_uid) or status.st_gid in groups or not mended & stat.S_IRGRP:
        return ""
    return f"chgrp {os.getegid()} {path} && "


def _files_of(service: Service) -> Iterator[_Kept]:
    options = service.options
    scheme, _, rest = options.get("store", default_of("store")).partition(":")
    keys = options.get("key_file")
    if scheme == "sqlite":
        if not os.environ.get(VARIABLE):
            keys = keys or f"{rest}.key"
        for ending in ("", "-wal", "-shm"):
            yield _Kept(Path(rest + ending), "who is logged in, and sealed keys", 0o077)
    if keys:
        yield _Kept(Path(keys), "the keys to the store", 0o077)
    if options.get("users"):
        yield _Kept(Path(options["users"]), "addresses of users", 0o027)
    if options.get("audit") and not Path(options["audit"]).is_dir():
        yield _Kept(Path(options["audit"]), "who came when, from where", 0o027)
    if service.config:
        urls = (str(options.get(name, "")) for name in ("mail", "store"))
        if any(map(_holds_a_secret, urls)):
            yield _Kept(service.config, "it holds a password", 0o027)
        else:
            yield _Kept(service.config, "who may log in, and where to", 0o022)


def _holds_a_secret(url: str) -> bool:
    try:
        # Many webhooks take whoever knows their path.
        return url.startswith("webhook:") or urlsplit(url).password is not None
    except ValueError:
        return True


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"
