"""A Redis for a measurement: on loopback, in a temporary folder."""

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
        """The memory of its data, as Redis reports it."""
        async with Redis(port=self.port) as redis:
            return int((await redis.info("memory"))["used_memory"])


@asynccontextmanager
async def redis_process(core: int | None = None) -> AsyncIterator[RedisProcess]:
    """A Redis without eviction and with a synced log, on ``core`` if given."""
    with tempfile.TemporaryDirectory(prefix="certless-redis-") as folder:
        port = free_port()
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
        pinned = () if core is None else ("taskset", "-c", str(core))
        process = await asyncio.create_subprocess_exec(
            *pinned, "redis-server", *arguments, stdout=DEVNULL
        )
        try:
            await until_listening(port)
            yield RedisProcess(port, process.pid)
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
