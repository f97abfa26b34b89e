"""Streams, events and WebSockets through ``serve``, beside the same in plain HTTP.

``python -m bench.streams [MIB]``. Upstream, gateway (or a plain proxy of aiohttp) and client are
processes of their own and share the cores. Bodies have MIB MiB (default 100) in pieces of 64 KiB,
without sendfile. The rounds are interleaved, and figures are medians. CPU time is that of the
gateway or proxy, memory the peak (VmHWM) of a process.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from bench.hops import MIB, SMALL, pieces
from bench.processes import Process, gateway, peak_mib, started
from bench.targets import ROOT
from certless.client import Client
from certless.client.event_stream import EventParser

ROUNDS = 5
SIZE_MIB = 100
EVENTS = 200_000
MESSAGES = 10_000
# Messages of a socket that are on their way at once.
WINDOW = 32
_MAIL_S = 30
_TIMEOUT_S = 600
KINDS = ("plain", "sealed")
WORKS = {
    "down, MiB/s": ("down", 1.0),
    "up, MiB/s": ("up", 1.0),
    "events of 100 bytes/s": ("events", EVENTS),
    "echoes of 1 KiB/s": ("messages", MESSAGES),
}


class _Plain:
    """What is measured, in plain HTTP."""

    def __init__(self, url: str, http: aiohttp.ClientSession, mib: int) -> None:
        self._url = url
        self._http = http
        self._mib = mib

    async def down(self) -> None:
        async with self._http.get(f"{self._url}/down?mib={self._mib}") as response:
            await _read(response.content.iter_any(), self._mib)

    async def up(self) -> None:
        async with self._http.put(f"{self._url}/up", data=pieces(self._mib)) as response:
            assert await response.text() == str(self._mib * MIB)

    async def events(self) -> None:
        parser, count = EventParser(""), 0
        async with self._http.get(f"{self._url}/events?count={EVENTS}") as response:
            async for chunk in response.content.iter_any():
                count += len(parser.feed(chunk))
        assert count == EVENTS

    async def messages(self) -> None:
        async with self._http.ws_connect(f"{self._url}/chat") as socket:
            await _echoes(socket.send_bytes, socket.receive_bytes)


class _Sealed:
    """The same inside a session."""

    def __init__(self, client: Client, mib: int) -> None:
        self._client = client
        self._mib = mib

    async def down(self) -> None:
        async with self._client.stream("GET", f"/down?mib={self._mib}") as response:
            await _read(response.content, self._mib)

    async def up(self) -> None:
        async with self._client.stream("PUT", "/up", data=pieces(self._mib)) as response:
            assert await response.text() == str(self._mib * MIB)

    async def events(self) -> None:
        count = 0
        async with self._client.events(f"/events?count={EVENTS}") as events:
            async for _ in events:
                count += 1
                if count == EVENTS:
                    return

    async def messages(self) -> None:
        async with self._client.ws("/chat") as socket:
            await _echoes(socket.send_bytes, socket.receive_bytes)


async def _read(chunks: AsyncIterator[bytes], mib: int) -> None:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
    assert size == mib * MIB


async def _echoes(
    send: Callable[[bytes], Awaitable[None]], receive: Callable[[], Awaitable[bytes]]
) -> None:
    for _ in range(WINDOW):
        await send(SMALL)
    for number in range(MESSAGES):
        assert await receive() == SMALL
        if number < MESSAGES - WINDOW:
            await send(SMALL)


async def mailed_text(mails: Path) -> str:
    """The text of the mail: the client finds the code in it."""
    async with asyncio.timeout(_MAIL_S):
        while True:
            for mail in await asyncio.to_thread(lambda: list(mails.glob("*.eml"))):
                content = await asyncio.to_thread(mail.read_bytes)
                await asyncio.to_thread(mail.unlink)
                return str(message_from_bytes(content, policy=default).get_content())
            await asyncio.sleep(0.05)


async def client(kind: str, work: str, url: str, mails: str, name: str, mib: int) -> None:
    """One transfer; prints its seconds and the peak memory of this process."""
    no_limit = aiohttp.ClientTimeout()
    async with Client(url) as sealed, aiohttp.ClientSession(timeout=no_limit) as http:
        if kind == "sealed":
            await sealed.login(f"{name}@example.org", code=lambda: mailed_text(Path(mails)))
        measured: Any = _Sealed(sealed, mib) if kind == "sealed" else _Plain(url, http, mib)
        started_s = time.monotonic()
        await getattr(measured, work)()
        seconds = time.monotonic() - started_s
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib("self")}))


def measure(servers: dict[str, Process], mails: str, mib: int) -> dict[tuple[str, str], Any]:
    """Per work and kind: seconds, CPU seconds of the server, and peak memory of the client."""
    samples: dict[tuple[str, str], Any] = {}
    for number in range(ROUNDS):
        for work, _ in WORKS.values():
            for kind in KINDS:
                server, name = servers[kind], f"{work}-{number}"
                before_s = server.cpu_s()
                command = ("client", kind, work, server.url, mails, name, str(mib))
                output = subprocess.run(
                    [sys.executable, "-m", "bench.streams", *command],
                    stdout=subprocess.PIPE,
                    check=True,
                    cwd=ROOT,
                    timeout=_TIMEOUT_S,
                ).stdout
                told = json.loads(output)
                sample = told["seconds"], server.cpu_s() - before_s, told["peak_mib"]
                samples.setdefault((work, kind), []).append(sample)
                print(f"round {number + 1}: {kind} {work}: {sample[0]:.2f} s", file=sys.stderr)
    return samples


def print_rows(servers: dict[str, Process], samples: dict[tuple[str, str], Any], mib: int) -> None:
    """The table."""
    print(f"\n| bodies of {mib} MiB | plain | sealed | sealed to plain (aim 0.5) | CPU |")
    print("|---|--:|--:|--:|--:|")
    for name, (work, amount) in WORKS.items():
        total = mib * amount if work in ("down", "up") else amount
        (plain_s, plain_cpu), (sealed_s, sealed_cpu) = (
            [median(values) for values in zip(*samples[work, kind], strict=True)][:2]
            for kind in KINDS
        )
        print(
            f"| {name} | {total / plain_s:,.0f} | {total / sealed_s:,.0f} "
            f"| {plain_s / sealed_s:.2f} | {plain_cpu / sealed_cpu:.2f} |"
        )
    print("\nPeak memory, MiB:")
    for kind in KINDS:
        clients = ", ".join(
            f"client {work} {max(peak for *_, peak in samples[work, kind]):.0f}"
            for work, _ in WORKS.values()
        )
        print(f"* {kind}: proxy {servers[kind].peak_mib():.0f}, {clients}")


def main(mib: int) -> None:
    with (
        tempfile.TemporaryDirectory() as mails,
        started("bench.hops", "upstream") as behind,
        started("bench.hops", "proxy", behind.url) as plain,
        gateway(behind.url, mails) as sealed,
    ):
        servers = {"plain": plain, "sealed": sealed}
        print_rows(servers, measure(servers, mails, mib), mib)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["client", kind, work, url, mails, name, mib]:
            asyncio.run(client(kind, work, url, mails, name, int(mib)))
        case [mib]:
            main(int(mib))
        case _:
            main(SIZE_MIB)
