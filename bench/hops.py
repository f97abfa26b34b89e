"""Servers around a gateway under measurement: an upstream, and plain proxies of aiohttp to compare.

``python -m bench.hops upstream``, ``proxy UPSTREAM`` or ``forward-proxy``: each prints its URL and
runs until it is killed. The plain proxies do what the gateway and ``connect`` do, without a seal.
They use no sendfile.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import WSMsgType, hdrs, web

MIB = 1024 * 1024
PIECE = bytes(64 * 1024)
EVENT = b"data: " + b"x" * 92 + b"\n\n"
SMALL = b"x" * 1024
_HOP_BY_HOP = frozenset(
    {"connection", "host", "proxy-authorization", "proxy-connection", "transfer-encoding"}
)


async def pieces(mib: int) -> AsyncIterator[bytes]:
    """``mib`` MiB in pieces of 64 KiB."""
    for _ in range(mib * MIB // len(PIECE)):
        yield PIECE


def upstream() -> web.Application:
    """Sends and takes bodies of any length, sends events, and answers what it gets."""

    async def down(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in pieces(int(request.query["mib"])):
            await response.write(piece)
        return response

    async def up(request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(int(request.query["count"])):
            await response.write(EVENT)
        return response

    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    async def small(_: web.Request) -> web.Response:
        return web.Response(body=SMALL)

    app = web.Application()
    app.router.add_get("/down", down)
    app.router.add_put("/up", up)
    app.router.add_get("/events", events)
    app.router.add_get("/chat", chat)
    app.router.add_get("/small", small)
    return app


def end_to_end(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that a proxy passes on."""
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]


def proxy(target: str | None) -> web.Application:
    """A reverse proxy for ``target``, or else a forward proxy for any site."""

    async def forward(request: web.Request) -> web.StreamResponse:
        url = request.url if target is None else target + request.path_qs
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await relay(request, str(url))
        headers = end_to_end(request.headers)
        data = request.content.iter_any() if request.can_read_body else None
        async with http[0].request(request.method, url, headers=headers, data=data) as answer:
            response = web.StreamResponse(status=answer.status)
            response.headers.extend(end_to_end(answer.headers))
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    async def relay(request: web.Request, url: str) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async with http[0].ws_connect(url) as other:

            async def back() -> None:
                async for message in other:
                    await socket.send_bytes(message.data)

            returning = asyncio.create_task(back())
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await other.send_bytes(message.data)
            returning.cancel()
        return socket

    http: list[aiohttp.ClientSession] = []

    async def session(_: web.Application) -> AsyncIterator[None]:
        no_cookies = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=no_cookies) as opened:
            http.append(opened)
            yield

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["upstream"]:
            asyncio.run(_serve(upstream()))
        case ["proxy", target]:
            asyncio.run(_serve(proxy(target)))
        case ["forward-proxy"]:
            asyncio.run(_serve(proxy(None)))
        case unknown:
            sys.exit(f"unknown: {unknown}")
