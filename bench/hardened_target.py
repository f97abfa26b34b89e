"""Messages and logins of the hardened suites, for the same server and handler."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from bench.mails import mailed_code
from bench.processes import Process
from bench.server import ROUTE
from bench.targets import ORDER, ORDER_JSON, Target
from gateway.clock import system_clock
from protocol.classic.dialects import DEFAULT_PREFIX
from protocol.common.codes import Code
from protocol.common.messages import HttpRequest
from protocol.common.primitives import RsaPrivateKey
from protocol.hardened.client_handshake import AwaitedCode, begin_login
from protocol.hardened.client_session import ClientSession, PendingMessage, seal_request
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientShare,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.sealed_messages import Envelope
from protocol.hardened.suites import DEFAULT_REALM, HARDENED_SUITES

_MSGPACK = "application/msgpack"
_SESSIONS = 16


def seal_order(
    session: ClientSession, pair: RsaPrivateKey | None = None
) -> tuple[Envelope, PendingMessage]:
    """The order as a message of ``session``, and a function that opens its response."""
    inside = HttpRequest("POST", ROUTE, (("Content-Type", "application/json"),), ORDER_JSON)
    envelope, pending, _ = seal_request(session, inside, system_clock(), secrets.token_bytes, pair)
    return envelope, pending


class HardenedTarget(Target):
    """Certless in a hardened suite, with envelopes in msgpack."""

    path = DEFAULT_PREFIX + "/message"
    content_type = _MSGPACK
    logins = 0

    def __init__(self, server: Process, http: aiohttp.ClientSession, suite: str) -> None:
        super().__init__(server, http)
        self._suite = HARDENED_SUITES[suite]
        self._pair = RsaPrivateKey.generate() if self._suite.wraps else None

    async def _post(self, path: str, body: bytes) -> bytes:
        headers = {"Content-Type": _MSGPACK}
        url = f"{self.server.url}{DEFAULT_PREFIX}{path}"
        async with self._http.post(url, data=body, headers=headers) as answer:
            said = await answer.read()
            assert answer.status < 300, f"{path}: {answer.status} {said[:200]!r}"
            return said

    async def request_code(self) -> tuple[AwaitedCode, str]:
        """ClientHello and ServerHello, for a new user; and the user's address."""
        HardenedTarget.logins += 1
        address = f"hardened{HardenedTarget.logins}@example.org"
        hello, pending = begin_login(
            address, DEFAULT_REALM, secrets.token_bytes, [self._suite.name]
        )
        answer = await self._post("/session/hello", hello.serialize("msgpack"))
        return pending.open(ServerHello.parse("msgpack", answer)), address

    async def send_share(self, share: ClientShare) -> ServerShare:
        """ClientShare and ServerShare."""
        answer = await self._post("/session/share", share.serialize("msgpack"))
        return ServerShare.parse("msgpack", answer)

    async def send_confirmation(self, message: ClientConfirmation) -> ServerConfirmation:
        """ClientConfirmation and ServerConfirmation."""
        answer = await self._post("/session/confirm", message.serialize("msgpack"))
        return ServerConfirmation.parse("msgpack", answer)

    async def send(self, envelope: Envelope) -> Envelope:
        """The response to a sealed message."""
        answer = await self._post("/message", envelope.serialize("msgpack"))
        return Envelope.parse("msgpack", answer)

    async def open_session(self) -> ClientSession:
        """A new session."""
        awaited, address = await self.request_code()
        code = Code((await self.codes(1))[address])
        share, pending_share = awaited.enter(code, secrets.token_bytes)
        public_key = self._pair.public if self._pair else None
        message, pending = pending_share.open(await self.send_share(share), public_key)
        return pending.open(await self.send_confirmation(message), system_clock())[0]

    async def corpus(self, count: int) -> Iterator[bytes]:
        sessions = [await self.open_session() for _ in range(_SESSIONS)]
        return (
            seal_order(sessions[n % _SESSIONS], self._pair)[0].serialize("msgpack")
            for n in range(count)
        )

    async def check(self) -> None:
        envelope, pending = seal_order(await self.open_session(), self._pair)
        opened = pending.open(await self.send(envelope), 0)
        assert json.loads(opened.body) == ORDER


class MailedTarget(HardenedTarget):
    """``serve``, which writes its mails to a folder."""

    def __init__(self, server: Process, http: aiohttp.ClientSession, mails: Path) -> None:
        super().__init__(server, http, "ecdh-gcm")
        self._mails = mails

    async def codes(self, count: int) -> dict[str, str]:
        """The codes of the last ``count`` logins, by address."""
        return dict([await mailed_code(self._mails) for _ in range(count)])
