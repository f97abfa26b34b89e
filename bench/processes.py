"""The processes of a measurement: started, observed through ``/proc``, and ended."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from bench.results import ROOT
from protocol.common.codec import parse_json_object

_URL = re.compile(r"(http://127\.0\.0\.1:\d+)")
_IDLE_S = 0.3
_IDLE_WITHIN_S = 60
_STARTING_S = 0.05
_STARTS_WITHIN_S = 30
_ENDS_WITHIN_S = 10
_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """The core of the servers and the core of the load; the same if there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return available[-1], available[0]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This process and those that it starts run on ``core``."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pinned(core: int | str | None, *command: str) -> tuple[str, ...]:
    """``command`` on ``core`` if given, or on several as in ``0,1``."""
    return command if core is None else ("taskset", "-c", str(core), *command)


def python(module: str, *arguments: str) -> list[str]:
    """The command of a module of this repository."""
    return [sys.executable, "-m", module, *arguments]


def busy_s() -> float:
    """CPU time of all cores so far, of all programs."""
    numbers = [int(number) for number in Path("/proc/stat").read_text().split()[1:9]]
    idle, waiting = numbers[3:5]
    return (sum(numbers) - idle - waiting) / _TICKS


class Process:
    """A server that runs, and its URL."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def cpu_s(self) -> float:
        """User and system CPU time so far, with its workers."""
        return sum(map(_cpu_s, _with_children(self.pid)))

    def resident_bytes(self) -> int:
        """The memory that it has now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_mib(self) -> float:
        """The most memory that it has had so far."""
        return peak_mib(self.pid)

    def wait_until_idle(self) -> None:
        """Wait until it uses no CPU, for example until its pool of RSA pairs is full.

        A gateway works a little from time to time, so the wait has a limit.
        """
        before_s, end_s = -1.0, time.monotonic() + _IDLE_WITHIN_S
        while before_s != (now_s := self.cpu_s()) and time.monotonic() < end_s:
            before_s = now_s
            time.sleep(_IDLE_S)


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _with_children(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int | str) -> float:
    """VmHWM of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Server(Process):
    """A program on one core that prints lines of JSON, and ends when its input ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__("", process.pid)
        self._process = process
        self.said: dict[str, Any] = {}

    @classmethod
    async def start(cls, core: int, command: list[str]) -> Self:
        process = await asyncio.create_subprocess_exec(
            *pinned(core, *command), stdin=PIPE, stdout=PIPE, cwd=ROOT
        )
        server = cls(process)
        server.said = await server.line()
        server.url = f"http://127.0.0.1:{server.said['port']}"
        return server

    async def line(self) -> dict[str, Any]:
        """The next line of JSON that the server prints."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _STARTS_WITHIN_S)
        return parse_json_object(line)

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ENDS_WITHIN_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@contextmanager
def started(*module: str, core: int | str | None = None) -> Iterator[Process]:
    """``python -m MODULE ...`` once it has printed its URL. Raises: RuntimeError, without one."""
    # A pipe that nobody reads would stop a server that logs.
    with (
        tempfile.NamedTemporaryFile() as output,
        subprocess.Popen(
            pinned(core, *python(*module)), stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
        ) as process,
    ):
        end_s = time.monotonic() + _STARTS_WITHIN_S
        try:
            while not (found := _URL.search(Path(output.name).read_text("utf-8"))):
                if process.poll() is not None or time.monotonic() > end_s:
                    raise RuntimeError(f"{module} did not start")
                time.sleep(_STARTING_S)
            yield Process(found[1], process.pid)
        finally:
            # A gateway with workers ends them itself.
            process.terminate()
            try:
                process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def gateway(
    upstream: str,
    *options: str,
    mails: str | None = None,
    core: int | str | None = None,
    by: tuple[str, ...] = (),
) -> Iterator[Process]:
    """``serve`` in front of ``upstream``, idle, without limits of logins. ``by`` can run it."""
    limits = ("--logins-per-address", "none", "--guesses-per-address", "none", "--logins", "none")
    where = ("--listen", "127.0.0.1:0", "--upstream", upstream)
    users = ("--any-address", "--mail", f"dir:{mails}" if mails else "console:")
    command = (*by, "gateway", "serve", *where, *users, *limits, *options)
    with started(*command, core=core) as process:
        process.wait_until_idle()
        yield process
