"""One worker of ``serve --workers N``: its process, and the parent's handle of it.

A pipe connects the two. The worker reports that it serves, or why it cannot. If one of them ends,
the other sees the end of the pipe. The options also go through a pipe, because they can contain
passwords and a process list shows arguments.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.errors import ConfigError, GatewayError
from gateway.monitoring.metrics import FOLDER_VARIABLE, Metrics, reserve_files

from .listener import listening, set_up_log
from .signals import on_reload_signal

_SERVES = ""
_spawn = multiprocessing.get_context("spawn")
_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class Job:
    """The options and address of a worker; ``number`` is its name in the log.

    ``counts`` if the parent collects its metrics.
    """

    number: int
    options: dict[str, Any] = field(repr=False)
    host: str
    port: int
    counts: bool = False


def _blocked_signals() -> set[signal.Signals]:
    """The signals that are blocked until a starting worker can handle them."""
    # Not a constant: the command line imports this module on Windows, which has no SIGHUP.
    return {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class WorkerProcess:
    """The parent's handle of a worker process. The process starts in the constructor."""

    def __init__(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        self._pipe, child_pipe = _spawn.Pipe()
        self._process = _spawn.Process(target=work, args=(job, child_pipe), daemon=True)
        self._serves: asyncio.Future[GatewayError | None] = loop.create_future()
        self._ended = asyncio.Event()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _blocked_signals())
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        child_pipe.close()
        loop.add_reader(self._pipe.fileno(), self._read_report)

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def _read_report(self) -> None:
        try:
            is_config, text = self._pipe.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self._ended.set()
            is_config, text = False, "a worker ended before it served"
        if not self._serves.done():
            error = ConfigError(text) if is_config else GatewayError(text)
            self._serves.set_result(None if text == _SERVES else error)

    async def until_it_serves(self) -> None:
        """Returns when the worker serves. Raises: GatewayError, ConfigError, if it cannot."""
        error = await self._serves
        if error is not None:
            raise error

    async def until_it_ends(self) -> int:
        """The exit status; below 0 the signal that ended it."""
        await self._ended.wait()
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        if not self._ended.is_set():
            os.kill(self.pid, number)


def work(job: Job, pipe: Connection) -> None:
    """The main function of a worker process."""
    # A terminal sends Ctrl-C to all processes, but only the parent stops a worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up_log(f"worker {job.number}: ")
    try:
        asyncio.run(_serve(job, pipe))
    except GatewayError as error:
        _report(pipe, isinstance(error, ConfigError), str(error))
        sys.exit(1)


async def _serve(job: Job, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def parent_has_ended() -> None:
        loop.remove_reader(pipe.fileno())
        _log.error("the parent process has ended: stopping")
        stop.set()

    options = dict(job.options)
    if job.counts and _can_count():
        options["watch"] = Metrics(CollectorRegistry())
    async with listening(options, job.host, job.port, shared=True) as service:
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        on_reload_signal(service.reload)
        loop.add_reader(pipe.fileno(), parent_has_ended)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _blocked_signals())
        _report(pipe, False, _SERVES)
        await stop.wait()


def _can_count() -> bool:
    """Whether there is space for the metrics of this process. A full disk does not stop it."""
    try:
        reserve_files(Path(os.environ[FOLDER_VARIABLE]), str(os.getpid()))
    except OSError as error:
        _log.error("no metrics for this process, they cannot be written: %s", error)
        return False
    return True


def _report(pipe: Connection, is_config: bool, text: str) -> None:
    # parent_has_ended handles a parent that has ended.
    with contextlib.suppress(OSError):
        pipe.send((is_config, text))
