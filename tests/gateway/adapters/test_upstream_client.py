"""One exchange with the upstream, out of a sealed message and of a public route.

The upstream is a raw server, so every byte that it gets and sends is known.
"""

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails
from hostile_servers import Hostile, hostile
from proxied import proxied

import gateway
from certless.client import Client
from gateway.adapters.aiohttp.reverse_proxy import Proxy


def answers(*parts: bytes) -> object:
    """Sends ``parts`` and closes the connection."""

    async def answer(server: Hostile, writer: asyncio.StreamWriter) -> None:
        await server.send(writer, iter(parts))

    return answer


KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK = KEPT.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
    ],
)
async def test_interim_responses_are_not_the_response(before: bytes) -> None:
    async with hostile(answers(before, OK)) as upstream:  # type: ignore[arg-type]
        async with proxied(upstream.url, public=["/open"]) as (front, client):
            response = await client.get("/")
            assert (response.status, await response.text()) == (200, "ok")
            assert "Link" not in response.headers
            async with aiohttp.ClientSession() as http, http.get(f"{front}/open") as public:
                assert (public.status, await public.text()) == (200, "ok")


async def test_a_switch_of_protocols_that_nobody_asked_for_is_refused() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with hostile(answers(switch)) as upstream:  # type: ignore[arg-type]
        async with proxied(upstream.url, public=["/open"]) as (front, client):
            expected = (502, "502: the upstream sent a response that is not valid HTTP\n")
            response = await client.get("/")
            assert (response.status, await response.text()) == expected
            async with aiohttp.ClientSession() as http, http.get(f"{front}/open") as public:
                assert (public.status, await public.text()) == expected


async def test_one_head_with_everything_and_nothing_added() -> None:
    async with hostile(answers(OK)) as upstream:  # type: ignore[arg-type]
        async with proxied(upstream.url) as (front, client):
            await client.request("DELETE", "/a?x=%7e")
            await client.post("/a", data=b"five!")
    (deleted, posted) = upstream.requests
    first, host, *rest = deleted.decode().split("\r\n")
    assert first == "DELETE /a?x=%7e HTTP/1.1"
    assert host == f"Host: {front.removeprefix('http://')}"
    names = [line.partition(":")[0] for line in rest if line]
    for added in ("User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Connection"):
        assert added not in names
    assert rest[-3:] == ["Content-Length: 0", "", ""]
    assert "Content-Length: 5" in posted.decode().split("\r\n")


async def test_a_response_has_a_date_and_no_server_of_ours() -> None:
    dated = OK.replace(b"\r\n", b"\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n", 1)
    for sent, year in ((OK, None), (dated, 1994)):
        async with hostile(answers(sent)) as upstream:  # type: ignore[arg-type]
            async with proxied(upstream.url) as (_, client):
                headers = (await client.get("/")).headers
        assert len(headers.getall("Date")) == 1
        date = parsedate_to_datetime(headers["Date"])
        assert year is None or date.year == year
        assert "Server" not in headers


async def test_a_kept_connection_is_used_again() -> None:
    connections, asked = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, asked
        connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                asked += 1
                writer.write(KEPT)
        except asyncio.IncompleteReadError:
            """The proxy has ended."""
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, proxied(url) as (_, client):
        for _ in range(3):
            assert (await client.get("/")).status == 200
    assert (connections, asked) == (1, 3)


async def test_an_answer_before_the_end_of_a_long_request_ends_the_connection() -> None:
    """The rest of the body must not be read as another request."""

    async def answer(server: Hostile, writer: asyncio.StreamWriter) -> None:
        await server.send(writer, iter([KEPT]))
        # It reads nothing more of the body.
        await asyncio.Event().wait()

    async with hostile(answer) as upstream, asyncio.timeout(30):
        async with proxied(upstream.url, max_body_bytes=64 << 20) as (_, client):
            response = await client.post("/", data=bytes(32 << 20))
            assert (response.status, await response.text()) == (200, "ok")
            assert (await client.get("/")).status == 200
    assert [head.split()[0] for head in upstream.requests] == [b"POST", b"GET"]


async def test_a_streamed_request_that_the_upstream_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.adapters.aiohttp.setup.Proxy", partial(Proxy, timeout_s=0.5))

    async def answer(_: Hostile, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    mails = CaughtMails()
    async with hostile(answer) as upstream, asyncio.timeout(30):
        app = gateway.reverse_proxy(upstream.url, users=gateway.AnyAddress(), mail=mails)
        async with serving(app) as front, Client(front) as client:
            await client.login("ann@example.org", code=mails.code)
            async with client.stream("PUT", "/", data=pieces()) as response:
                assert response.status == 504
                assert "did not read the request in time" in await response.text()


async def test_a_websocket_whose_handshake_has_a_long_header() -> None:
    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        socket.headers["X-Long"] = "x" * 20_000
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    app, mails = web.Application(), CaughtMails()
    app.router.add_get("/chat", chat)
    async with serving(app) as url, asyncio.timeout(30):
        proxy = gateway.reverse_proxy(url, users=gateway.AnyAddress(), mail=mails)
        async with serving(proxy) as front, Client(front) as client:
            await client.login("ann@example.org", code=mails.code)
            async with client.ws("/chat") as socket:
                assert (await socket.receive_str(), len(socket.headers["X-Long"])) == (
                    "hello",
                    20_000,
                )
