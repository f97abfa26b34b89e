"""What a person or a service manager tells a process: to stop, to stop at once, to read anew."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

_STOP = (signal.SIGINT, signal.SIGTERM)


def told_to_stop() -> asyncio.Event:
    """Set once this process is asked to end; asked again, it ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        stop.set()
        for number in _STOP:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in _STOP:
        loop.add_signal_handler(number, tell)
    return stop


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
