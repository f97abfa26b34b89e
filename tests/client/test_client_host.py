"""The Host of a sealed request is inside the seal, so nobody on the path can change it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

import gateway
from certless.client import Client
from certless.client.request import with_defaults
from gateway.adapters.asgi.app import Certless


@asynccontextmanager
async def changing_host(port: int) -> AsyncIterator[int]:
    """The port of an attacker on the path to ``port``, who writes another Host of equal length."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data.replace(b"Host: 127.0.0.1:", b"Host: evil.site:"))
                await writer.drain()
        except ConnectionError:
            """The other side has gone."""
        finally:
            writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def of_aiohttp(options: dict[str, Any]) -> web.Application:
    async def show(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=request.host)

    async def socket(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(request.host)
        await ws.close()
        return ws

    app = web.Application()
    app.router.add_get("/ws", socket)
    app.router.add_route("*", "/host", show)
    gateway.setup(app, **options)
    return app


def of_starlette(options: dict[str, Any]) -> Certless:
    async def show(request: Request) -> Response:
        await request.body()
        return PlainTextResponse(request.url.netloc)

    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(ws.url.netloc)
        await ws.close()

    routes = [Route("/host", show, methods=["GET", "POST"]), WebSocketRoute("/ws", socket)]
    return Certless(Starlette(routes=routes), **options)


@pytest.mark.parametrize("framework", ["aiohttp", "starlette"])
@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
async def test_the_host_inside_is_that_of_the_url(framework: str, suite: Any) -> None:
    mails = CaughtMails()
    options: dict[str, Any] = {"users": gateway.AnyAddress(), "mail": mails, "key_pool_size": 1}
    options["suites"] = ["ecdh-gcm", "classic"]
    app = of_aiohttp(options) if framework == "aiohttp" else of_starlette(options)
    async with serving(app) as url:
        async with changing_host(int(url.rpartition(":")[2])) as port:
            asked = f"127.0.0.1:{port}"
            async with Client(f"http://{asked}", suite=suite) as client:
                await client.login("ann@example.org", code=mails.code)
                assert await (await client.get("/host")).text() == asked
                own = await client.get("/host", headers={"host": "shop.example:8080"})
                assert await own.text() == "shop.example:8080"
                if suite == "classic":
                    return
                async with client.stream("POST", "/host", data=b"x" * 100_000) as answer:
                    assert await answer.text() == asked
                async with client.ws("/ws") as ws:
                    assert await ws.receive_str() == asked


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://shop.example", "shop.example"),
        ("http://shop.example:80/", "shop.example"),
        ("https://shop.example:443", "shop.example"),
        ("http://Shop.example:8080", "shop.example:8080"),
        ("http://ann:secret@shop.example", "shop.example"),
        ("http://[2001:db8::7]:8440", "[2001:db8::7]:8440"),
        ("http://käse.example", "xn--kse-qla.example"),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    headers, _ = Client(url)._with_defaults((), "/", str)
    assert dict(headers)["Host"] == host
    assert dict(with_defaults((("HOST", "own"),), host, None)).get("Host") is None
