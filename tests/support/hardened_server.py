"""A server of the hardened suites over HTTP, made of protocol/ and a dictionary; for tests.

It does only what PROTOCOL §2.4 to §2.8 require. ``bend`` can change every answer, so a test can
send answers that no gateway would give.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from frameworks import serving
from hardened_peer import HardenedPeer

from certless.client import Client
from protocol.common.envelopes import CONTENT_TYPES, Format
from protocol.common.errors import RejectedMessage, RemoteProtocolError
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
)
from protocol.hardened.message_server import StaleMessage
from protocol.hardened.sealed_messages import Envelope

CODE = "7K3QWXYZ"


@dataclass
class HardenedServer:
    """The server, its requests, and the clocks of both sides (milliseconds)."""

    peer: HardenedPeer
    url: str = ""
    ran: list[HttpRequest] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    client_ahead_ms: int = 0
    steady_ms: int = 0
    bend: Callable[[str, bytes], bytes] = lambda path, answer: answer

    def client(self, **options: object) -> Client:
        settings = {
            "suite": self.peer.suite.name,
            "fresh": self.peer.fresh,
            "envelope": self.peer.form,
            "realm": self.peer.server.realm,
            "clock": lambda: self.peer.now_ms + self.client_ahead_ms,
            "steady": lambda: self.steady_ms,
            **options,
        }
        return Client(self.url, **settings)  # type: ignore[arg-type]

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/.gateway")
        form = CONTENT_TYPES[request.content_type]
        self.asked.append(path)
        try:
            status, answer = 200, self._answer(path, form, await request.read())
        except RemoteProtocolError as error:
            status = 403 if isinstance(error, RejectedMessage) else 400
            return web.json_response({"error": error.public_code, "message": "no"}, status=status)
        return web.Response(
            status=status, body=self.bend(path, answer), content_type=request.content_type
        )

    def _answer(self, path: str, form: Format, body: bytes) -> bytes:
        peer = self.peer
        match path:
            case "/session/hello":
                invitation = peer.server.greet(ClientHello.parse(form, body), 600, peer.entropy)
                login = invitation.for_code(peer.code)
                peer.memory.logins[login.session_id] = login.serialize()
                return invitation.greeting.serialize(form)
            case "/session/share":
                return peer.answer_share(ClientShare.parse(form, body)).serialize(form)
            case "/session/confirm":
                return peer.confirm(ClientConfirmation.parse(form, body)).serialize(form)
            case "/session/resume":
                return peer.answer_resumption(ResumptionClientHello.parse(form, body)).serialize(
                    form
                )
            case "/session/resume/confirm":
                return peer.redeem(ClientConfirmation.parse(form, body)).serialize(form)
        decided = peer.decide(Envelope.parse(form, body))
        if isinstance(decided, StaleMessage):
            return decided.seal_refusal(peer.now_ms, peer.entropy).serialize(form)
        inside = decided.http_request()
        self.ran.append(inside)
        response = HttpResponse(200, (("Content-Type", "text/plain"),), inside.body)
        return decided.seal_response(response, peer.now_ms, peer.entropy).serialize(form)


@asynccontextmanager
async def hardened_server(
    suite: str = "ecdh-gcm", fresh: str = "clock", form: Format = "msgpack"
) -> AsyncIterator[HardenedServer]:
    """A running server; its address is ``url``."""
    server = HardenedServer(HardenedPeer(suite, fresh, form))  # type: ignore[arg-type]
    app = web.Application()
    app.router.add_post("/{path:.*}", server.handle)
    async with serving(app) as url:
        server.url = url
        yield server
