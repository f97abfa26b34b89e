"""``serve --workers N``: a process that serves nothing, and N that serve, all on one port.

Each worker is a whole gateway in a process of its own, and the kernel spreads connections over them
(SO_REUSEPORT); what they share is the store. The parent starts them, replaces one that has ended,
and passes on what it is told: to stop, to reload. Whatever should be there once and not N times
has its place beside ``workers`` in ``serve``, on the parent's loop.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.admin.worker_metrics import watched_workers
from gateway.config.reload import Reloads
from gateway.errors import GatewayError

from .listener import SHUTDOWN_TIMEOUT_S, Service, reserved
from .worker import Job, WorkerProcess

# Before it is replaced, a worker that ended at once; it comes to the last of these by and by.
_PAUSES_S = (0, 1, 2, 5, 10, 30)
# Who has served for so long did not end at once.
_SETTLED_S = 60
# A worker that is told to stop ends its requests, then what they ran; this is more than both.
_PATIENCE_S = 2 * SHUTDOWN_TIMEOUT_S + 10
_log = logging.getLogger("certless")


@asynccontextmanager
async def workers(
    options: dict[str, Any], host: str, port: int, count: int
) -> AsyncIterator[Service]:
    """Serve the gateway of ``options`` by ``count`` processes; on leaving, they finish.

    Raises: ConfigError, StoreUnavailable, as the first of them has told it.
    """
    places: list[_Place] = []
    async with (
        watched_workers(options, lambda: any(place.serves for place in places)) as watched,
        reserved(host, port) as (addresses, shared_port),
    ):
        for number in range(1, count + 1):
            job = Job(number, options, host, shared_port, counts=watched.count)
            places.append(_Place(job, watched.ended))
        try:
            # One alone: what is wrong with the settings is said once, and a new file is made once.
            await places[0].begin()
            await asyncio.gather(*(place.begin() for place in places[1:]))
            reloads = Reloads()

            async def reload() -> None:
                for place in places:
                    place.send(signal.SIGHUP)
                await reloads.run()

            def abandon() -> None:
                for place in places:
                    place.send(signal.SIGKILL)

            yield Service(addresses, reloads, reload, abandon)
        finally:
            watched.stop()
            await asyncio.gather(*(place.end() for place in places))


class _Place:
    """One of the N, and the process that serves there now."""

    def __init__(self, job: Job, ended: Callable[[int], None]) -> None:
        """``ended`` is told of each process that has ended."""
        self._job = job
        self._ended = ended
        self.serves = False
        self._process: WorkerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Returns once it serves. Raises: GatewayError, as its process tells it."""
        process = self._start()
        await process.until_it_serves()
        self.serves = True
        self._keeper = asyncio.create_task(self._keep(process))

    def _start(self) -> WorkerProcess:
        self._process = WorkerProcess(self._job)
        _log.info("worker %d is process %d", self._job.number, self._process.pid)
        return self._process

    async def _keep(self, process: WorkerProcess) -> None:
        """Put a process in the place of one that has ended, again and again."""
        clock = asyncio.get_running_loop().time
        ended_at_once = 0
        started_s = clock()
        while True:
            status = await process.until_it_ends()
            self.serves = False
            self._ended(process.pid)
            if clock() - started_s >= _SETTLED_S:
                ended_at_once = 0
            pause_s = _PAUSES_S[min(ended_at_once, len(_PAUSES_S) - 1)]
            ended_at_once += 1
            _log.error(
                "worker %d has ended (%s); another takes its place in %d s",
                self._job.number,
                f"signal {-status}" if status < 0 else f"status {status}",
                pause_s,
            )
            await asyncio.sleep(pause_s)
            process, started_s = self._start(), clock()
            try:
                await process.until_it_serves()
                self.serves = True
            except GatewayError as error:
                _log.error("worker %d cannot serve: %s", self._job.number, error)

    def send(self, number: signal.Signals) -> None:
        """Nothing, where the process has ended."""
        if self._process is not None:
            self._process.send(number)

    async def end(self) -> None:
        """Returns once the process has finished what it had, or was given up."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._process is None:
            return
        self._process.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._process.until_it_ends()
        except TimeoutError:
            _log.error("worker %d does not end: killed", self._job.number)
            self._process.send(signal.SIGKILL)
            await self._process.until_it_ends()
