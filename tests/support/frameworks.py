"""Applications of the tests in either framework, and real servers for both.

The fixture ``framework`` is the framework of a test's applications.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import uvicorn
from aiohttp import web
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import gateway
from gateway.adapters.asgi.app import SESSION, USER
from gateway.adapters.asgi.inner import ASGIApp
from gateway.sessions.session import Session

FRAMEWORKS = ("aiohttp", "starlette")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
current = "aiohttp"


@dataclass
class Seen:
    """The request that a handler has received."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    user: str
    session: Session


Handler: TypeAlias = Callable[[Seen], Any]


def application(routes: dict[str, Handler]) -> web.Application | Starlette:
    """Handlers by path, for every method; what they return is answered as JSON."""
    if current == "aiohttp":
        app = web.Application()
        for path, handler in routes.items():
            app.router.add_route("*", path, _in_aiohttp(handler))
        return app
    return Starlette(
        routes=[
            Route(path, _in_starlette(handler), methods=METHODS) for path, handler in routes.items()
        ]
    )


def _in_aiohttp(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        seen = Seen(
            request.method,
            request.path,
            dict(request.query),
            await request.read(),
            request[gateway.USER],
            request[gateway.SESSION],
        )
        return web.json_response(handler(seen))

    return handle


def _in_starlette(handler: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def handle(request: Request) -> JSONResponse:
        seen = Seen(
            request.method,
            request.scope["path"],
            dict(request.query_params),
            await request.body(),
            request.scope[USER],
            request.scope[SESSION],
        )
        return JSONResponse(handler(seen))

    return handle


@asynccontextmanager
async def serving(
    app: web.Application | ASGIApp, *, handler_cancellation: bool = False
) -> AsyncIterator[str]:
    """A real server on a free port of loopback; its URL.

    With ``handler_cancellation``, aiohttp cancels the handler of a client that has disconnected.
    """
    if isinstance(app, web.Application):
        server = _by_aiohttp(app, handler_cancellation)
    else:
        server = _by_uvicorn(app)
    async with server as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _by_aiohttp(app: web.Application, handler_cancellation: bool) -> AsyncIterator[int]:
    runner = web.AppRunner(app, handler_cancellation=handler_cancellation)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _by_uvicorn(app: ASGIApp) -> AsyncIterator[int]:
    # asyncio turns off Nagle's algorithm if the socket reports TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="h11", lifespan="on", proxy_headers=False, log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield listener.getsockname()[1]
    finally:
        # As its own shutdown does, but that sleeps in between.
        for served in server.servers:
            served.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
        await server.lifespan.shutdown()
        listener.close()
