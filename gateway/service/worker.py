"""One worker of ``serve --workers N``: its process, and what its parent holds of it.

The two are joined by a pipe. Over it a worker says that it serves, or why it cannot; and however
one of them ends, the pipe tells the other. Options are handed over when the process starts, by a
pipe as well, since a password in them must stand in no list of processes.
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
from gateway.monitoring.metrics import FOLDER_VARIABLE, Metrics, make_room

from .listener import listening, set_up_log
from .signals import when_told_to_reload

_SERVES = ""
_spawn = multiprocessing.get_context("spawn")
_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is to serve, and where; ``number`` is its name in the log.

    ``counts`` where its parent reads what it has counted.
    """

    number: int
    options: dict[str, Any] = field(repr=False)
    host: str
    port: int
    counts: bool = False


def _held() -> set[signal.Signals]:
    """What waits until a worker that starts can do as it is told."""
    # Not a constant: the command line imports this room on Windows, too, which has no SIGHUP.
    return {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class WorkerProcess:
    """A process that works on a job, as its parent sees it. It starts at once."""

    def __init__(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=work, args=(job, theirs), daemon=True)
        self._serves: asyncio.Future[GatewayError | None] = loop.create_future()
        self._ended = asyncio.Event()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _held())
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        loop.add_reader(self._pipe.fileno(), self._hear)

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def _hear(self) -> None:
        try:
            is_config, text = self._pipe.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self._ended.set()
            is_config, text = False, "a worker has ended before it served"
        if not self._serves.done():
            error = ConfigError(text) if is_config else GatewayError(text)
            self._serves.set_result(None if text == _SERVES else error)

    async def until_it_serves(self) -> None:
        """Raises: GatewayError, ConfigError, where it cannot."""
        error = await self._serves
        if error is not None:
            raise error

    async def until_it_ends(self) -> int:
        """Its exit status, or the signal that it was ended by, below 0."""
        await self._ended.wait()
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0

    def send(self, number: signal.Signals) -> None:
        """Nothing, where it has ended."""
        if not self._ended.is_set():
            os.kill(self.pid, number)


def work(job: Job, pipe: Connection) -> None:
    """The whole of a worker's process."""
    # A terminal tells all processes of a Ctrl-C, and a worker ends when its parent says so.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up_log(f"worker {job.number}: ")
    try:
        asyncio.run(_serve(job, pipe))
    except GatewayError as error:
        _say(pipe, isinstance(error, ConfigError), str(error))
        sys.exit(1)


async def _serve(job: Job, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def parent_is_gone() -> None:
        loop.remove_reader(pipe.fileno())
        _log.error("the parent process is gone: stopping")
        stop.set()

    options = dict(job.options)
    if job.counts and _has_room():
        options["watch"] = Metrics(CollectorRegistry())
    async with listening(options, job.host, job.port, shared=True) as service:
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        when_told_to_reload(service.reload)
        loop.add_reader(pipe.fileno(), parent_is_gone)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _held())
        _say(pipe, False, _SERVES)
        await stop.wait()


def _has_room() -> bool:
    """For what this process counts. A disk that is full stops no gateway."""
    try:
        make_room(Path(os.environ[FOLDER_VARIABLE]), str(os.getpid()))
    except OSError as error:
        _log.error("no figures of this process, there is no room for them: %s", error)
        return False
    return True


def _say(pipe: Connection, is_config: bool, text: str) -> None:
    # A parent that is gone is noticed elsewhere.
    with contextlib.suppress(OSError):
        pipe.send((is_config, text))
