"""RSA pairs made ahead, off the event loop.

Generating a pair takes tens to hundreds of milliseconds, so one thread makes them while nothing
waits; OpenSSL lets go of the interpreter meanwhile. When the pool is dry, logins wait in the order
they came, and nothing else does; where enough wait, the next is told to come later.
"""

import asyncio
import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from gateway.errors import RateLimited
from gateway.events import Events, KeyGenerated, KeyPoolChanged
from protocol.common.primitives import RsaPrivateKey

DEFAULT_SIZE = 16
# About as long as 64 that wait have to wait.
_RETRY_AFTER_S = 5


def _give_way() -> None:
    """Let the thread that answers requests go first, where the system can tell threads apart."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


class KeyPool:
    """Up to ``size`` pairs ready to be taken. Each pair is handed out once.

    ``queue_size`` logins may wait for one; 0: as many as come.
    """

    def __init__(
        self, size: int = DEFAULT_SIZE, events: Events | None = None, queue_size: int = 0
    ) -> None:
        self._ready: asyncio.Queue[RsaPrivateKey] = asyncio.Queue(size)
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="certless-keys", initializer=_give_way
        )
        self._filler: asyncio.Task[None] | None = None
        self._events = events or Events()
        self._queue_size = queue_size
        self._waiting = 0
        self.generated = 0

    def start(self) -> None:
        """Begin to fill. Called on the running loop."""
        self._filler = asyncio.create_task(self._fill())

    def admit(self) -> None:
        """Raises: RateLimited, where as many wait as may; to be asked before a code is spent."""
        if self._queue_size and self._ready.empty() and self._waiting >= self._queue_size:
            raise RateLimited("too many logins wait for keys", _RETRY_AFTER_S, "key_queue_size")

    async def take(self) -> RsaPrivateKey:
        """A pair nobody else has; waits its turn when there is none. Raises: RateLimited."""
        self.admit()
        self._waiting += 1
        try:
            pair = await self._ready.get()
        finally:
            self._waiting -= 1
        self._events.emit(KeyPoolChanged(self._ready.qsize()))
        return pair

    async def generate(self) -> RsaPrivateKey:
        """A pair made on purpose, in the pool's thread."""
        pair = await asyncio.get_running_loop().run_in_executor(
            self._executor, RsaPrivateKey.generate
        )
        self.generated += 1
        self._events.emit(KeyGenerated())
        return pair

    async def _fill(self) -> None:
        while True:
            await self._ready.put(await self.generate())
            self._events.emit(KeyPoolChanged(self._ready.qsize()))

    async def close(self) -> None:
        """Stop filling; the pair in the making is waited for, for a thread cannot be cancelled."""
        if self._filler is not None:
            self._filler.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filler
        await asyncio.to_thread(self._executor.shutdown)
