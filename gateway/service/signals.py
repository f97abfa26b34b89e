"""What a person or a service manager tells a process: to stop, to stop at once, to reload.

And what the process tells the manager: that it serves.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable


def told_to_stop(at_once: Callable[[], None] = lambda: None) -> asyncio.Event:
    """Set once this process is asked to end; asked again, it calls ``at_once`` and is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(number: signal.Signals) -> None:
        if stop.is_set():
            at_once()
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, tell, number)
    return stop


def hold_reloads() -> None:
    """From now on a SIGHUP waits for ``when_told_to_reload``, so that none that comes is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def when_told_to_reload(reload: Callable[[], Awaitable[None]]) -> None:
    """Await ``reload`` at each SIGHUP, one after another; it must not raise."""
    loop = asyncio.get_running_loop()
    turn = asyncio.Lock()
    tasks: set[asyncio.Task[None]] = set()

    async def run() -> None:
        async with turn:
            await reload()

    def tell() -> None:
        task = loop.create_task(run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, tell)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def tell_ready() -> None:
    """Tell a manager that waits for it that this process serves: systemd with ``Type=notify``."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):  # in no file system
        address = "\0" + address[1:]
    # Another program's manager may have left its address here, and be gone.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        if address:
            manager.sendto(b"READY=1", address)
