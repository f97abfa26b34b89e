"""A Redis of our own for a measurement: on loopback, in a folder that goes with it."""

import asyncio
import os
import socket
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class RedisProcess:
    """A running Redis."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cpu_s(self) -> float:
        """CPU time so far, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def used_bytes(self) -> int:
        """What its data takes, by its own account."""
        async with Redis(port=self.port) as redis:
            return int((await redis.info("memory"))["used_memory"])


@asynccontextmanager
async def redis_process(core: int) -> AsyncIterator[RedisProcess]:
    """A Redis on ``core``, as a gateway wants it: nothing evicted, a log that is synced."""
    with tempfile.TemporaryDirectory(prefix="certless-redis-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": folder,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        process = await asyncio.create_subprocess_exec(
            "taskset", "-c", str(core), "redis-server", *arguments, stdout=DEVNULL
        )
        try:
            await _until_ready(port)
            yield RedisProcess(port, process.pid)
        finally:
            process.terminate()
            await process.wait()


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
