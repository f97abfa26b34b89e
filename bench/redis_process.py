"""A Redis for a measurement: on loopback, in a temporary folder."""

import asyncio
import socket
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from bench.processes import Process, pinned


class RedisProcess(Process):
    """A running Redis."""

    async def used_bytes(self) -> int:
        """The memory of its data, as Redis reports it."""
        async with Redis.from_url(self.url) as redis:
            return int((await redis.info("memory"))["used_memory"])


@asynccontextmanager
async def redis_process(
    core: int | None = None, *, fsync: str = "everysec"
) -> AsyncIterator[RedisProcess]:
    """A Redis without eviction and with a synced log, on ``core`` if given."""
    with tempfile.TemporaryDirectory(prefix="certless-redis-") as folder:
        port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": folder,
            "save": "",
            "appendonly": "yes",
            "appendfsync": fsync,
            "maxmemory-policy": "noeviction",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        process = await asyncio.create_subprocess_exec(
            *pinned(core, "redis-server", *arguments), stdout=DEVNULL
        )
        try:
            await until_listening(port)
            yield RedisProcess(f"redis://127.0.0.1:{port}/0", process.pid)
        finally:
            process.terminate()
            await process.wait()


def free_port() -> int:
    """A free port on loopback, for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def until_listening(port: int) -> None:
    """Wait until a program accepts connections on ``port``."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
