"""The tap on a socket: every byte as it was, nobody else's, and never more than so much."""

import asyncio
import hashlib
import random
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from certless.client import Client, Suite
from gateway.demo import Places, running
from gateway.demo.framing import MAX_HEAD_BYTES, End, Head, Stream
from gateway.demo.tap import MAX_OPEN, tapped
from gateway.demo.wire import END_BYTES, MAX_EXCHANGES, START_BYTES, Exchange, Wire
from protocol.classic.dialects import DEFAULT_DIALECT

Json = Any


# --- where messages end -------------------------------------------------------------------------

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED += b"5;x=y\r\nhello\r\n0c\r\n hello again\r\n0\r\nTrailer: t\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nuntil it ends\r\n\r\n"


def cut(stream: Stream, parts: Iterable[bytes]) -> tuple[list[bytes], bytes]:
    """The whole messages of a stream, and what has begun."""
    whole, current = [], b""
    for part in parts:
        for event in stream.feed(part):
            match event:
                case bytes():
                    current += event
                case End.END:
                    whole.append(current)
                    current = b""
    return whole, current


def requests() -> Stream:
    return Stream()


def answers() -> Stream:
    return Stream(lambda: False)


@pytest.mark.parametrize(
    ("make", "messages", "rest"),
    [
        (requests, [GET, POST, CHUNKED, GET], b""),
        (requests, [b"\r\n" + GET, POST], POST[:-1]),
        (requests, [GET], b"GET /"),
        (requests, [], b"\x16\x03\x01 no HTTP at all"),
        (requests, [GET], b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n" + GET),
        (requests, [], b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n" + GET),
        (requests, [GET], b"x" * (MAX_HEAD_BYTES + 2) + b"\r\n\r\n" + GET),
        (requests, [GET], b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES),
        (answers, [OK, INTERIM, NO_CONTENT, NOT_MODIFIED, OK], b""),
        (answers, [OK], ENDLESS + OK),
    ],
)
def test_messages_end_where_they_do_however_they_are_cut(
    make: Callable[[], Stream], messages: list[bytes], rest: bytes
) -> None:
    data = b"".join(messages) + rest
    assert cut(make(), [data]) == (messages, rest)
    size = 1 if len(data) < 2000 else 1000
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    assert cut(make(), pieces) == (messages, rest)


def test_an_answer_to_head_has_no_body() -> None:
    stream = Stream(lambda: True)
    head = OK.removesuffix(b"ok")
    assert cut(stream, [head, head]) == ([head, head], b"")


def test_the_head_is_told_once_it_is_whole() -> None:
    heads = [event for event in Stream().feed(POST + GET) if isinstance(event, Head)]
    assert [head.word(1) for head in heads] == [b"/b", b"/a"]
    assert heads[0].headers == {b"content-length": b"5"}
    assert heads[0].word(9) == b""


# --- what is kept -------------------------------------------------------------------------------


def exchange_of(request: bytes, response: bytes = b"") -> Exchange:
    exchange = Exchange()
    exchange.request.add(request)
    exchange.response.add(response)
    return exchange


@pytest.mark.parametrize("piece", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize(
    "size", [0, 1, START_BYTES, START_BYTES + 1, START_BYTES + END_BYTES, 20_000]
)
def test_of_what_is_long_start_and_end_are_kept(size: int, piece: int) -> None:
    data = random.Random(size).randbytes(size)  # noqa: S311
    exchange = Exchange()
    for at in range(0, size, piece):
        exchange.request.add(data[at : at + piece])
    shown = exchange.request.as_json()
    start, end = b64decode(shown["start_b64"]), b64decode(shown["end_b64"])
    assert shown["size"] == size
    assert start == data[:START_BYTES]
    assert end == data[START_BYTES:][-END_BYTES:]
    if size <= START_BYTES + END_BYTES:
        assert start + end == data


def test_the_last_exchanges_are_kept_and_each_is_shown_to_its_own_address() -> None:
    wire = Wire()
    for number in range(MAX_EXCHANGES + 2):
        wire.put("192.0.2.1" if number % 2 else "192.0.2.2", exchange_of(b"%d" % number))
    first, second = wire.of("192.0.2.1"), wire.of("192.0.2.2")
    assert len(first) + len(second) == MAX_EXCHANGES
    assert [one.request.start for one in first][:2] == [b"3", b"5"]
    assert [one.request.start for one in second][:2] == [b"2", b"4"]
    assert wire.of("192.0.2.3") == []
    assert wire.of("192.0.2.1", first[-3].id) == first[-2:]
    assert wire.of("192.0.2.1", second[-3].id) == first
    assert wire.of("192.0.2.1", "from before a restart") == first


# --- on a socket --------------------------------------------------------------------------------


@asynccontextmanager
async def tap_on(app: web.Application) -> AsyncIterator[tuple[Wire, int]]:
    """``app`` behind a tap that leaves out ``/static``; the wire, and the port."""
    wire = Wire()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    make = runner.server
    assert make is not None
    server = await asyncio.get_running_loop().create_server(
        lambda: tapped(make(), wire, lambda path: path != "/static"), "127.0.0.1", 0
    )
    try:
        yield wire, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()


def echo_app() -> web.Application:
    async def echo(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/stream":
            response = web.StreamResponse()
            await response.prepare(request)
            for at in range(0, len(body), 1000):
                await response.write(body[at : at + 1000])
            return response
        return web.Response(body=body, headers={"Peer": str(request.remote)})

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", echo)
    return app


async def talk(port: int, data: bytes, *, source: str = "127.0.0.1") -> bytes:
    """All that is answered to ``data``, whose last request has to end the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def request_for(path: str, body: bytes = b"", *, last: bool = False, method: str = "POST") -> bytes:
    connection = "close" if last else "keep-alive"
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_every_byte_is_handed_on_and_written_down() -> None:
    sent = [
        request_for("/a", b"\x00\xff first"),
        request_for("/static?x"),
        request_for("/b?static", method="HEAD"),
        request_for("/stream", b"y" * 1500),
        request_for("/c", b"last", last=True),
    ]
    async with tap_on(echo_app()) as (wire, port):
        came = await talk(port, b"".join(sent))
    kept = wire.of("127.0.0.1")
    assert [one.request.start for one in kept] == [sent[0], *sent[2:]]
    starts = [one.response.start for one in kept]
    assert all(start.startswith(b"HTTP/1.1 200 OK\r\n") for start in starts)
    assert b"Peer: 127.0.0.1\r\n" in starts[0]
    assert starts[0].endswith(b"\x00\xff first")
    assert starts[1].endswith(b"\r\n\r\n")
    assert starts[2].endswith(b"\r\n0\r\n\r\n")
    assert all(start in came for start in starts)
    assert came.startswith(starts[0])
    assert came.endswith(b"".join(starts[1:]))
    assert len({one.id for one in kept}) == 4


async def test_peers_are_who_they_are() -> None:
    async with tap_on(echo_app()) as (wire, port):
        answer = await talk(port, request_for("/a", last=True), source="127.0.0.2")
    assert b"Peer: 127.0.0.2\r\n" in answer
    assert len(wire.of("127.0.0.2")) == 1
    assert wire.of("127.0.0.1") == []


async def test_a_big_body_keeps_its_size(http: aiohttp.ClientSession) -> None:
    body = random.Random(1).randbytes(9_000_000)  # noqa: S311
    async with tap_on(echo_app()) as (wire, port):
        async with http.post(f"http://127.0.0.1:{port}/big", data=BytesIO(body)) as answer:
            assert hashlib.sha256(await answer.read()).digest() == hashlib.sha256(body).digest()
        (exchange,) = wire.of("127.0.0.1")
    for excerpt in (exchange.request, exchange.response):
        assert excerpt.size == excerpt.start.index(b"\r\n\r\n") + 4 + len(body)
        assert excerpt.end == body[-END_BYTES:]


async def test_a_client_that_hangs_up_is_written_down_as_far_as_he_came() -> None:
    begun = request_for("/a", b"whole")[:-2]
    async with tap_on(echo_app()) as (wire, port):
        news = asyncio.create_task(wire._news.until(lambda: wire.of("127.0.0.1")))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        await writer.drain()
        writer.close()
        await news
    (exchange,) = wire.of("127.0.0.1")
    assert exchange.request.start == begun


async def test_what_is_no_http_is_refused_and_written_down() -> None:
    async with tap_on(echo_app()) as (wire, port):
        answer = await talk(port, b"\x16\x03\x01 no HTTP\r\n\r\n")
    (exchange,) = wire.of("127.0.0.1")
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert exchange.response.start == answer[:START_BYTES]


async def test_a_flood_of_requests_is_answered_but_not_followed() -> None:
    flood = request_for("/a") * (MAX_OPEN + 10) + request_for("/a", last=True)
    async with tap_on(echo_app()) as (wire, port):
        answer = await talk(port, flood)
        assert answer.count(b"HTTP/1.1 200 OK") == MAX_OPEN + 11
        assert len(wire.of("127.0.0.1")) < MAX_OPEN


# --- in the demo --------------------------------------------------------------------------------


async def passed(http: aiohttp.ClientSession, places: Places, **params: str) -> Json:
    async with http.get(f"{places.gateway}/wire.json", params=params) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        return await answer.json()


def request_line(exchange: Json) -> str:
    return b64decode(exchange["request"]["start_b64"]).partition(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    ("suite", "login"),
    [
        ("ecdh-gcm", ("/session/hello", "/session/share", "/session/confirm")),
        ("rsa-gcm", ("/session/hello", "/session/share", "/session/confirm")),
        ("classic", ("/session", "/session/authenticate")),
    ],
)
async def test_the_wire_shows_ciphertext_of_what_is_sealed_and_text_of_what_is_not(
    suite: Suite, login: tuple[str, ...], places: Places, http: aiohttp.ClientSession
) -> None:
    async def code() -> str:
        async with http.get(f"{places.mailbox}/mails.json", params={"after": ""}) as answer:
            return str((await answer.json())[0]["code"])

    async with Client(places.gateway, suite=suite) as client:
        await client.login("ann@example.org", code=code)
        answer = await client.post("/orders", json={"item": "Lapsang Souchong", "quantity": 2})
        assert "Lapsang" in await answer.text()
    async with http.post(f"{places.gateway}/orders", json={"item": "Lapsang Souchong"}) as refused:
        assert refused.status == 401

    # What the page itself is made of, and what it asks for here, is not part of the story.
    for path in ("/", "/?suite=classic", "/shop.js", "/words.js"):
        async with http.get(f"{places.gateway}{path}"):
            pass
    async with http.get(f"{places.gateway}/.gateway/client.js"):
        pass
    shown = await passed(http, places)
    lines = [request_line(one) for one in shown]
    assert lines == [
        *(f"POST /.gateway{path} HTTP/1.1" for path in login),
        "POST /.gateway/message HTTP/1.1",
        "POST /orders HTTP/1.1",
    ]
    for exchange in shown:
        sides = exchange["request"], exchange["response"]
        texts = [b64decode(side["start_b64"]) + b64decode(side["end_b64"]) for side in sides]
        assert [len(text) for text in texts] == [side["size"] for side in sides]
        assert (b"Lapsang" in texts[0]) == (exchange is shown[-1])
        assert exchange["took_ms"] >= 0
    assert shown[0]["when"].endswith("+00:00")
    assert b'"login_required"' in b64decode(shown[-1]["response"]["start_b64"])


async def test_a_page_that_waits_hears_of_the_next_exchange(
    places: Places, http: aiohttp.ClientSession
) -> None:
    first = asyncio.create_task(passed(http, places, after=""))
    async with http.get(f"{places.gateway}/orders"):
        pass
    (exchange,) = await first
    second = asyncio.create_task(passed(http, places, after=exchange["id"]))
    async with http.get(f"{places.gateway}/orders/1"):
        pass
    assert [request_line(one) for one in await second] == ["GET /orders/1 HTTP/1.1"]


async def test_a_page_that_waits_does_not_hold_up_the_end(http: aiohttp.ClientSession) -> None:
    async with running("127.0.0.1", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places:
        waiting = asyncio.create_task(passed(http, places, after=""))
        async with http.get(f"{places.gateway}/"):
            pass
    async with asyncio.timeout(5):
        assert await waiting == []


async def test_the_shop_leads_to_the_mailbox_under_the_name_it_was_asked_for(
    places: Places, http: aiohttp.ClientSession
) -> None:
    port = places.mailbox.rpartition(":")[2]
    for host in ("gateway.test:80", "127.0.0.1"):
        async with http.get(places.gateway, headers={"Host": host}) as answer:
            page = await answer.text()
            policy = answer.headers["Content-Security-Policy"]
        assert f'href="http://{host.partition(":")[0]}:{port}/"' in page
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
