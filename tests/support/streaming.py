"""An application that streams, with Certless in front of it in three ways.

They are aiohttp, Starlette, and a reverse proxy in front of an upstream.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from frameworks import serving
from gateways import CaughtMails, SetClock
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import gateway
from certless.client import Client, Suite
from gateway.adapters.aiohttp.app import ASSEMBLY
from gateway.adapters.asgi.app import Certless
from gateway.build import Assembly

KINDS = ("aiohttp", "starlette", "proxy")
PATTERN = secrets.token_bytes(65_536)
ANN = "ann@example.org"


def pattern(size: int) -> bytes:
    """The first ``size`` bytes of what ``/down`` sends."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


async def pieces_of(size: int) -> AsyncIterator[bytes]:
    while size > 0:
        yield PATTERN[: min(size, len(PATTERN))]
        size -= len(PATTERN)


@dataclass
class Seen:
    """What the handlers have seen, for a test to wait for."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    received: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    sent: int = 0
    close_code: int | None = None
    cookies: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    # The clock: the ids after which it was asked, and the last tick that it can send.
    asked_after: list[str] = field(default_factory=list)
    last_tick: int = 0
    _allowed: int = 0
    _allowed_more: asyncio.Event = field(default_factory=asyncio.Event)

    def ticks_after(self, last_event_id: str) -> range:
        self.asked_after.append(last_event_id)
        return range(int(last_event_id or "0") + 1, self.last_tick + 1)

    def allow(self, tick: int) -> None:
        """The clock sends its ticks up to this one."""
        self._allowed = tick
        self._allowed_more.set()
        self._allowed_more = asyncio.Event()

    async def paced(self, ticks: range) -> AsyncIterator[bytes]:
        for tick in ticks:
            while tick > self._allowed:
                await self._allowed_more.wait()
            yield f"retry: 1\nid: {tick}\nevent: tick\ndata: {tick}\n\n".encode()


def aiohttp_app(seen: Seen) -> web.Application:
    async def down(request: web.Request) -> web.StreamResponse:
        size = int(request.query["size"])
        response = web.StreamResponse(headers={"X-Own": "caf\u00e9"})
        if "declared" in request.query:
            response.content_length = size
        await response.prepare(request)
        async for piece in pieces_of(size):
            await response.write(piece)
        return response

    async def up(request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        seen.begun.set()
        try:
            async for chunk in request.content.iter_any():
                digest.update(chunk)
                seen.received += len(chunk)
        except BaseException as error:
            seen.error = error
            raise
        finally:
            seen.ended.set()
        told = {"sha256": digest.hexdigest(), "length": request.content_length}
        return web.json_response(told, headers={"X-Own": request.headers.get("X-Own", "")})

    async def back(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    async def ignore(request: web.Request) -> web.Response:
        return web.Response(status=int(request.query.get("status", 403)), text="no")

    async def short(request: web.Request) -> web.Response:
        return web.Response(body=b"short", headers={"Content-Length": "1000"})

    async def late(request: web.Request) -> web.StreamResponse:
        seen.begun.set()
        await seen.released.wait()
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            while True:
                await response.write(PATTERN)
        finally:
            seen.ended.set()

    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await seen.released.wait()
        raise RuntimeError("a failure half way")

    async def forever(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: tick\n\n")
                seen.begun.set()
                await asyncio.sleep(0.01)
        except BaseException as error:
            seen.error = error
            raise
        finally:
            seen.ended.set()

    async def clock(request: web.Request) -> web.StreamResponse:
        ticks = seen.ticks_after(request.headers.get("Last-Event-ID", ""))
        if not ticks:
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for tick in seen.paced(ticks):
            await response.write(tick)
        return response

    async def chat(request: web.Request) -> web.StreamResponse:
        if "refuse" in request.query:
            return web.Response(status=403, text="not you", headers={"X-Own": "no"})
        limit = int(request.query.get("limit", 4 * 1024 * 1024))
        ws = web.WebSocketResponse(protocols=["chat.v2"], max_msg_size=limit)
        ws.headers["X-Own"] = request.headers.get("X-Own", "")
        seen.cookies.append(request.headers.get("Cookie", ""))
        ws.set_cookie("room", "1")
        await ws.prepare(request)
        seen.begun.set()
        try:
            if "waits" in request.query:
                await seen.released.wait()
            if flood := request.query.get("flood"):
                message_bytes = pattern(int(request.query.get("size", 1024)))
                for _ in range(int(flood)):
                    await ws.send_bytes(message_bytes)
                    seen.sent += 1
            async for message in ws:
                if message.data == "close":
                    await ws.close(code=4001, message="gr\u00fc\u00dfe".encode())
                elif message.data == "leave":
                    # A close without a code, which aiohttp itself does not send.
                    assert ws._writer is not None
                    assert ws._reader is not None
                    assert request.transport is not None
                    await ws._writer.send_frame(b"", WSMsgType.CLOSE)
                    await ws._reader.read()
                    request.transport.close()
                    break
                elif message.data == "fail":
                    raise RuntimeError("a failure half way")
                elif message.type is WSMsgType.TEXT:
                    await ws.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await ws.send_bytes(message.data)
        finally:
            seen.close_code = ws.close_code
            seen.ended.set()
        return ws

    app = web.Application()
    app.router.add_get("/clock", clock)
    app.router.add_get("/chat", chat)
    app.router.add_get("/down", down)
    app.router.add_put("/up", up)
    app.router.add_put("/back", back)
    app.router.add_put("/ignore", ignore)
    app.router.add_get("/short", short)
    app.router.add_get("/late", late)
    app.router.add_get("/breaks", breaks)
    app.router.add_get("/forever", forever)
    return app


def starlette_app(seen: Seen) -> Starlette:
    class Ending(StreamingResponse):
        """Says when it has ended.

        If Starlette cancels it while it sends, only the garbage collector closes its iterator.
        """

        async def __call__(self, *given: Any) -> None:
            try:
                await super().__call__(*given)
            finally:
                seen.ended.set()

    async def down(request: Request) -> Response:
        size = int(request.query_params["size"])
        response = StreamingResponse(pieces_of(size))
        response.raw_headers.append((b"x-own", "caf\u00e9".encode()))
        if "declared" in request.query_params:
            response.headers["Content-Length"] = str(size)
        return response

    async def up(request: Request) -> Response:
        digest = hashlib.sha256()
        seen.begun.set()
        try:
            async for chunk in request.stream():
                digest.update(chunk)
                seen.received += len(chunk)
        except ClientDisconnect as error:
            seen.error = error
            raise
        finally:
            seen.ended.set()
        length = request.headers.get("Content-Length")
        told = {"sha256": digest.hexdigest(), "length": None if length is None else int(length)}
        response = JSONResponse(told)
        own = [value for name, value in request.scope["headers"] if name == b"x-own"]
        response.raw_headers.append((b"x-own", b"".join(own)))
        return response

    async def back(request: Request) -> Response:
        return StreamingResponse(request.stream())

    async def ignore(request: Request) -> Response:
        return Response("no", 403)

    async def breaks(request: Request) -> Response:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            await seen.released.wait()
            raise RuntimeError("a failure half way")

        return StreamingResponse(half())

    async def forever(request: Request) -> Response:
        async def ticks() -> AsyncIterator[bytes]:
            while True:
                yield b"data: tick\n\n"
                seen.begun.set()
                await asyncio.sleep(0.01)

        return Ending(ticks(), media_type="text/event-stream")

    async def late(request: Request) -> Response:
        async def flood() -> AsyncIterator[bytes]:
            seen.begun.set()
            await seen.released.wait()
            while True:
                yield PATTERN

        return Ending(flood())

    async def clock(request: Request) -> Response:
        ticks = seen.ticks_after(request.headers.get("Last-Event-ID", ""))
        if not ticks:
            return Response(status_code=204)
        return StreamingResponse(seen.paced(ticks), media_type="text/event-stream")

    async def chat(ws: WebSocket) -> None:
        if "refuse" in ws.query_params:
            await ws.send_denial_response(Response("not you", 403, headers={"X-Own": "no"}))
            return
        offered = ws.scope["subprotocols"]
        own = [value for name, value in ws.scope["headers"] if name == b"x-own"]
        await ws.accept("chat.v2" if "chat.v2" in offered else None, [(b"x-own", b"".join(own))])
        seen.begun.set()
        try:
            if "waits" in ws.query_params:
                await seen.released.wait()
            for _ in range(int(ws.query_params.get("flood", 0))):
                await ws.send_bytes(PATTERN[:1024])
                seen.sent += 1
            while True:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    seen.close_code = message["code"]
                    return
                text, data = message.get("text"), message.get("bytes")
                if text == "close":
                    await ws.close(4001, "gr\u00fc\u00dfe")
                    return
                if text == "fail":
                    raise RuntimeError("a failure half way")
                if text is not None:
                    await ws.send_text(text)
                else:
                    await ws.send_bytes(data or b"")
        except WebSocketDisconnect as error:
            seen.close_code = error.code
        finally:
            seen.ended.set()

    return Starlette(
        routes=[
            WebSocketRoute("/chat", chat),
            Route("/clock", clock),
            Route("/down", down),
            Route("/up", up, methods=["PUT"]),
            Route("/back", back, methods=["PUT"]),
            Route("/ignore", ignore, methods=["PUT"]),
            Route("/late", late),
            Route("/breaks", breaks),
            Route("/forever", forever),
        ]
    )


@dataclass
class Streaming:
    """A gateway in front of the application, and a client that is logged in."""

    url: str
    client: Client
    seen: Seen
    assembly: Assembly
    clock: SetClock


@asynccontextmanager
async def streaming_in(
    kind: str, suite: Suite = "ecdh-gcm", **options: Any
) -> AsyncIterator[Streaming]:
    """One of KINDS."""
    mails, seen, clock = CaughtMails(), Seen(), SetClock()
    settings = {"users": gateway.AnyAddress(), "mail": mails, "clock": clock, **options}
    async with AsyncExitStack() as stack:
        app: Any
        if kind == "starlette":
            app = Certless(starlette_app(seen), **settings)
            assembly = app.assembly
        elif kind == "proxy":
            upstream = await stack.enter_async_context(serving(aiohttp_app(seen)))
            app = gateway.reverse_proxy(upstream, **settings)
            assembly = app[ASSEMBLY]
        else:
            app = aiohttp_app(seen)
            gateway.setup(app, **settings)
            assembly = app[ASSEMBLY]
        url = await stack.enter_async_context(serving(app))
        client = await stack.enter_async_context(Client(url, suite=suite, clock=clock))
        await client.login(ANN, code=mails.code)
        yield Streaming(url, client, seen, assembly, clock)
        # Handlers that wait are let go of.
        seen.released.set()
        seen.allow(seen.last_tick)
