"""The place of the SQLite file: free space, kind of file system, and the file's version."""

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
# SQLite's write-ahead log needs shared memory, which two machines do not have.
_OVER_A_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone"}
)


def examine_place(path: Path, option: str = "--store") -> Iterator[Finding]:
    """The problems of the place that ``option`` names; nothing if there are none."""
    folder = path.parent
    if not folder.is_dir():
        yield fix(ABOUT, f"there is no folder {folder}: create it, or set another {option}")
        return
    # SQLite creates files next to the store, so the folder must be writable.
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        yield fix(ABOUT, f"this user cannot write to folder {folder}: chown it")
    free_mib = shutil.disk_usage(folder).free // _MIB
    if free_mib < _SHORT_MIB:
        mark = fix if free_mib < _FULL_MIB else warn
        yield mark(ABOUT, f"{free_mib} MiB are free in {folder}: without free space no login works")
    kind = file_system_of(folder.resolve(), MOUNTS)
    if kind in _OVER_A_NETWORK:
        yield warn(
            ABOUT,
            f"{folder} is on a network file system ({kind}), where SQLite cannot lock the file: "
            "use a local disk, or a server of a database",
        )


def file_system_of(folder: Path, mounts: Path) -> str | None:
    """The kind of file system of ``folder``, from a table like /proc/self/mounts."""
    if not mounts.exists():
        return None
    found: tuple[int, str] | None = None
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        _, mount, kind, *_ = line.split(" ")
        # Spaces and the like are written as three octal digits: fstab(5).
        point = Path(mount.encode().decode("unicode_escape"))
        depth = len(point.parts)
        if folder.is_relative_to(point) and (found is None or depth >= found[0]):
            found = depth, kind
    return found[1] if found else None


def examine_file(path: Path) -> Finding | None:
    """Check the version of the file without converting it; None if there is no problem."""
    address = f"file:{quote(str(path.resolve()))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error as error:
        return fix(
            ABOUT, f"{path} cannot be opened ({error}): is it a store, and can this user read it?"
        )
    if version > FILE_VERSION:
        return fix(
            ABOUT, f"{path} was written by a later version of Certless: install that version"
        )
    if version < FILE_VERSION:
        return warn(
            ABOUT, f"{path} has an earlier version: the next start converts it; make a copy"
        )
    if journal != "wal":
        return fix(ABOUT, f"{path} has no write-ahead log: use another disk")
    return None
