"""A pool of RSA key pairs, generated outside the event loop.

Generating a pair takes tens to hundreds of milliseconds. One thread generates them in advance;
OpenSSL releases the interpreter lock meanwhile. If the pool is empty, logins wait in their order.
If too many wait, further ones are rate limited.
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
# About the time for 64 waiting logins.
_RETRY_AFTER_S = 5


def _lower_priority() -> None:
    """Give this thread a lower priority than the event loop, on Linux."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


class KeyPool:
    """Keeps up to ``size`` pairs ready. Each pair is used once.

    At most ``queue_size`` logins wait for one; 0 means no limit.
    """

    def __init__(
        self, size: int = DEFAULT_SIZE, events: Events | None = None, queue_size: int = 0
    ) -> None:
        self._ready: asyncio.Queue[RsaPrivateKey] = asyncio.Queue(size)
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="certless-keys", initializer=_lower_priority
        )
        self._filler: asyncio.Task[None] | None = None
        self._events = events or Events()
        self._queue_size = queue_size
        self._waiting = 0
        self.generated = 0

    def start(self) -> None:
        """Start filling the pool. Call it on the running event loop."""
        self._filler = asyncio.create_task(self._fill())

    def admit(self) -> None:
        """Raises: RateLimited, if too many logins wait. Call it before a code is used up."""
        if self._queue_size and self._ready.empty() and self._waiting >= self._queue_size:
            raise RateLimited("too many logins wait for keys", _RETRY_AFTER_S, "key_queue_size")

    async def take(self) -> RsaPrivateKey:
        """A new pair; waits if there is none. Raises: RateLimited."""
        self.admit()
        self._waiting += 1
        try:
            pair = await self._ready.get()
        finally:
            self._waiting -= 1
        self._events.emit(KeyPoolChanged(self._ready.qsize()))
        return pair

    async def generate(self) -> RsaPrivateKey:
        """Generate a pair in the pool's thread."""
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
        """Stop filling; waits for the current pair, because a thread cannot be cancelled."""
        if self._filler is not None:
            self._filler.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filler
        await asyncio.to_thread(self._executor.shutdown)
