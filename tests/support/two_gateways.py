"""Two gateways on one store: real processes of ``certless serve`` with the same upstream."""

import contextlib
import json
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from gateways import CaughtMails, Raw, Running, SetClock
from hardened_gateways import Device
from mailboxes import Mailbox, a_free_port, smtp_server
from processes import ROOT, python, until_listening

from protocol.hardened.suites import Freshness

DIALECT = "sfet-3"


class MailedCodes(CaughtMails):
    """The codes of mails at a real SMTP server."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__()
        self._mailbox = mailbox

    async def code(self) -> str:
        return await self._mailbox.code()


@dataclass(kw_only=True)
class Gateway(Running):
    """A gateway of the two."""

    process: Process
    log: Path

    async def kill(self) -> None:
        """Kill the process, like ``kill -9``."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@dataclass
class Message:
    """A sealed order, as it is sent."""

    id: str
    path: str
    body: bytes
    content_type: str

    async def send(self, at: Running) -> int | None:
        """The status, or None without an answer."""
        try:
            headers = {"Content-Type": self.content_type}
            return (await at.post(self.path, self.body, headers=headers)).status
        except aiohttp.ClientError:
            return None


class Orders:
    """A session that sends numbered orders, with one of the three kinds of freshness."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def _next(self) -> tuple[str, bytes]:
        self.count += 1
        identity = f"{self.name}-{self.count}"
        return identity, json.dumps({"id": identity}).encode()

    def order(self) -> Message:
        """The next order, sealed."""
        raise NotImplementedError


class ClassicOrders(Orders):
    def __init__(self, name: str, raw: Raw) -> None:
        super().__init__(name)
        self._raw = raw

    def order(self) -> Message:
        identity, body = self._next()
        sealed, _ = self._raw.seal("POST", "/orders", body)
        data = json.dumps(sealed).encode()
        return Message(identity, "/.gateway/message", data, "application/json")


class HardenedOrders(Orders):
    def __init__(self, name: str, device: Device) -> None:
        super().__init__(name)
        self._device = device

    async def log_in(self, username: str) -> "HardenedOrders":
        self._online = await self._device.login(username)
        return self

    def order(self) -> Message:
        identity, body = self._next()
        envelope, _ = self._online.seal("POST", "/orders", body)
        data = envelope.serialize(self._device.form)
        return Message(identity, "/.gateway/message", data, "application/msgpack")


WAYS = ("classic", "clock", "counter")


async def log_in(way: str, at: Running, name: str) -> Orders:
    """A session of ``name``@example.org, opened at one gateway."""
    username = f"{name}@example.org"
    if way == "classic":
        return ClassicOrders(name, await at.raw_login(username))
    fresh: Freshness = "clock" if way == "clock" else "counter"
    return await HardenedOrders(name, Device(at, fresh=fresh)).log_in(username)


@dataclass
class Pair:
    """Both gateways, and the log of the orders that the upstream has run."""

    a: Gateway
    b: Gateway
    journal: Path
    mailbox: Mailbox

    def ran(self) -> Counter[str]:
        """How often each order was run."""
        return Counter(self.journal.read_text().split())

    def logs(self) -> str:
        return self.a.log.read_text() + self.b.log.read_text()


@asynccontextmanager
async def two_gateways(folder: Path, store: str, *options: str) -> AsyncIterator[Pair]:
    """Both gateways, an upstream that logs its orders, and a mail server for the codes."""
    journal = folder / "journal"
    journal.touch()
    async with contextlib.AsyncExitStack() as stack:
        behind = a_free_port()
        program = str(ROOT / "tests" / "support" / "journal_upstream.py")
        upstream = await stack.enter_async_context(python(program, str(behind), str(journal)))
        await until_listening(behind, upstream)
        mailbox = await stack.enter_async_context(smtp_server())
        http = await stack.enter_async_context(aiohttp.ClientSession())

        async def start(name: str) -> Gateway:
            port, log = a_free_port(), folder / f"{name}.log"
            arguments = (
                *("-m", "gateway", "serve", "--listen", f"127.0.0.1:{port}", "--any-address"),
                *("--upstream", f"http://127.0.0.1:{behind}"),
                *("--mail", f"smtp://127.0.0.1:{mailbox.port}", "--dialect", DIALECT),
                *("--store", store, "--key-file", str(folder / "key"), *options),
            )
            file = stack.enter_context(log.open("ab"))
            process = await stack.enter_async_context(python(*arguments, stderr=file))
            await until_listening(port, process)
            url, mails, clock = f"http://127.0.0.1:{port}", MailedCodes(mailbox), SetClock()
            return Gateway(url, mails, clock, http, DIALECT, process=process, log=log)

        yield Pair(await start("a"), await start("b"), journal, mailbox)
