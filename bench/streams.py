"""Streams, events and WebSockets through ``serve``, beside the same in plain HTTP.

Upstream, gateway (or a plain proxy of aiohttp) and client are processes of their own and share the
cores. Bodies come in pieces of 64 KiB, without sendfile. CPU time is that of the gateway or proxy,
memory the peak (VmHWM) of a process. ``python -m bench.streams client ...`` is one client.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.hops import MIB, SMALL, pieces
from bench.mails import mailed_text
from bench.processes import Process, gateway, peak_mib, python, started
from bench.results import ROOT, Row, Rows, Size, progress
from certless.client import Client
from certless.client.event_stream import EventParser

ROUNDS = 5
# Messages of a socket that are on their way at once.
WINDOW = 32
_TIMEOUT_S = 600
KINDS = ("plain", "sealed")


@dataclass(frozen=True, slots=True)
class Work:
    """``count`` MiB, events or echoes, and how many of them one unit of the rate is."""

    name: str
    method: str
    count: int
    rounds: int


def works(size: Size) -> tuple[Work, ...]:
    """What is measured. The large bodies show the memory, so one round is enough."""
    rounds = size.of(ROUNDS, 1)
    mib, large_mib = size.of(100, 1), size.of(1024, 2)
    return (
        Work(f"{mib} MiB down", "down", mib, rounds),
        Work(f"{mib} MiB up", "up", mib, rounds),
        Work("events of 100 bytes", "events", size.of(200_000, 100), rounds),
        Work("echoes of 1 KiB by WebSocket", "messages", size.of(10_000, 100), rounds),
        Work(f"{large_mib} MiB down", "down", large_mib, 1),
        Work(f"{large_mib} MiB up", "up", large_mib, 1),
    )


class _Plain:
    """What is measured, in plain HTTP."""

    def __init__(self, url: str, http: aiohttp.ClientSession, count: int) -> None:
        self._url = url
        self._http = http
        self._count = count

    async def down(self) -> None:
        async with self._http.get(f"{self._url}/down?mib={self._count}") as response:
            await _read(response.content.iter_any(), self._count)

    async def up(self) -> None:
        async with self._http.put(f"{self._url}/up", data=pieces(self._count)) as response:
            assert await response.text() == str(self._count * MIB)

    async def events(self) -> None:
        parser, seen = EventParser(""), 0
        async with self._http.get(f"{self._url}/events?count={self._count}") as response:
            async for chunk in response.content.iter_any():
                seen += len(parser.feed(chunk))
        assert seen == self._count

    async def messages(self) -> None:
        async with self._http.ws_connect(f"{self._url}/chat") as socket:
            await _echoes(socket.send_bytes, socket.receive_bytes, self._count)


class _Sealed:
    """The same inside a session."""

    def __init__(self, client: Client, count: int) -> None:
        self._client = client
        self._count = count

    async def down(self) -> None:
        async with self._client.stream("GET", f"/down?mib={self._count}") as response:
            await _read(response.content, self._count)

    async def up(self) -> None:
        async with self._client.stream("PUT", "/up", data=pieces(self._count)) as response:
            assert await response.text() == str(self._count * MIB)

    async def events(self) -> None:
        seen = 0
        async with self._client.events(f"/events?count={self._count}") as events:
            async for _ in events:
                seen += 1
                if seen == self._count:
                    return

    async def messages(self) -> None:
        async with self._client.ws("/chat") as socket:
            await _echoes(socket.send_bytes, socket.receive_bytes, self._count)


async def _read(chunks: AsyncIterator[bytes], mib: int) -> None:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
    assert size == mib * MIB


async def _echoes(
    send: Callable[[bytes], Awaitable[None]],
    receive: Callable[[], Awaitable[bytes]],
    count: int,
) -> None:
    for _ in range(WINDOW):
        await send(SMALL)
    for number in range(count):
        assert await receive() == SMALL
        if number < count - WINDOW:
            await send(SMALL)


async def client(kind: str, method: str, url: str, mails: str, name: str, count: int) -> None:
    """One transfer; prints its seconds and the peak memory of this process."""
    no_limit = aiohttp.ClientTimeout()
    async with Client(url) as sealed, aiohttp.ClientSession(timeout=no_limit) as http:
        if kind == "sealed":
            await sealed.login(name, code=lambda: mailed_text(Path(mails)))
        measured: Any = _Sealed(sealed, count) if kind == "sealed" else _Plain(url, http, count)
        started_s = time.monotonic()
        await getattr(measured, method)()
        seconds = time.monotonic() - started_s
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib("self")}))


def streams(size: Size) -> Rows:
    """Each kind of body and stream, plain and sealed."""
    rows: Rows = {}
    with (
        tempfile.TemporaryDirectory() as mails,
        started("bench.hops", "upstream") as behind,
        started("bench.hops", "proxy", behind.url) as plain,
        gateway(behind.url, mails=mails) as sealed,
    ):
        servers = {"plain": plain, "sealed": sealed}
        for work in works(size):
            for number in range(work.rounds):
                for kind in KINDS:
                    row = rows.setdefault(f"{kind}: {work.name}", Row())
                    _add(row, servers[kind], kind, work, mails)
                    progress(
                        f"round {number + 1}: {kind}: {work.name}: {row.figures['rate'][-1]:,.0f}/s"
                    )
    return rows


def _add(row: Row, server: Process, kind: str, work: Work, mails: str) -> None:
    """One round, by a client of its own. Raises: CalledProcessError, if it fails."""
    before_s = server.cpu_s()
    user = f"user{len(row.figures.get('rate', ()))}-{work.method}-{work.count}@example.org"
    command = ("client", kind, work.method, server.url, mails, user, str(work.count))
    output = subprocess.run(
        python("bench.streams", *command),
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
        timeout=_TIMEOUT_S,
    ).stdout
    told = json.loads(output)
    row.add(
        rate=work.count / told["seconds"],
        cpu_us=(server.cpu_s() - before_s) / work.count * 1e6,
        client_mib=told["peak_mib"],
        server_mib=server.peak_mib(),
    )


if __name__ == "__main__":
    _, kind, method, url, mails, user, count = sys.argv[1:]
    asyncio.run(client(kind, method, url, mails, user, int(count)))
