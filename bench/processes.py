"""The processes of a measurement: started, observed through ``/proc``, and ended."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.targets import ROOT

_URL = re.compile(r"(http://127\.0\.0\.1:\d+)")
_IDLE_S = 0.5
_STARTING_S = 0.05


class Process:
    """A server, and the URL that it has printed."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid

    def cpu_s(self) -> float:
        """CPU time so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """The most memory that it has had so far."""
        return peak_mib(self._pid)

    def wait_until_idle(self) -> None:
        """Wait until it uses no CPU, for example until its pool of RSA pairs is full."""
        before_s = -1.0
        while before_s != (now_s := self.cpu_s()):
            before_s = now_s
            time.sleep(_IDLE_S)


def peak_mib(pid: int | str) -> float:
    """VmHWM of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def started(*module: str) -> Iterator[Process]:
    """``python -m MODULE ...`` once it has printed its URL. Raises: RuntimeError, if it ends."""
    # A pipe that nobody reads would stop a server that logs.
    with (
        tempfile.NamedTemporaryFile() as output,
        subprocess.Popen(
            [sys.executable, "-m", *module], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
        ) as process,
    ):
        try:
            while not (found := _URL.search(Path(output.name).read_text("utf-8"))):
                if process.poll() is not None:
                    raise RuntimeError(f"{module} did not start")
                time.sleep(_STARTING_S)
            yield Process(found[1], process.pid)
        finally:
            process.kill()


@contextmanager
def gateway(upstream: str, mails: str) -> Iterator[Process]:
    """``serve`` in front of ``upstream``, without limits of logins; idle."""
    limits = ("--logins-per-address", "none", "--guesses-per-address", "none")
    where = ("--listen", "127.0.0.1:0", "--upstream", upstream)
    users = ("--any-address", "--mail", f"dir:{mails}")
    with started("gateway", "serve", *where, *users, *limits) as process:
        process.wait_until_idle()
        yield process
