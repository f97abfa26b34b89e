"""A reverse proxy in front of an upstream that returns the requests it gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from frameworks import serving
from gateways import CaughtMails

import gateway
from certless.client import Client


def upstream_app() -> web.Application:
    async def show(request: web.Request) -> web.Response:
        seen = {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name, value] for name, value in request.headers.items()],
            "body": (await request.read()).decode("latin-1"),
        }
        headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "yes")]
        return web.json_response(
            seen, headers=headers, status=int(request.query.get("status", 200))
        )

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bytes(int(request.query["size"])))

    async def hop(request: web.Request) -> web.Response:
        headers = {"Connection": "X-Private", "X-Private": "no", "Keep-Alive": "timeout=1"}
        return web.Response(text="ok", headers=headers)

    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport
        request.transport.abort()
        return response

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    app = web.Application(client_max_size=2**24)
    app.router.add_get("/large", large)
    app.router.add_get("/hop", hop)
    app.router.add_get("/breaks", breaks)
    app.router.add_get("/static/breaks", breaks)
    app.router.add_get("/slow", slow)
    app.router.add_route("*", "/{path:.*}", show)
    return app


@asynccontextmanager
async def proxied(
    upstream: str | None = None, base: str = "", **options: Any
) -> AsyncIterator[tuple[str, Client]]:
    """The URL of a proxy, and a client with a session."""
    mails = CaughtMails()
    async with serving(upstream_app()) as url:
        app = gateway.reverse_proxy(
            (upstream or url) + base,
            users=gateway.AnyAddress(),
            mail=mails,
            key_pool_size=1,
            dialect="sfet-4-gcm",
            **options,
        )
        async with serving(app) as front, Client(front, dialect="sfet-4-gcm") as client:
            await client.login("ann@example.org", code=mails.code)
            yield front, client
