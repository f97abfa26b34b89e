"""Real Redis servers for the tests: each a process of its own on a port of loopback."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mailboxes import a_free_port
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

# On one machine nothing may leave a test's folder behind, nor wait for a disk.
QUIET = {"save": "", "appendonly": "no", "repl-diskless-sync-delay": "0", "loglevel": "warning"}


class RedisProcess:
    """A ``redis-server`` in a folder; it can be killed and started again, with what it saved."""

    def __init__(self, folder: Path, options: Mapping[str, str], *, sentinel: bool = False) -> None:
        self.port = a_free_port()
        self.folder = folder
        self.options = {**QUIET, "bind": "127.0.0.1", "dir": str(folder), **options}
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: apt-get install redis-server"
        conf = self.folder / "redis.conf"
        lines = [f"port {self.port}"] if "port" not in self.options else []
        lines += [f'{name} "{value}"' for name, value in self.options.items()]
        conf.write_text("\n".join(lines) + "\n")
        command = [program, str(conf), *(["--sentinel"] if self._sentinel else [])]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
        await self.until_it_answers()

    async def until_it_answers(self) -> None:
        async with self.client() as client:
            async with asyncio.timeout(20):
                while True:
                    try:
                        await client.ping()
                    except (RedisError, OSError):
                        assert self._process
                        assert self._process.poll() is None, "redis-server has ended"
                        await asyncio.sleep(0.02)
                    else:
                        return

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """A client that looks over the store's shoulder."""
        client: Any = Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))
        try:
            yield client
        finally:
            await client.aclose()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@asynccontextmanager
async def running(folder: Path, /, **options: str) -> AsyncIterator[RedisProcess]:
    """One server, with options of redis.conf (_ for -)."""
    server = RedisProcess(
        folder, {name.replace("_", "-"): value for name, value in options.items()}
    )
    await server.start()
    try:
        yield server
    finally:
        server.kill()
