"""Where SQLite's file lies: room, kind of file system, and what the file says of itself."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gateway.stores.sqlite.file import FILE_VERSION

from . import Finding, fix, warn

ABOUT = "store"
_MIB = 1024 * 1024
_FULL_MIB, _SHORT_MIB = 64, 1024
MOUNTS = Path("/proc/self/mounts")
# SQLite's log of writes is shared by memory, which no two machines have in common.
_OVER_A_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone"}
)


def examine_place(path: Path) -> Iterator[Finding]:
    """What speaks against this place; nothing where nothing does."""
    folder = path.parent
    if not folder.is_dir():
        yield fix(ABOUT, f"there is no folder {folder}: make it, or name another --store")
        return
    # Journal and lock stand beside the file, so the folder itself must be writable.
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        yield fix(ABOUT, f"folder {folder} cannot be written by this user: chown it")
    free_mib = shutil.disk_usage(folder).free // _MIB
    if free_mib < _SHORT_MIB:
        mark = fix if free_mib < _FULL_MIB else warn
        yield mark(ABOUT, f"{free_mib} MiB are free in {folder}: with none, nobody is served")
    kind = file_system_of(folder.resolve(), MOUNTS)
    if kind in _OVER_A_NETWORK:
        yield warn(
            ABOUT,
            f"{folder} is on a network ({kind}), where SQLite cannot keep two gateways apart: "
            "use a disk of this machine, or a store that is made for it",
        )


def file_system_of(folder: Path, mounts: Path) -> str | None:
    """The kind of file system that ``folder`` is on, by a table like /proc/self/mounts."""
    if not mounts.exists():
        return None
    found: tuple[int, str] | None = None
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        _, place, kind, *_ = line.split(" ")
        # Blanks and the like are written as three octal digits: fstab(5).
        point = Path(place.encode().decode("unicode_escape"))
        depth = len(point.parts)
        if folder.is_relative_to(point) and (found is None or depth >= found[0]):
            found = depth, kind
    return found[1] if found else None


def examine_file(path: Path) -> Finding | None:
    """What the file says of itself, without bringing it to this version; None where all is well."""
    address = f"file:{quote(str(path.resolve()))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error as error:
        return fix(ABOUT, f"{path} cannot be opened ({error}): is it a store, and this user's?")
    if version > FILE_VERSION:
        return fix(ABOUT, f"{path} was made by a later version of Certless: install that one")
    if version < FILE_VERSION:
        return warn(ABOUT, f"{path} is of an earlier version: the next start changes it; copy it")
    if journal != "wal":
        return fix(ABOUT, f"{path} keeps no write-ahead log here: use another disk")
    return None
