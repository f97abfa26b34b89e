"""Malicious servers for tests of clients: raw sockets that send any bytes in any order."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import TypeAlias

MIB = 1024 * 1024
Answer: TypeAlias = Callable[["Hostile", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Hostile:
    """One server, and the bytes that it has received and sent."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0

    async def send(self, writer: asyncio.StreamWriter, parts: Iterator[bytes]) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            self.sent += len(part)


@asynccontextmanager
async def hostile(answer: Answer, *, reads: bool = True) -> AsyncIterator[Hostile]:
    """A server that sends ``answer`` on every connection after the head of a request."""
    server = Hostile()
    connections = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        try:
            if reads:
                server.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await answer(server, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the test has ended the connection
        finally:
            connections.discard(task)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def head(status: int, kind: str = "application/json", *more: str) -> bytes:
    lines = (f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *more)
    return "".join(f"{line}\r\n" for line in lines).encode()


def parts(*given: bytes) -> Answer:
    """Sends these and waits until the client disconnects."""

    async def answer(server: Hostile, writer: asyncio.StreamWriter) -> None:
        await server.send(writer, iter(given))
        await writer.wait_closed()

    return answer


def endless(first: bytes, more: Callable[[int], bytes], blocks: int = 4096) -> Answer:
    """Sends ``first``, then ``more`` in up to ``blocks`` pieces of about 64 KiB."""

    async def answer(server: Hostile, writer: asyncio.StreamWriter) -> None:
        number = count()
        await server.send(writer, iter([first]))
        for _ in range(blocks):
            block = b"".join(more(next(number)) for _ in range(max(1, 65536 // len(more(0)))))
            await server.send(writer, iter([block]))
        await writer.wait_closed()

    return answer


def dripping(first: bytes) -> Answer:
    """Sends ``first`` and then, if it is not empty, single bytes at intervals."""

    async def answer(server: Hostile, writer: asyncio.StreamWriter) -> None:
        await server.send(writer, iter([first]))
        for byte in repeat(b" " if first else b""):
            await server.send(writer, iter([byte]))
            await asyncio.sleep(0.01)

    return answer


def lists_in_gzip(status: int, kind: str = "application/json") -> Answer:
    """60 MiB of empty lists in 0.2 MB."""
    packed = gzip.compress(b'{"error":[' + b"[]," * (20 * MIB) + b"[]]}")
    more = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    return parts(head(status, kind, *more) + b"\r\n", packed)
