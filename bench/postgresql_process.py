"""A PostgreSQL for a measurement: on a Unix socket, in a temporary folder, with its defaults."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.processes import pinned

_STARTS_WITHIN_S = 60


def _program(name: str) -> str:
    # Debian does not put them into PATH.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = shutil.which(name) or (str(found[-1]) if found else None)
    if path is None:
        raise FileNotFoundError(f"{name} is missing: apt-get install postgresql")
    return path


@contextmanager
def postgresql_process(core: int) -> Iterator[str]:
    """The URL of its database. A commit is synced, as PostgreSQL does unless set."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root. The package of Debian has a user for it.
            user = pwd.getpwnam("postgres")
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = f"{folder}/data"
        made = ("--username", "vault", "--auth", "trust", "--encoding", "UTF8", "--locale", "C")
        subprocess.run(
            [_program("initdb"), "--pgdata", data, *made],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=120,
            **identity,
        )
        options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}")
        with subprocess.Popen(
            pinned(core, _program("postgres"), "-D", data, *options),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity,
        ) as process:
            try:
                _wait(folder, process)
                yield f"postgresql://vault@/postgres?host={folder}"
            finally:
                # SIGINT ends the connections as well.
                process.send_signal(signal.SIGINT)
                process.wait(30)


def _wait(folder: str, process: "subprocess.Popen[bytes]") -> None:
    end_s = time.monotonic() + _STARTS_WITHIN_S
    while subprocess.run([_program("pg_isready"), "-qh", folder], check=False).returncode:
        if process.poll() is not None or time.monotonic() > end_s:
            raise RuntimeError("PostgreSQL does not start")
        time.sleep(0.05)
