"""A running gateway for tests: a real HTTP server, mails in memory, and a clock of the test.

``raw_login`` and ``Raw`` send single messages of the protocol, so that a test can change each one.
"""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
from aiohttp import web
from frameworks import Seen, application, serving

import gateway
from certless.client import Client
from certless.client.hardened import HardenedClientProtocol
from certless.client.messages import Messages
from gateway import Account, AnyAddress, CodeMail, MailTransport
from gateway.adapters.aiohttp.app import ASSEMBLY
from gateway.adapters.asgi.app import Certless
from gateway.adapters.asgi.inner import ASGIApp
from gateway.build import Assembly
from gateway.clock import system_clock
from gateway.config.settings import find_dialect
from protocol.classic.client_exchange import ClientExchange, ClientKeys, PendingResponse
from protocol.classic.suites import Classic
from protocol.common.codec import JsonObject
from protocol.common.codes import Code
from protocol.common.messages import HttpRequest, HttpResponse, SealedMessage
from protocol.common.primitives import RsaPrivateKey

CLIENT_PAIR = RsaPrivateKey.generate()


class CaughtMails(MailTransport):
    """A MailTransport that stores the mails."""

    def __init__(self) -> None:
        self.mails: asyncio.Queue[tuple[str, CodeMail]] = asyncio.Queue()

    async def deliver(self, address: str, mail: CodeMail) -> None:
        await self.mails.put((address, mail))

    async def code(self) -> str:
        """The code of the next mail."""
        async with asyncio.timeout(10):
            return (await self.mails.get())[1].code


class SetClock:
    """The real time plus an offset of the test, or a fixed time."""

    def __init__(self) -> None:
        self.offset_ms = 0
        self.stopped_at_ms: int | None = None

    def __call__(self) -> int:
        return self.stopped_at_ms or system_clock() + self.offset_ms


@dataclass
class Answer:
    """The HTTP response."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def visible(self) -> tuple[int, bytes, frozenset[str]]:
        """Everything in which two rejections could differ, except the time."""
        return self.status, self.body, frozenset(name.lower() for name in self.headers)


@dataclass
class Running:
    """A gateway and its environment."""

    url: str
    mails: CaughtMails
    clock: SetClock
    http: aiohttp.ClientSession
    dialect: str
    ran: list[str] = field(default_factory=list)

    async def post(self, path: str, body: Any, **options: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(
            self.url + path, data=BytesIO(data), allow_redirects=False, **options
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        async with self.http.get(self.url + path, allow_redirects=False, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    def client(self, **options: Any) -> Client:
        return Client(self.url, dialect=self.dialect, clock=self.clock, **options)

    async def raw_login(self, username: str = "ann@example.org") -> "Raw":
        return await Raw.login(self, username)


@dataclass(kw_only=True)
class InProcess(Running):
    """A gateway in the process of the tests, with access to its parts."""

    assembly: Assembly


@dataclass
class Raw:
    """A session with single messages, which a test builds and sends."""

    at: Running
    exchange: ClientExchange
    token: str
    code: str
    keys: ClientKeys

    @classmethod
    async def login(cls, at: Running, username: str) -> "Raw":
        exchange = ClientExchange(Classic(find_dialect(at.dialect)))
        token = (await at.post("/.gateway/session", {"username": username})).json["token"]
        code = await at.mails.code()
        message, pending = exchange.seal_login(
            token, Code(code), CLIENT_PAIR, at.clock(), secrets.token_bytes
        )
        names = exchange.suite.dialect.names
        answer = await at.post("/.gateway/session/authenticate", message.serialize(names))
        assert answer.status == 200, answer
        keys = pending.open(SealedMessage.parse(answer.json, names))
        return cls(at, exchange, token, code, keys)

    def seal(
        self, method: str = "POST", path: str = "/echo", body: bytes = b"{}", **options: Any
    ) -> tuple[JsonObject, PendingResponse]:
        """A message as it is sent, and the exchange that opens its answer."""
        request = HttpRequest(method, path, (("Content-Type", "application/json"),), body)
        now_ms = options.get("now_ms", self.at.clock())
        message, pending = self.exchange.seal_request(
            self.token, self.keys, request, now_ms, secrets.token_bytes
        )
        return message.serialize(self.exchange.suite.dialect.names), pending

    def seal_plaintext(self, plaintext: bytes, passphrase: bytes | None = None) -> JsonObject:
        """A message with any plaintext, and optionally any passphrase."""
        suite = self.exchange.suite
        passphrase = passphrase or suite.new_passphrase(secrets.token_bytes)
        iv = suite.new_iv(secrets.token_bytes)
        # An invalid passphrase must be wrapped too; the payload does not matter then.
        payload = suite.seal(passphrase[:32].ljust(32, b"0"), plaintext, iv)
        sealed = SealedMessage(suite.wrap(self.keys.server_key, passphrase), payload, iv)
        return {"token": self.token, **sealed.serialize(suite.dialect.names)}

    async def send(self, message: JsonObject) -> Answer:
        return await self.at.post("/.gateway/message", message)

    async def call(self, method: str, path: str, body: bytes = b"") -> HttpResponse:
        message, pending = self.seal(method, path, body)
        answer = await self.send(message)
        assert answer.status == 200, answer
        return pending.open(SealedMessage.parse(answer.json, self.exchange.suite.dialect.names))


@asynccontextmanager
async def running(
    app: web.Application | ASGIApp | None = None, dialect: str = "sfet-4-gcm", **options: Any
) -> AsyncIterator[InProcess]:
    """A gateway in front of ``app``, or of an application that records what it ran."""
    mails, clock, ran = CaughtMails(), SetClock(), list[str]()
    app = app or recording_app(ran)
    settings = {
        "users": AnyAddress(),
        "mail": mails,
        "dialect": dialect,
        "clock": clock,
        "key_pool_size": 1,
        **options,
    }
    if isinstance(app, web.Application):
        gateway.setup(app, **settings)
        assembly = app[ASSEMBLY]
    else:
        app = Certless(app, **settings)
        assembly = app.assembly
    async with serving(app) as url, aiohttp.ClientSession() as http:
        yield InProcess(url, mails, clock, http, dialect, ran, assembly=assembly)


def recording_app(ran: list[str]) -> web.Application | ASGIApp:
    """``/echo`` in every method; its requests are written to ``ran``."""

    def echo(seen: Seen) -> Any:
        ran.append(seen.body.decode())
        return {
            "user": seen.user,
            "session": seen.session.id,
            "method": seen.method,
            "query": seen.query,
            "body": ran[-1],
        }

    return application({"/echo": echo})


class Users(gateway.Directory):
    """A directory in memory; the second check requires a password if there is one."""

    def __init__(self, *accounts: Account, passwords: dict[str, str] | None = None) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._passwords = passwords or {}

    async def find(self, username: str) -> Account | None:
        return self._accounts.get(username)

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        return self._passwords.get(account.name) == payload.get("password")


def changed(text: str, position: int, change: Callable[[int], int] = lambda b: b ^ 1) -> str:
    """base64 ``text`` with one decoded byte changed."""
    raw = bytearray(base64.b64decode(text))
    raw[position] = change(raw[position])
    return base64.b64encode(bytes(raw)).decode()


def messages_of(client: Client) -> Messages:
    """The messages of ``client`` in a hardened suite."""
    assert isinstance(client._protocol, HardenedClientProtocol)
    assert client._protocol._messages is not None
    return client._protocol._messages
