"""A device in C (tests/client_c/device.c), and a bad network between it and its gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
from c_client import built
from processes import program

Fault = Literal[
    "lost_request",
    "lost_answer",
    "truncated",
    "cut",
    "longer",
    "reflected",
    "replayed",
    "rejected",
    "chunked",
    "without_length",
    "interim",
    "garbage",
    "repeated",
    "delayed",
]

# How long a delayed exchange waits, in each direction.
DELAY_S = 0.02


@dataclass
class Device:
    """The device's process. ``say`` sends one command."""

    process: asyncio.subprocess.Process

    async def say(self, command: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        return await self.hear()

    async def hear(self) -> str:
        """The next result; with the report of a sanitizer if the process has ended."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            line = await self.process.stdout.readline()
            if not line:
                assert self.process.stderr is not None
                raise AssertionError((await self.process.stderr.read()).decode())
        return line.decode().strip()

    async def login(self, code: str) -> None:
        assert await self.say("request") == "ok 200"
        assert await self.say(f"code {code}") == "ok 200"

    async def state(self) -> "State":
        words = (await self.say("state")).split(" ")
        return State(*map(int, words[1:]))


@dataclass
class State:
    epoch: int
    sequence: int
    saves: int
    has_ticket: int
    has_session: int


@asynccontextmanager
async def device(
    url: str, name: str, state: Path, fresh: str, *device_name: str
) -> AsyncIterator[Device]:
    """A device whose state is in the file ``state``; it has loaded nothing yet."""
    at = urlsplit(url)
    command = (built() / "test_device", at.hostname, at.port, name, state, fresh, *device_name)
    pipe = asyncio.subprocess.PIPE
    async with program(
        *map(str, command), stdin=pipe, stdout=pipe, stderr=pipe, limit=2**20
    ) as process:
        started = Device(process)
        assert await started.hear() == "ok"
        yield started


@dataclass
class Network:
    """A proxy. Each fault of ``faults`` happens to one exchange, in order; then none does."""

    url: str
    http: aiohttp.ClientSession
    faults: list[Fault | None] = field(default_factory=list)
    last: bytes = b""
    address: str = ""

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(20):
                await self._pass_on(reader, writer)
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        start, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, value in (li.split(": ", 1) for li in lines if li)}
        request = await reader.readexactly(int(headers["content-length"]))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "lost_request":
            return
        if fault == "delayed":
            await asyncio.sleep(DELAY_S)
        path = start.split(" ")[1]
        kind = {"Content-Type": headers["content-type"]}
        async with self.http.post(self.url + path, data=request, headers=kind) as response:
            status, answer = response.status, await response.read()
            kind = {"Content-Type": response.headers["Content-Type"]}
        if fault == "repeated":
            sent = {"Content-Type": headers["content-type"]}
            async with self.http.post(self.url + path, data=request, headers=sent) as response:
                await response.read()
        if fault == "delayed":
            await asyncio.sleep(DELAY_S)
        if fault != "lost_answer":
            writer.write(self._written(fault, status, kind, request, answer))
            await writer.drain()
        if fault is None:
            self.last = answer

    def _written(
        self,
        fault: Fault | None,
        status: int,
        headers: dict[str, str],
        request: bytes,
        answer: bytes,
    ) -> bytes:
        start = f"HTTP/1.1 {status} Any\r\n".encode()
        start += "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        match fault:
            case "truncated":
                return start + b"Content-Length: %d\r\n\r\n" % len(answer) + answer[:-1]
            case "cut":
                return start + b"Content-Length: %d\r\n\r\n" % (len(answer) - 1) + answer[:-1]
            case "longer":
                answer += b"x"
            case "reflected":
                start = b"HTTP/1.1 200 OK\r\n"
                answer = request
            case "replayed":
                answer = self.last
            case "rejected":
                return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}"
            case "chunked":
                half = len(answer) // 2
                chunks = (answer[:half], answer[half:])
                written = b"".join(b"%X;a=b\r\n%s\r\n" % (len(c), c) for c in chunks)
                return start + b"Transfer-Encoding: chunked\r\n\r\n" + written + b"0\r\n\r\n"
            case "without_length":
                return start + b"\r\n" + answer
            case "interim":
                start = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + start
            case "garbage":
                return b"SSH-2.0-x\r\n" * 3
        return start + b"Content-Length: %d\r\n\r\n" % len(answer) + answer


@asynccontextmanager
async def network(url: str) -> AsyncIterator[Network]:
    """A network in front of the gateway at ``url``; its own URL is ``address``."""
    async with aiohttp.ClientSession() as http:
        made = Network(url, http)
        server = await asyncio.start_server(made.pass_on, "127.0.0.1", 0)
        async with server:
            made.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield made
