"""Real Redis servers for the tests: separate processes on loopback."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from mailboxes import a_free_port
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

NOTHING = '""'
# Nothing is saved unless a test sets it, and a replica synchronizes at once.
SERVER = {"save": NOTHING, "repl-diskless-sync-delay": "0"}


class RedisProcess:
    """A ``redis-server`` in a folder; it can be killed and restarted with its saved data."""

    def __init__(self, folder: Path, options: Mapping[str, str], *, sentinel: bool = False) -> None:
        self.port = a_free_port()
        self.folder = folder
        own = {"bind": "127.0.0.1", "dir": str(folder), "loglevel": "warning"}
        self.options = {**own, **({} if sentinel else SERVER), **options}
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
        lines = [f"{name} {value}\n" for name, value in self.options.items()]
        conf.write_text(f"port {self.port}\n" + "".join(lines))
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
        """A second client, which reads the data of the store."""
        client: Any = Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))
        try:
            yield client
        finally:
            await client.aclose()

    async def tell(self, *command: str | int | bytes) -> Any:
        """The answer to one command, without the store."""
        async with self.client() as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def info(self, name: str) -> str:
        """A value from INFO."""
        async with self.client() as client:
            return str((await client.info("everything"))[name])

    async def until(self, name: str, wanted: Callable[[str], bool]) -> None:
        """Wait until a value from INFO is the wanted one."""
        async with asyncio.timeout(30):
            while not wanted(await self.info(name)):  # noqa: ASYNC110 (it is outside the loop)
                await asyncio.sleep(0.02)

    async def follow(self, master: "RedisProcess | None") -> None:
        """Become a synchronized replica of ``master``; None: become a master."""
        if master is None:
            await self.tell("REPLICAOF", "NO", "ONE")
            return
        await self.tell("REPLICAOF", "127.0.0.1", master.port)
        await self.until("master_link_status", lambda status: status == "up")
        offset = await master.info("master_repl_offset")
        await self.until("slave_repl_offset", lambda own: int(own) >= int(offset))

    async def lose_touch(self) -> None:
        """Become a replica of a master that does not exist."""
        await self.tell("REPLICAOF", "127.0.0.1", a_free_port())

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

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


def cluster_node(folder: Path) -> AbstractAsyncContextManager[RedisProcess]:
    """A node of a Redis Cluster without slots and without other nodes."""
    return running(folder, cluster_enabled="yes", cluster_port=str(a_free_port()))


async def cluster_info(node: RedisProcess, wanted: bytes) -> None:
    """Wait until a node reports this state of its cluster."""
    async with asyncio.timeout(30):
        while wanted not in await node.tell("CLUSTER", "INFO"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[RedisProcess]:
    """A Redis Cluster of one node with all slots."""
    async with cluster_node(folder) as node:
        await node.tell("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await cluster_info(node, b"cluster_state:ok")
        yield node


@asynccontextmanager
async def watched(folder: Path, master: RedisProcess) -> AsyncIterator[RedisProcess]:
    """A sentinel of the service ``tea``; its master is ``master``."""
    options = {
        "sentinel monitor": f"tea 127.0.0.1 {master.port} 1",
        "sentinel down-after-milliseconds": "tea 500",
        "sentinel failover-timeout": "tea 3000",
    }
    sentinel = RedisProcess(folder, options, sentinel=True)
    await sentinel.start()
    try:
        yield sentinel
    finally:
        sentinel.kill()
