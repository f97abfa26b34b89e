"""A client of the hardened suites with single messages, so that a test can change each one."""

import secrets
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateways import Answer, Running

from protocol.common.codec import parse_msgpack
from protocol.common.codes import Code
from protocol.common.envelopes import CONTENT_TYPES, Format
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.common.typed_codes import read_code
from protocol.hardened.client_confirmation import PendingConfirmation
from protocol.hardened.client_handshake import (
    AwaitedCode,
    PendingResumption,
    PendingShare,
    begin_login,
    begin_resumption,
)
from protocol.hardened.client_session import (
    ClientSession,
    ClientTicket,
    PendingMessage,
    seal_request,
)
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientShare,
    ResumptionServerHello,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.sealed_messages import Envelope
from protocol.hardened.suites import DEFAULT_REALM, HARDENED_SUITES, Freshness

PREFIX = "/.gateway"
_TYPES = {form: content_type for content_type, form in CONTENT_TYPES.items()}


@cache
def client_pair() -> RsaPrivateKey:
    return RsaPrivateKey.generate()


def a_code(text: str) -> Code:
    code = read_code(text)
    assert isinstance(code, Code), "not a code of a hardened suite"
    return code


@dataclass
class Device:
    """A client of one gateway: its suite, freshness and format, and the steps of a login."""

    at: Running
    suite: str = "ecdh-gcm"
    fresh: Freshness = "clock"
    form: Format = "msgpack"
    realm: str = DEFAULT_REALM
    # The name of the device that it gives at a login.
    name: str | None = None

    @property
    def pair(self) -> RsaPrivateKey | None:
        return client_pair() if HARDENED_SUITES[self.suite].wraps else None

    @property
    def public_key(self) -> RsaPublicKey | None:
        return client_pair().public if self.pair else None

    async def post(self, path: str, body: bytes, form: Format | None = None) -> Answer:
        headers = {"Content-Type": _TYPES[form or self.form]}
        return await self.at.post(PREFIX + path, body, headers=headers)

    async def good(self, path: str, body: bytes) -> bytes:
        answer = await self.post(path, body)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"].split(";")[0] == _TYPES[self.form]
        return answer.body

    # --- login ---

    async def greet(self, username: str = "ann@example.org") -> AwaitedCode:
        hello, pending = begin_login(
            username, self.realm, secrets.token_bytes, [self.suite], self.fresh, self.name
        )
        body = await self.good("/session/hello", hello.serialize(self.form))
        return pending.open(ServerHello.parse(self.form, body))

    async def share(
        self, awaited: AwaitedCode, code: Code
    ) -> tuple[ClientConfirmation, PendingConfirmation]:
        share, pending = awaited.enter(code, secrets.token_bytes)
        return self.shared(await self.send_share(share), pending)

    async def send_share(self, share: ClientShare) -> Answer:
        return await self.post("/session/share", share.serialize(self.form))

    def shared(
        self, answer: Answer, pending: PendingShare
    ) -> tuple[ClientConfirmation, PendingConfirmation]:
        assert answer.status == 200, answer
        return pending.open(ServerShare.parse(self.form, answer.body), self.public_key)

    async def send_confirmation(self, message: ClientConfirmation) -> Answer:
        return await self.post("/session/confirm", message.serialize(self.form))

    def enrolled(self, answer: Answer, pending: PendingConfirmation) -> "Online":
        assert answer.status == 200, answer
        message = ServerConfirmation.parse(self.form, answer.body)
        return Online(self, *pending.open(message, self.at.clock()))

    async def enter(self, awaited: AwaitedCode, code: Code) -> Answer:
        """One attempt with a code, up to the answer to ClientConfirmation."""
        return await self.send_confirmation((await self.share(awaited, code))[0])

    async def login(self, username: str = "ann@example.org", code: str = "") -> "Online":
        awaited = await self.greet(username)
        message, pending = await self.share(awaited, a_code(code or await self.at.mails.code()))
        return self.enrolled(await self.send_confirmation(message), pending)

    # --- resumption ---

    async def begin(self, ticket: ClientTicket) -> tuple[Answer, PendingResumption]:
        hello, pending = begin_resumption(ticket, secrets.token_bytes, self.fresh)
        return await self.post("/session/resume", hello.serialize(self.form)), pending

    async def redeem(self, ticket: ClientTicket) -> tuple[Answer, PendingConfirmation]:
        """Up to the answer to ClientConfirmation."""
        answer, begun = await self.begin(ticket)
        assert answer.status == 200, answer
        greeting = ResumptionServerHello.parse(self.form, answer.body)
        message, pending = begun.open(greeting, self.public_key)
        return await self.send_redemption(message), pending

    async def send_redemption(self, message: ClientConfirmation) -> Answer:
        return await self.post("/session/resume/confirm", message.serialize(self.form))

    async def resume(self, ticket: ClientTicket) -> "Online":
        return self.enrolled(*await self.redeem(ticket))


@dataclass
class Online:
    """A device with a session."""

    device: Device
    session: ClientSession
    ticket: ClientTicket | None

    @property
    def id(self) -> str:
        return self.session.session_id.hex()

    def seal(
        self,
        method: str = "POST",
        target: str = "/echo",
        body: bytes = b"{}",
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),),
        **options: Any,
    ) -> tuple[Envelope, PendingMessage]:
        """A message as it is sent, and the exchange that opens its answer."""
        request = HttpRequest(method, target, headers, body)
        now_ms = options.get("now_ms", self.device.at.clock())
        envelope, pending, self.session = seal_request(
            self.session, request, now_ms, secrets.token_bytes, self.device.pair
        )
        return envelope, pending

    async def send(self, envelope: Envelope) -> Answer:
        form = self.device.form
        return await self.device.post("/message", envelope.serialize(form))

    def opened(self, answer: Answer, pending: PendingMessage) -> HttpResponse:
        assert answer.status == 200, answer
        response = pending.open(Envelope.parse(self.device.form, answer.body), 0)
        self.session = self.session.answered(pending.epoch)
        return response

    async def call(self, *request: Any, **options: Any) -> HttpResponse:
        envelope, pending = self.seal(*request, **options)
        return self.opened(await self.send(envelope), pending)


def told(answer: Answer) -> Any:
    """The unsealed answer of the gateway, in either format."""
    return answer.json if answer.body.startswith(b"{") else parse_msgpack(answer.body)
