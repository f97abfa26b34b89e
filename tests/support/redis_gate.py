"""An address that leads to a Redis, and can hold back one script or lead to another Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.stores.redis.scripts import SCRIPTS


class RedisGate:
    """Passes on what gateways and Redis say to each other."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._held = b""
        self.has_held = asyncio.Event()
        self._writers = set[asyncio.StreamWriter]()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def hold(self, script: str) -> None:
        """From now on, let no call of this script through."""
        self._held = SCRIPTS[script].sha.encode()

    def pass_all(self) -> None:
        self._held = b""

    def lead_to(self, port: int) -> None:
        """New connections lead to another Redis, and present ones end."""
        self._target = port
        for writer in self._writers:
            writer.close()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, there_writer}
            await asyncio.gather(
                self._copy(reader, there_writer), self._copy(there, writer), return_exceptions=True
            )
            self._writers -= {writer, there_writer}
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if self._held and self._held in data:
                    self.has_held.set()
                    continue
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def redis_gate(port: int) -> AsyncIterator[RedisGate]:
    gate = RedisGate(port)
    async with await asyncio.start_server(gate.accept, "127.0.0.1") as server:
        gate.port = server.sockets[0].getsockname()[1]
        yield gate
        gate.lead_to(port)
