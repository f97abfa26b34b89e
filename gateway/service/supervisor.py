"""``serve --workers N``: a parent process and N workers that share one port.

Each worker is a complete gateway in its own process. The kernel distributes the connections
(SO_REUSEPORT), and the workers share the store. The parent starts them, replaces a worker that has
ended, and forwards the signals to stop and to reload. Tasks that must run only once run in the
parent.
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

# Delays before a worker that ended soon is replaced; each time the next one, then the last.
_DELAYS_S = (0, 1, 2, 5, 10, 30)
# A worker that has served for this long did not end soon.
_SETTLED_S = 60
# A worker that stops finishes its requests, then their background tasks; this is more than both.
_STOP_TIMEOUT_S = 2 * SHUTDOWN_TIMEOUT_S + 10
_log = logging.getLogger("certless")


@asynccontextmanager
async def workers(
    options: dict[str, Any], host: str, port: int, count: int
) -> AsyncIterator[Service]:
    """Serve the gateway with ``options`` in ``count`` processes; at the end, stop them.

    Raises: ConfigError, StoreUnavailable, if the first worker cannot serve.
    """
    slots: list[_Slot] = []
    async with (
        watched_workers(options, lambda: any(slot.serves for slot in slots)) as watched,
        reserved(host, port) as (addresses, shared_port),
    ):
        for number in range(1, count + 1):
            job = Job(number, options, host, shared_port, counts=watched.count)
            slots.append(_Slot(job, watched.ended))
        try:
            # Start one first: a wrong setting is reported once, and new files are created once.
            await slots[0].begin()
            await asyncio.gather(*(slot.begin() for slot in slots[1:]))
            reloads = Reloads()

            async def reload() -> None:
                for slot in slots:
                    slot.send(signal.SIGHUP)
                await reloads.run()

            def abandon() -> None:
                for slot in slots:
                    slot.send(signal.SIGKILL)

            yield Service(addresses, reloads, reload, abandon)
        finally:
            watched.stop()
            await asyncio.gather(*(slot.end() for slot in slots))


class _Slot:
    """One of the N workers, and its current process."""

    def __init__(self, job: Job, ended: Callable[[int], None]) -> None:
        """``ended`` is called for each process that has ended."""
        self._job = job
        self._ended = ended
        self.serves = False
        self._process: WorkerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Returns when the worker serves. Raises: GatewayError, if it cannot."""
        process = self._start()
        await process.until_it_serves()
        self.serves = True
        self._keeper = asyncio.create_task(self._keep(process))

    def _start(self) -> WorkerProcess:
        self._process = WorkerProcess(self._job)
        _log.info("worker %d is process %d", self._job.number, self._process.pid)
        return self._process

    async def _keep(self, process: WorkerProcess) -> None:
        """Replace the process each time it ends."""
        clock = asyncio.get_running_loop().time
        early_ends = 0
        started_s = clock()
        while True:
            status = await process.until_it_ends()
            self.serves = False
            self._ended(process.pid)
            if clock() - started_s >= _SETTLED_S:
                early_ends = 0
            delay_s = _DELAYS_S[min(early_ends, len(_DELAYS_S) - 1)]
            early_ends += 1
            _log.error(
                "worker %d has ended (%s); it is replaced in %d s",
                self._job.number,
                f"signal {-status}" if status < 0 else f"status {status}",
                delay_s,
            )
            await asyncio.sleep(delay_s)
            process, started_s = self._start(), clock()
            try:
                await process.until_it_serves()
                self.serves = True
            except GatewayError as error:
                _log.error("worker %d cannot serve: %s", self._job.number, error)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        if self._process is not None:
            self._process.send(number)

    async def end(self) -> None:
        """Returns when the process has ended, or was killed after a time limit."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._process is None:
            return
        self._process.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self._process.until_it_ends()
        except TimeoutError:
            _log.error("worker %d did not end in time and was killed", self._job.number)
            self._process.send(signal.SIGKILL)
            await self._process.until_it_ends()
