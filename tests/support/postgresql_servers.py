"""A real PostgreSQL for the tests: Debian's, in a folder of its own, on a Unix socket."""

import contextlib
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

_STARTS_WITHIN_S = 60


def program(name: str) -> str:
    """The path of a program of PostgreSQL. Debian does not put them into PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    assert found, f"{name} is missing: apt-get install postgresql"
    return found


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root. The package of Debian has a user for it."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class PostgresqlProcess:
    """A server that only processes of this machine reach, by the socket in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://vault@/postgres?host={self.folder}"

    def make(self) -> None:
        """Create the files of the server."""
        run = [program("initdb"), "--pgdata", str(self.folder / "data"), "--username", "vault"]
        options = ["--auth", "trust", "--encoding", "UTF8", "--no-sync", "--locale", "C"]
        ran = subprocess.run(
            [*run, *options],
            cwd=self.folder,
            capture_output=True,
            timeout=120,
            check=False,
            **_identity(),
        )
        assert ran.returncode == 0, ran.stderr.decode()

    def start(self) -> None:
        # Tests kill clients of the server and not the machine, so nothing needs a sync.
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "shared_buffers": "16MB",
            "log_statement": "all",
        }
        command = [program("postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, **_identity()
            )
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while subprocess.run(
            [program("pg_isready"), "-qh", str(self.folder)], check=False
        ).returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.05)

    def emptied(self) -> str:
        """The URL of the database, after every table in it was dropped."""
        self.run("SET lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.url

    def checkpoint(self) -> None:
        """Write everything to the files."""
        self.run("CHECKPOINT")

    def run(self, sql: str) -> str:
        """What psql prints for ``sql``."""
        return self._client("psql", "-XAtqc", sql, "postgres")

    def dump(self) -> str:
        """The database as SQL that replaces it."""
        return self._client("pg_dump", "--clean", "--if-exists", "postgres")

    def load(self, dump: str) -> None:
        """Replace the database by a dump."""
        self._client("psql", "-Xqv", "ON_ERROR_STOP=1", "postgres", text=dump)

    def _client(self, name: str, *arguments: str, text: str = "") -> str:
        command = [program(name), "-h", str(self.folder), "-U", "vault", *arguments]
        ran = subprocess.run(
            command, capture_output=True, text=True, input=text, timeout=60, check=True
        )
        return ran.stdout

    def stop(self) -> None:
        if self._process is not None:
            # A fast shutdown: SIGINT ends the connections, and removes the shared memory.
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def postgresql() -> Iterator[PostgresqlProcess]:
    """A running server. Its folder is short, because the path of a socket has a limit."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        identity = _identity()
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        server = PostgresqlProcess(folder)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
