"""Each function of ``private_api.py`` with a real server, and no private API in other modules.

If a test fails after an update of aiohttp, correct ``private_api.py``. No other module is affected.
"""

import ast
import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web, web_response
from multidict import CIMultiDict
from processes import ROOT
from yarl import URL

from gateway.adapters.aiohttp import private_api

SOURCES = sorted(
    path
    for folder in ("gateway", "certless")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(private_api.__file__)
)
# Modules of aiohttp that its documentation does not name.
UNDOCUMENTED = {
    *("base_protocol", "http", "http_parser", "http_writer", "web_protocol", "web_response"),
    *("web_urldispatcher", "web_request", "web_server", "helpers", "connector", "client_reqrep"),
}


@asynccontextmanager
async def serving(
    app: web.Application, before: Callable[[web.AppRunner], None] = lambda _: None
) -> AsyncIterator[tuple[str, web.TCPSite]]:
    runner = web.AppRunner(app)
    await runner.setup()
    before(runner)
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}", site
    finally:
        await runner.cleanup()


async def got(url: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.text()


def private_uses(source: str) -> set[str]:
    """Private attributes of other objects, and private or undocumented imports from aiohttp."""
    tree, found = ast.parse(source), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aiohttp":
            found |= {alias.name for alias in node.names if alias.name.startswith("_")}
            found |= {part for part in (node.module or "").split(".")[1:] if part in UNDOCUMENTED}
            found |= {alias.name for alias in node.names if alias.name in UNDOCUMENTED}
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and not node.attr.endswith("__"):
                found.add(node.attr)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_uses_private_api_of_aiohttp(path: Path) -> None:
    source = path.read_text("utf-8")
    if "aiohttp" in source:
        # ``_replace`` is the documented method of a NamedTuple.
        assert private_uses(source) - {"_replace"} == set()


def test_private_uses_are_seen_in_every_form() -> None:
    source = "from aiohttp.http import X\nfrom aiohttp import _y, web_response\nself._a._b\nc._d\n"
    assert private_uses(source) == {"http", "_y", "web_response", "_b", "_d"}


async def test_set_asked() -> None:
    async def handle(request: web.Request) -> web.Response:
        private_api.set_asked(request, remote="192.0.2.7")
        return web.Response(text=request.remote)

    app = web.Application()
    app.router.add_get("/", handle)
    async with serving(app) as (url, _):
        assert await got(url) == "192.0.2.7"


async def test_keep_field_bytes() -> None:
    private_api.keep_field_bytes()

    async def handle(request: web.Request) -> web.Response:
        values = [value for name, value in request.raw_headers if name == b"X-Own"]
        return web.Response(text=repr(values), headers={"X-Own": request.headers["X-Own"]})

    app = web.Application()
    app.router.add_get("/", handle)
    value = b"21\xb0 K\xc3\xb8ge".decode("utf-8", "surrogateescape")
    async with (
        serving(app) as (url, _),
        aiohttp.ClientSession() as http,
        http.get(url, headers={"X-Own": value}) as response,
    ):
        assert (response.headers["X-Own"], await response.text()) == (
            value,
            repr([value.encode("utf-8", "surrogateescape")]),
        )
        with pytest.raises(ValueError, match="control character"):
            await http.get(url, headers={"X-Own": "a\r\nX-Other: b"})


async def test_routes_with_expect_handler() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response()

    async def expect(_: web.Request) -> None:
        return None

    app = web.Application()
    app.router.add_get("/plain", handle)
    app.router.add_post("/expects/{id}", handle, expect_handler=expect)
    assert private_api.routes_with_expect_handler(app) == ["POST /expects/{id}"]


async def test_handler_of_runs_routes_and_middlewares() -> None:
    @web.middleware
    async def mark(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        response.headers["X-Marked"] = "yes"
        return response

    async def inner(request: web.Request) -> web.Response:
        return web.Response(text=request.match_info["id"])

    async def outer(request: web.Request) -> web.StreamResponse:
        response = await private_api.handler_of(below)(request.clone(rel_url="/items/7"))
        assert response.headers["X-Marked"] == "yes"
        return response

    below, app = web.Application(middlewares=[mark]), web.Application()
    below.router.add_get("/items/{id}", inner)
    below.freeze()
    app.router.add_get("/", outer)
    async with serving(app) as (url, _):
        assert await got(url) == "7"


async def test_close_uploads() -> None:
    async def handle(request: web.Request) -> web.Response:
        upload = (await request.post())["file"]
        assert isinstance(upload, web.FileField)
        before = upload.file.closed
        private_api.close_uploads(request)
        return web.json_response([before, upload.file.closed])

    app = web.Application()
    app.router.add_post("/", handle)
    form = aiohttp.FormData()
    form.add_field("file", b"x" * 100, filename="a.bin")
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        async with http.post(url, data=form) as response:
            assert await response.json() == [False, True]


@pytest.mark.parametrize("once", [True, False])
async def test_send_once(once: bool) -> None:
    """A server that closes a kept connection at the next request. aiohttp sends it again."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if len(heads) == 1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                heads.append(await reader.readuntil(b"\r\n\r\n"))
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, aiohttp.ClientSession() as http, asyncio.timeout(10):
        if once:
            private_api.send_once(http)
        async with http.delete(url) as response:
            await response.read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.delete(url)
    # If aiohttp no longer sends it again by itself, the function is not needed any more.
    assert len(heads) == (2 if once else 3)


@asynccontextmanager
async def exchanges_with(
    *answers: bytes, read_timeout_s: float | None = None
) -> AsyncIterator[Callable[[], Awaitable[private_api.ClientExchange]]]:
    """Begins exchanges with a server that sends the next of ``answers`` after each head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, aiohttp.TCPConnector() as connector, asyncio.timeout(20):
        connections = private_api.KeptConnections(connector, url)

        async def begin() -> private_api.ClientExchange:
            connection = await connections.connect(aiohttp.ClientTimeout(connect=5))
            exchange = private_api.ClientExchange(
                connection, is_head=False, read_timeout_s=read_timeout_s, header_bytes=1024
            )
            exchange.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            exchange.start_read_timeout()
            return exchange

        yield begin


_OK = b"HTTP/1.1 200 OK\r\nX-Own: \xe5\r\nContent-Length: 2\r\n\r\nok"
_CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"


async def test_an_exchange_keeps_its_connection() -> None:
    async with exchanges_with(b"HTTP/1.1 103 Early Hints\r\n\r\n" + _OK, _OK) as begin:
        for _ in range(2):
            exchange = await begin()
            message, content = await exchange.response()
            assert (message.code, message.reason) == (200, "OK")
            assert message.raw_headers[0] == (b"X-Own", b"\xe5")
            content.on_eof(exchange.release)
            assert await content.read() == b"ok"
            # It is released, so this closes nothing: the server has one connection for both.
            exchange.close()


async def test_an_exchange_ends_with_its_error() -> None:
    async with exchanges_with(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2000) as begin:
        exchange = await begin()
        with pytest.raises(private_api.HttpProcessingError, match="Got more than"):
            await exchange.response()
        exchange.close()
        with pytest.raises(aiohttp.ClientConnectionResetError):
            exchange.write(b"more")
    async with exchanges_with(b"") as begin:
        exchange = await begin()
        exchange.fail(ValueError("a reason of ours"))
        with pytest.raises(ValueError, match="a reason of ours"):
            await exchange.response()
        exchange.close()


async def test_a_body_with_flow_control() -> None:
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_put("/", take)
    async with serving(app) as (url, _), aiohttp.TCPConnector() as connector:
        connections = private_api.KeptConnections(connector, URL(url))
        for chunked in (True, False):
            connection = await connections.connect(aiohttp.ClientTimeout(connect=5))
            exchange = private_api.ClientExchange(
                connection, is_head=False, read_timeout_s=None, header_bytes=1024
            )
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 200000"
            exchange.write(b"PUT / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
            writer = exchange.body_writer(chunked=chunked)
            await writer.write(bytes(100_000))
            await writer.write(bytes(100_000))
            await writer.write_eof()
            message, content = await exchange.response()
            assert message.code == 200
            await content.read()
            exchange.close()
    assert bodies == [bytes(200_000)] * 2


async def test_the_read_timeout_of_an_exchange() -> None:
    async with exchanges_with(_CUT, read_timeout_s=0.3) as begin:
        exchange = await begin()
        _, content = await exchange.response()
        with pytest.raises(aiohttp.SocketTimeoutError):
            await content.read()
        exchange.close()
        lifted = await begin()
        _, content = await lifted.response()
        lifted.lift_read_timeout()
        assert await content.readany() == b"begun"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await content.readany()
        lifted.close()


async def test_handshake_headers() -> None:
    async def chat(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        ws.headers["X-Own"] = "own"
        await ws.prepare(request)
        return ws

    app = web.Application()
    app.router.add_get("/", chat)
    async with (
        serving(app) as (url, _),
        aiohttp.ClientSession() as http,
        http.ws_connect(url) as ws,
    ):
        assert private_api.handshake_headers(ws)["X-Own"] == "own"


async def test_listening_sockets() -> None:
    async with serving(web.Application()) as (url, site):
        names = [one.getsockname() for one in private_api.listening_sockets(site)]
        assert names == [("127.0.0.1", int(url.rpartition(":")[2]))]
        for listener in private_api.listening_sockets(site):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


async def test_wrap_request_factory() -> None:
    paths: list[str] = []

    def wrap(make: Callable[..., Any]) -> Callable[..., Any]:
        def make_request(message: Any, *rest: Any) -> Any:
            paths.append(message.path)
            return make(message._replace(path="/other", url=message.url.with_path("/other")), *rest)

        return make_request

    def before(runner: web.AppRunner) -> None:
        assert runner.server is not None
        private_api.wrap_request_factory(runner.server, wrap)

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    app = web.Application()
    app.router.add_get("/other", handle)
    async with serving(app, before) as (url, _):
        assert await got(url + "/asked") == "/other"
    assert paths == ["/asked"]


async def test_wrap_parsers() -> None:
    class Other:
        def __init__(self, parser: Any) -> None:
            self._parser = parser

        def __getattr__(self, name: str) -> Any:
            return getattr(self._parser, name)

        def feed_data(self, data: bytes) -> Any:
            return self._parser.feed_data(data.replace(b"/asked", b"/other"))

    def before(runner: web.AppRunner) -> None:
        assert runner.server is not None
        private_api.wrap_parsers(runner.server, Other)

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    app = web.Application()
    app.router.add_get("/other", handle)
    async with serving(app, before) as (url, _):
        assert await got(url + "/asked") == "/other"


async def test_hide_server_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_response, "SERVER_SOFTWARE", private_api.SERVER_SOFTWARE)
    private_api.hide_server_version()
    async with serving(web.Application()) as (url, _):
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"this is no HTTP\r\n\r\n")
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert b"Server: certless\r\n" in head
    assert b"aiohttp" not in head


async def test_a_websocket_without_a_connection() -> None:
    """``WebSocketResponse`` reads what is fed, and what it writes is received."""
    asked: list[object] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        pair = private_api.SocketProtocol(asyncio.get_running_loop(), request.protocol)
        assert (pair.peername, pair.sockname) == (
            request.protocol.peername,
            request.protocol.sockname,
        )
        # The server gave the request a protocol of its own. The pair takes its place.
        request._protocol = pair  # type: ignore[assignment]
        ws = web.WebSocketResponse(protocols=["chat"])
        writer: Any = request._payload_writer

        async def nothing(*_: object) -> None:
            """The head does not go out."""

        writer.write_headers = nothing
        await ws.prepare(request)
        assert pair.is_open.is_set()
        pair.feed(b"\x81\x03one" + b"\x02\x01t" + b"\x80\x02wo")
        asked.append((await ws.receive()).data)
        asked.append((await ws.receive()).data)
        await ws.send_str("three")
        asked.append(await pair.receive())
        closing = asyncio.create_task(ws.close(code=4000, message=b"bye"))
        asked.append(await pair.receive())
        pair.feed(b"\x88\x02" + (4001).to_bytes(2))
        await closing
        asked.append(ws.close_code)
        pair.feed_eof()
        assert pair.pair.is_closing()
        with pytest.raises(private_api.EofStream):
            await pair.receive()
        assert request.transport is not None
        request.transport.abort()
        return ws

    app = web.Application()
    app.router.add_get("/", handle)
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        private_api.send_once(http)
        with pytest.raises(aiohttp.ClientError):
            await http.ws_connect(url, protocols=["chat"])
    text, close = aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.CLOSE
    assert asked == ["one", b"two", (text, b"three", ""), (close, 4000, "bye"), 4001]


async def test_a_websocket_waits_while_nothing_is_received() -> None:
    loop = asyncio.get_running_loop()

    class Outer:
        ssl_context = peername = sockname = None

    pair = private_api.SocketProtocol(loop, Outer())  # type: ignore[arg-type]
    frame = b"\x82\x7e\xff\xff" + bytes(65_535)
    written = 0
    while not _waits(pair):
        pair.pair.write(frame)
        written += 1
    for _ in range(written):
        await pair.receive()
    assert not _waits(pair)
    pair.feed(b"before the handshake")
    pair.feed_eof()
    pair.pair.abort()


def _waits(pair: private_api.SocketProtocol) -> bool:
    return pair.writing_paused


async def test_handle_before_routes() -> None:
    prepared: list[tuple[str, web.Application]] = []

    async def routed(request: web.Request) -> web.Response:
        return web.Response(text=f"routed {request.path}")

    async def first(request: web.Request) -> web.Response:
        return web.Response(text=f"first {request.path}")

    async def see(request: web.Request, _: web.StreamResponse) -> None:
        prepared.append((request.path, request.app))

    @web.middleware
    async def mark(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        response.headers["X-Marked"] = "yes"
        return response

    app = web.Application(middlewares=[mark])
    app.router.add_get("/{path:.*}", routed)
    app.on_response_prepare.append(see)
    private_api.handle_before_routes(app, {"/own"}, first)
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        for path, text, marked in (("/own", "first /own", None), ("/x", "routed /x", "yes")):
            async with http.get(url + path) as response:
                assert (await response.text(), response.headers.get("X-Marked")) == (text, marked)
        # The router answers the expectation of a client.
        async with http.get(url + "/own", headers={"Expect": "100-continue"}) as response:
            assert await response.text() == "routed /own"
    assert prepared == [("/own", app), ("/x", app), ("/own", app)]


async def test_whole_body() -> None:
    async def take(request: web.Request) -> web.Response:
        whole = private_api.whole_body(request.content)
        rest = b"" if whole is not None else await request.read()
        # Nothing comes twice.
        assert private_api.whole_body(request.content) in (b"", None)
        return web.json_response([whole is not None, len(whole or rest)])

    app = web.Application()
    app.router.add_route("*", "/", take)
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        for body, expected in (
            (b"", [True, 0]),
            (bytes(1000), [True, 1000]),
            # More than the parser holds at once, so the connection must go on being read.
            (bytes(300_000), [False, 300_000]),
            (bytes(1000), [True, 1000]),
        ):
            async with http.post(url, data=body) as response:
                assert await response.json() == expected


async def test_a_request_with_a_whole_body_has_a_stream_if_it_is_asked_for() -> None:
    asked: list[object] = []

    async def handle(request: web.Request) -> web.Response:
        def made() -> private_api.WholeRequest:
            parts: Any = request
            whole = private_api.WholeRequest(
                parts._message,
                None,  # type: ignore[arg-type]
                request.protocol,
                request.writer,
                request.task,
                asyncio.get_running_loop(),
                client_max_size=100,
            )
            whole.whole = b"a=1&b=2"
            return whole

        read = made()
        asked.extend([read.can_read_body, await read.read(), await read.text()])
        asked.extend([await read.content.read(), read.can_read_body])
        streamed = made()
        asked.extend([await streamed.content.readexactly(3), await streamed.read()])
        cloned = made().clone(rel_url="/other")
        asked.extend([await cloned.read(), cloned.path])
        asked.append(dict(await made().post()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with http.post(url, headers=form) as response:
            assert response.status == 200
    whole = b"a=1&b=2"
    assert asked[:5] == [True, whole, whole.decode(), b"", False]
    assert asked[5:] == [b"a=1", b"&b=2", whole, "/other", {"a": "1", "b": "2"}]


async def test_a_response_in_one_write() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        headers = CIMultiDict({"Content-Type": "text/plain"})
        if "named" in request.query:
            headers["Server"] = "own"
        return private_api.WholeResponse(request, 200, headers, b"one")

    app = web.Application()
    app.router.add_post("/", handle)
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        for query, close in (("", "keep-alive"), ("?named", "close")):
            async with http.post(url + query, headers={"Connection": close}) as response:
                assert (await response.read(), response.headers["Content-Length"]) == (b"one", "3")
                assert ("Date" in response.headers, response.reason) == (True, "OK")
                assert (response.headers["Server"] == "own") == bool(query)
                assert response.headers.get("Connection", "") == ("close" if query else "")


@pytest.mark.parametrize("has_others", [False, True])
async def test_handler_behind(has_others: bool) -> None:
    passed: list[str] = []

    @web.middleware
    async def first(request: web.Request, handler: Any) -> web.StreamResponse:
        passed.append(f"first {request.path}")
        response: web.StreamResponse = await handler(request)
        return response

    @web.middleware
    async def second(request: web.Request, handler: Any) -> web.StreamResponse:
        passed.append(f"second {request.path} {request.app is not None}")
        response: web.StreamResponse = await handler(request)
        return response

    async def item(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.match_info['id']} {request.app is app}")

    app, outer = web.Application(middlewares=[first]), web.Application()
    if has_others:
        app.middlewares.append(second)
    app.router.add_get("/items/{id}", item)
    app.freeze()
    behind = private_api.handler_behind(app)

    async def handle(request: web.Request) -> web.StreamResponse:
        with pytest.raises(web.HTTPNotFound):
            await behind(request.clone(rel_url="/none"))
        return await behind(request.clone(rel_url="/items/7"))

    outer.router.add_get("/", handle)
    async with serving(outer) as (url, _):
        assert await got(url) == "7 True"
    # With others, the first one runs as well: their order does not change.
    ran = ["first /items/7", "second /items/7 True"]
    assert [one for one in passed if "none" not in one] == (ran if has_others else [])


def made(kind: str) -> web.StreamResponse:
    """A response of each kind."""
    match kind:
        case "text":
            return web.Response(text="caf\u00e9", headers={"X-Own": "1"})
        case "bytes":
            return web.Response(body=b"x" * 70, status=201)
        case "typed":
            return web.Response(body=b"x", headers={"Content-Type": "a/b", "Date": "then"})
        case "own":
            return web.json_response({}, headers={"Server": "own", "Connection": "close"})
        case "empty":
            return web.Response()
        case "bodiless":
            return web.Response(status=204)
        case "payload":
            return web.Response(body="a payload of text")
        case "long":
            return web.Response(body=bytes(2000))
    response = web.Response(text="x" * 100)
    if kind == "cookie":
        response.set_cookie("a", "1")
    elif kind == "compressed":
        response.enable_compression(web.ContentCoding.gzip)
    elif kind == "chunked":
        response.enable_chunked_encoding()
    return response


FINISHED = {"text", "bytes", "typed", "own"}
PREPARED = {"empty", "bodiless", "payload", "long", "cookie", "compressed", "chunked"}


@pytest.mark.parametrize("kind", sorted(FINISHED | PREPARED))
async def test_finished_is_what_aiohttp_sends(kind: str) -> None:
    found: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        whole = private_api.finished(request, made(kind), 1000)
        found.append(whole and (dict(whole[0]), whole[1]))
        return made(kind)

    app = web.Application()
    app.router.add_get("/", handle)
    async with serving(app) as (url, _), aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            sent, body = dict(response.headers), await response.read()
    if kind in PREPARED:
        assert found == [None]
        return
    headers, kept = found[0]
    # The date can be that of the next second.
    assert headers.keys() == sent.keys()
    assert {**headers, "Date": ""} == {**sent, "Date": ""}
    assert kept == body


async def test_a_response_with_signals_or_that_has_begun_is_not_finished() -> None:
    found: list[object] = []

    async def sign(_: web.Request, __: web.StreamResponse) -> None:
        """A signal of an application."""

    async def handle(request: web.Request) -> web.StreamResponse:
        found.append(private_api.finished(request, made("text"), 1000))
        response = made("text")
        await response.prepare(request)
        found.append(private_api.finished(request, response, 1000))
        found.append(private_api.finished(request, web.HTTPConflict(), 1000))
        return response

    for signals in ([], [sign]):
        app = web.Application()
        app.on_response_prepare.extend(signals)
        app.router.add_get("/", handle)
        app.router.add_route("HEAD", "/head", handle)
        async with serving(app) as (url, _):
            await got(url)
            async with aiohttp.ClientSession() as http, http.head(url + "/head"):
                """It has no body."""
    assert [one is None for one in found] == [False, *[True] * 11]
