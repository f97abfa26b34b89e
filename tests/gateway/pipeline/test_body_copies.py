"""How often a large body exists in the memory of the server while it is handled.

Each figure is the highest sum of what Python has allocated during one message, in multiples of its
body. It contains the copies of the HTTP server (the body as it came from the network, and three
times what it has to send) and of the application. Base64 takes 1.33 times its content.
"""

import asyncio
import secrets
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from gateways import Answer, CaughtMails, Running, SetClock
from hardened_gateways import Device
from processes import ROOT, python

from protocol.common.envelopes import Format
from protocol.common.messages import SealedMessage

SIZE = 8 << 20
TEXT = "a" * (SIZE - 11)
JSON = b'{"note":"%b"}' % TEXT.encode()
BINARY = b"\0" + JSON[1:]
SERVER = str(ROOT / "tests" / "support" / "counted_memory.py")


class _PrintedCodes(CaughtMails):
    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    async def code(self) -> str:
        return await _line_of(self._process)


async def _line_of(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


@dataclass(kw_only=True)
class _Counted(Running):
    """A server in a process of its own."""

    process: Process

    async def peak_of(self, sending: Awaitable[Answer]) -> tuple[float, Answer]:
        """The most memory during ``sending``, in multiples of the body, and the answer."""
        await self._peak()
        answer = await sending
        return await self._peak(), answer

    async def _peak(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return int(await _line_of(self.process)) / SIZE


@asynccontextmanager
async def _counted(framework: str) -> AsyncIterator[_Counted]:
    async with python(SERVER, framework, str(SIZE), stdin=PIPE, stdout=PIPE) as process:
        url = f"http://127.0.0.1:{await _line_of(process)}"
        async with aiohttp.ClientSession() as http:
            mails = _PrintedCodes(process)
            yield _Counted(url, mails, SetClock(), http, "sfet-4-gcm", process=process)


# The most memory of each message, in multiples of its body. A request has a large body, or its
# response has one.
CLASSIC = {
    "text": ("/size", JSON, 3.5),
    "binary": ("/size", BINARY, 4.6),
    "response": ("/large", b"{}", 4.25),
}
IN_PLACE = {"request": ("/size", TEXT, 4.25), "response": ("/fields", "", 4.25)}
HARDENED: dict[tuple[Format, str], tuple[str, bytes, float]] = {
    ("msgpack", "request"): ("/size", JSON, 3.25),
    ("msgpack", "response"): ("/large", b"{}", 3.25),
    ("json", "request"): ("/size", JSON, 3.25),
    ("json", "response"): ("/large", b"{}", 4.0),
}


@pytest.mark.parametrize("framework", ["aiohttp", "starlette"])
async def test_classic_messages(framework: str) -> None:
    async with _counted(framework) as server:
        raw = await server.raw_login()
        exchange, names = raw.exchange, raw.exchange.suite.dialect.names
        peaks = {}
        for what, (path, body, _) in CLASSIC.items():
            message, pending = raw.seal("POST", path, body)
            sending = raw.send(message)
            peaks[what], answer = await server.peak_of(sending)
            assert pending.open(SealedMessage.parse(answer.json, names)).status == 200
        assert all(peaks[what] < most for what, (_, _, most) in CLASSIC.items()), peaks
        for what, (path, note, _) in IN_PLACE.items():
            sealed, pending = exchange.seal_fields(
                raw.token, raw.keys, {"note": note}, server.clock(), secrets.token_bytes
            )
            sending = server.post(path, sealed.serialize(names))
            peaks[what], answer = await server.peak_of(sending)
            assert answer.status == 200
            assert pending.open_plaintext(SealedMessage.parse(answer.json, names))
        assert all(peaks[what] < most for what, (_, _, most) in IN_PLACE.items()), peaks


@pytest.mark.parametrize("framework", ["aiohttp", "starlette"])
async def test_hardened_messages(framework: str) -> None:
    async with _counted(framework) as server:
        peaks = {}
        for (form, what), (path, body, _) in HARDENED.items():
            online = await Device(server, form=form).login(f"{form}.{what}@example.org")
            envelope, pending = online.seal("POST", path, body)
            peaks[form, what], answer = await server.peak_of(online.send(envelope))
            assert online.opened(answer, pending).status == 200
        assert all(peaks[each] < most for each, (_, _, most) in HARDENED.items()), peaks
