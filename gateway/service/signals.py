"""Signals to stop, to stop at once and to reload; and the message to systemd that we serve."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable


def stop_signal(at_once: Callable[[], None] = lambda: None) -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. A second signal calls ``at_once`` and exits."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handle(number: signal.Signals) -> None:
        if stop.is_set():
            at_once()
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, number)
    return stop


def hold_reloads() -> None:
    """Block SIGHUP until ``on_reload_signal``, so that no signal is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def on_reload_signal(reload: Callable[[], Awaitable[None]]) -> None:
    """Await ``reload`` for each SIGHUP, one at a time; it must not raise."""
    loop = asyncio.get_running_loop()
    turn = asyncio.Lock()
    tasks: set[asyncio.Task[None]] = set()

    async def run() -> None:
        async with turn:
            await reload()

    def handle() -> None:
        task = loop.create_task(run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, handle)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def notify_ready() -> None:
    """Tell systemd (``Type=notify``) that this process serves."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    # The variable can be left over from another program, whose manager has ended.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        if address:
            manager.sendto(b"READY=1", address)
