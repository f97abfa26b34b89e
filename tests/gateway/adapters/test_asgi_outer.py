"""No spelling of a request bypasses Certless, with any server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateways import CaughtMails, Running, running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gateway import AnyAddress
from gateway.adapters.asgi.app import Certless
from gateway.adapters.asgi.inner import ASGIApp, Message, Receive, Scope, Send

PUBLIC = ["/open", "/open/*", "/.gateway/*", "/caf%C3%A9", "/static/{name}"]


@dataclass
class Recorder:
    """An application that records each request and answers all."""

    reached: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.reached.append(scope)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"reached"})
        if scope["type"] == "websocket":
            self.reached.append(scope)
            await receive()
            await send({"type": "websocket.accept"})


@dataclass
class Called:
    """Certless, called as a server calls it."""

    certless: Certless
    app: Recorder

    async def ask(self, kind: str = "http", body: bytes = b"", **scope: Any) -> list[Message]:
        sent: list[Message] = []
        first = {"type": "http.request", "body": body, "more_body": False}

        async def receive() -> Message:
            return first if kind == "http" else {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        whole = {
            "type": kind,
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "query_string": b"",
            "headers": [(b"host", b"shop.example")],
            "client": None,
            **({"method": "GET"} if kind == "http" else {}),
            **scope,
        }
        await self.certless(whole, receive, send)
        return sent


@asynccontextmanager
async def called(**options: Any) -> AsyncIterator[Called]:
    app = Recorder()
    given = {"users": AnyAddress(), "mail": CaughtMails(), "public": PUBLIC, **options}
    certless = Certless(app, **given)
    async with certless.running():
        yield Called(certless, app)


# How a server reads a request line, and whether the application may get it in plain.
SCOPES: list[tuple[Scope, bool]] = [
    ({"path": "/open", "raw_path": b"/open"}, True),
    ({"path": "/open", "raw_path": b"/open?x=/admin"}, True),
    ({"path": "/open"}, True),
    ({"path": "/open", "raw_path": None}, True),
    ({"path": "/open/a b", "raw_path": b"/open/a%20b"}, True),
    ({"path": "/café", "raw_path": b"/caf%C3%A9"}, True),
    ({"path": "/café"}, True),
    ({"path": "/admin", "raw_path": b"/admin"}, False),
    ({"path": "/admin"}, False),
    # The application uses the path, not the request line.
    ({"path": "/admin", "raw_path": b"/open"}, False),
    ({"path": "/open/../admin", "raw_path": b"/open/x"}, False),
    ({"path": "//open", "raw_path": b"//open"}, False),
    ({"path": "/open//x"}, False),
    ({"path": "/open/../admin", "raw_path": b"/open/%2e%2e/admin"}, False),
    ({"path": "/open/../admin", "raw_path": b"/open/..%2fadmin"}, False),
    ({"path": "/open/../admin"}, False),
    ({"path": "/open/%2e%2e/admin", "raw_path": b"/open/%252e%252e/admin"}, False),
    ({"path": "/open/%2e%2e/admin"}, False),
    ({"path": "/open;x/y"}, False),
    ({"path": "/open/x;y", "raw_path": b"/open/x;y"}, False),
    ({"path": "/open/x;y", "raw_path": b"/open/x%3By"}, False),
    ({"path": "/open/x\\y", "raw_path": b"/open/x%5cy"}, False),
    ({"path": "/open/x\\y"}, False),
    ({"path": "/open/x\ny"}, False),
    ({"path": "/open/\udcff"}, False),
    ({"path": "/open/\ufffd", "raw_path": b"/open/%ff"}, False),
    ({"path": "/OPEN"}, False),
    ({"path": "/static/a/b", "raw_path": b"/static/a%2fb"}, False),
    ({"path": "/static/a/b"}, False),
    ({"path": "http://x/open", "raw_path": b"http://x/open"}, False),
    ({"path": "*", "raw_path": b"*", "method": "OPTIONS"}, False),
    ({"path": "", "raw_path": b""}, False),
    # Paths include the root.
    ({"path": "/open", "raw_path": b"/open", "root_path": "/open"}, True),
    ({"path": "/open/x", "raw_path": b"/open/x", "root_path": "/open/"}, True),
    ({"path": "/open/x", "raw_path": b"/open/x", "root_path": "/shop"}, False),
    ({"path": "/open/x", "raw_path": b"/open/x", "root_path": "/op"}, False),
    ({"path": "/.gateway/session", "raw_path": b"/.gateway/session"}, False),
    ({"path": "/.gateway", "raw_path": b"/.gateway"}, False),
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "get"])
async def test_what_is_public(method: str) -> None:
    async with called() as at:
        for scope, is_open in SCOPES:
            is_public = is_open and method in ("GET", "HEAD")
            at.app.reached.clear()
            sent = await at.ask(**{"method": method, **scope})
            assert (at.app.reached != []) == is_public, scope
            assert (sent[0]["status"] == 200) == is_public, scope
            if is_public and scope.get("raw_path"):
                assert at.app.reached[0]["raw_path"] == scope["raw_path"].partition(b"?")[0]


@pytest.mark.parametrize("path", ["/admin/x", "/Admin/x", "/admin;/x", "//admin/x", "/open/../x"])
async def test_what_demands_a_suite_is_not_public(path: str) -> None:
    async with called(public=["/*"], require={"/admin/*": "ecdh-gcm"}) as at:
        await at.ask(path=path)
        assert at.app.reached == []


async def test_a_path_that_was_changed_on_the_way_goes_on_in_one_reading() -> None:
    async with called() as at:
        await at.ask(path="/open/a b", raw_path=b"/v1/open/a%20b")
        assert at.app.reached[0]["raw_path"] == b"/open/a%20b"


# --- WebSockets ---


@pytest.mark.parametrize("path", ["/admin", "/.gateway/message", "/.gateway/client.js", "//open"])
async def test_a_websocket_to_a_protected_route_is_refused(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "certless")
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    async with called() as at:
        sent = await at.ask("websocket", path=path, raw_path=path.encode(), extensions=extensions)
        assert sent == [{"type": "websocket.close", "code": 1008}]
        assert at.app.reached == []
        sent = await at.ask("websocket", path="/open", raw_path=b"/open")
        assert sent == [{"type": "websocket.accept"}]


# --- a real server ---


def shop(ran: list[str]) -> ASGIApp:
    async def run(request: Request) -> Response:
        ran.append(str(request.url))
        return PlainTextResponse("ran")

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        ran.append("socket")

    return Starlette(
        routes=[
            Route("/open", run),
            Route("/admin", run, methods=["GET", "POST", "OPTIONS"]),
            WebSocketRoute("/admin", talk),
            Route("/{path:path}", run, methods=["GET", "POST", "OPTIONS"]),
        ]
    )


async def on_the_wire(at: Running, head: bytes, body: bytes = b"") -> bytes:
    parts = urlsplit(at.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head + b"Host: x\r\nConnection: close\r\n\r\n" + body)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


TARGETS = [
    b"/admin",
    b"//admin",
    b"/open/../admin",
    b"/open/%2e%2e/admin",
    b"/open%2f..%2fadmin",
    b"/open;/admin",
    b"/%61dmin",
    b"/admin%00",
    b"/admin?/open",
    b"/open%3f",
    b"/open%23",
    b"http://x/admin",
    b"http:///admin",
    b"x:/admin",
    b"*",
]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"OPTIONS", b"admin"])
async def test_on_the_wire(method: bytes) -> None:
    ran: list[str] = []
    upgrade = b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    elsewhere = b"X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n"
    async with running(shop(ran), public=["/open"]) as at:
        for target in TARGETS:
            for more in (b"", upgrade, elsewhere):
                line = b"%s %s HTTP/1.1\r\n" % (method, target)
                answer = await on_the_wire(at, line + more)
                assert answer.split()[1] in (b"400", b"401", b"404", b"405"), target
                assert ran == [], target
        assert b"ran" in await on_the_wire(at, b"GET /open HTTP/1.1\r\n" + elsewhere)
        assert ran == ["http://x/open"]


@pytest.mark.parametrize("target", [b"http://x/admin", b"x:/admin", b"*"])
async def test_a_message_in_place_reaches_paths_only(target: bytes) -> None:
    app = Recorder()
    async with running(app) as at:
        body = json.dumps((await at.raw_login()).seal()[0]).encode()
        line = b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n" % (target, len(body))
        answer = await on_the_wire(at, line, body)
        assert answer.split()[1] == b"404"
        assert app.reached == []


async def test_a_refusal_arrives_also_where_the_body_is_still_coming() -> None:
    async with running(Recorder(), max_body_bytes=2000) as at:
        for _ in range(3):
            answer = await at.post("/.gateway/session", bytes(20_000_000))
            assert answer.status == 413
            assert answer.json["error"] == "too_large"
            assert answer.headers["Connection"] == "close"


async def test_a_server_that_stops_cancels_the_handler() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

    async with running(wait) as at, asyncio.timeout(10):
        raw = await at.raw_login()
        asking = asyncio.create_task(raw.call("GET", "/"))
        await begun.wait()
        # As uvicorn does when its shutdown timeout is over.
        for task in asyncio.all_tasks():
            if "run_asgi" in repr(task.get_coro()):
                task.cancel()
        await ended.wait()
        asking.cancel()
