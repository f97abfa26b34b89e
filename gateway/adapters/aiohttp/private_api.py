"""All private and undocumented API of aiohttp that the gateway uses, with the reason for each.

No other module uses any of it. ``tests/gateway/adapters/test_private_api.py`` tests each function
with a real server and fails if a new version of aiohttp changes what it relies on.

The module is long because it holds all such uses in one place.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any

import aiohttp
from aiohttp import ClientRequest, StreamReader, WSMsgType, hdrs, http_writer, web, web_response

# No public constructor makes a request from parts: these are the parts that the server uses.
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.connector import Connection
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import (
    SERVER_SOFTWARE,
    HttpProcessingError,
    RawRequestMessage,
    RawResponseMessage,
    StreamWriter,
    WebSocketReader,
)
from aiohttp.streams import EofStream
from aiohttp.web_urldispatcher import MatchInfoError, _default_expect_handler
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_as_aiohttp_does = http_writer._serialize_headers
_BODILESS = frozenset({204, 205, 304})
# The parser does not wait for the reader of a body of this size.
_SMALL_BYTES = 65_536

__all__ = [
    "SERVER_SOFTWARE",
    "BaseProtocol",
    "ClientExchange",
    "EofStream",
    "HttpProcessingError",
    "KeptConnections",
    "RawRequestMessage",
    "SocketProtocol",
    "UploadProtocol",
    "WholeRequest",
    "WholeResponse",
    "close_uploads",
    "finished",
    "handle_before_routes",
    "handler_behind",
    "handler_of",
    "handshake_headers",
    "hide_server_version",
    "keep_field_bytes",
    "listening_sockets",
    "routes_with_expect_handler",
    "send_once",
    "set_asked",
    "whole_body",
    "wrap_parsers",
    "wrap_request_factory",
]


class UploadProtocol(BaseProtocol):
    """The protocol of a body that does not come from a connection.

    ``StreamReader`` tells its protocol when it holds enough, by ``pause_reading``, and asks it
    whether it is paused, by ``_reading_paused``. ``may_feed`` is set while it is not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.may_feed = asyncio.Event()
        self.may_feed.set()

    @property
    def connected(self) -> bool:
        """``StreamReader`` waits for data only if this is so."""
        return True

    def pause_reading(self) -> None:
        self._reading_paused = True
        self.may_feed.clear()

    def resume_reading(self, resume_parser: bool = True) -> None:
        self._reading_paused = False
        self.may_feed.set()


class SocketProtocol(UploadProtocol):
    """The protocol of a WebSocket of the application that has no connection of its own.

    ``WebSocketResponse`` gives its parser to the protocol of the request and writes frames to the
    transport of that protocol. Both are in memory here. ``feed`` takes the frames of a client, and
    ``receive`` returns the messages of the application, parsed by the parser of aiohttp as well.
    """

    # ``WebSocketResponse`` reads it for its heartbeat.
    _timeout_ceil_threshold = 5

    def __init__(self, loop: asyncio.AbstractEventLoop, outer: web.RequestHandler) -> None:
        """``outer`` is the protocol of the connection, whose address the request names."""
        super().__init__(loop)
        self.ssl_context = outer.ssl_context
        self.peername, self.sockname = outer.peername, outer.sockname
        self.pair = _SocketTransport(self, loop)
        self.transport = self.pair
        self.is_open = asyncio.Event()
        self._payload_parser: WebSocketReader | None = None
        self._on_data: Callable[[], None] | None = None

    def set_parser(
        self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None
    ) -> None:
        """The handshake is complete."""
        self._payload_parser = parser
        self._on_data = data_received_cb
        self.is_open.set()

    def keep_alive(self, val: bool) -> None:
        """There is no connection to keep."""

    def feed(self, frames: bytes) -> None:
        """Frames of the client."""
        if self._payload_parser is not None:
            if self._on_data is not None:
                self._on_data()
            self._payload_parser.feed_data(frames)

    def feed_eof(self) -> None:
        """The client has gone."""
        if self._payload_parser is not None:
            self._payload_parser.feed_eof()
            self._payload_parser = None
        self.may_feed.set()
        self.pair.close()

    async def receive(self) -> tuple[WSMsgType, Any, str | None]:
        """What the application sends next: type, data and more.

        Raises: EofStream (it has closed the transport).
        """
        return await self.pair.read()


class _WrittenFrames(UploadProtocol):
    """Lets the application wait while much of what it has sent is not read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: BaseProtocol) -> None:
        super().__init__(loop)
        self._writer = writer

    def pause_reading(self) -> None:
        super().pause_reading()
        self._writer.pause_writing()

    def resume_reading(self, resume_parser: bool = True) -> None:
        super().resume_reading(resume_parser)
        self._writer.resume_writing()


class _SocketTransport(asyncio.Transport):
    """Where ``WebSocketResponse`` writes its frames."""

    def __init__(self, protocol: BaseProtocol, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._queue = WebSocketDataQueue(_WrittenFrames(loop, protocol), 2**16, loop=loop)
        self._parser = WebSocketReader(self._queue, 0, compress=False, decode_text=False)
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._parser.feed_data(bytes(data))

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._parser.feed_eof()

    def abort(self) -> None:
        self.close()

    async def read(self) -> tuple[WSMsgType, Any, str | None]:
        message = await self._queue.read()
        return message.type, message.data, message.extra


def set_asked(request: web.Request, **known: str) -> None:
    """Set ``request.remote``, ``request.scheme`` or ``request.host``, behind a reverse proxy.

    The public way is ``request.clone(remote=...)``. The clone would reach the handlers, but the
    access log would still see the address of the proxy.
    """
    request._cache.update(known)


def keep_field_bytes() -> None:
    """Let aiohttp send header values as the bytes that it received.

    It reads a byte that is not UTF-8 as a surrogate, and drops surrogates when it writes. Neither
    the server nor the client has an option for it. It is one function for the whole process.
    """
    http_writer._serialize_headers = _serialized


def _serialized(status_line: str, headers: "CIMultiDict[str]") -> bytes:
    # This also refuses line ends in a value.
    written = _as_aiohttp_does(status_line, headers)
    if all(map(str.isascii, headers.values())) and all(map(str.isascii, headers)):
        return written
    lines = [status_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def routes_with_expect_handler(app: web.Application) -> list[str]:
    """The routes of ``app`` with an ``expect_handler`` of their own, as ``METHOD /path``.

    aiohttp has no public way to see it, and runs it before every middleware.
    """
    return [
        f"{route.method} {route.resource.canonical if route.resource else ''}"
        for route in app.router.routes()
        if route._expect_handler is not _default_expect_handler
    ]


def handler_of(app: web.Application) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What the server calls for each request: it finds the route and runs the middlewares.

    The request inside a sealed message is handled by it. The public way to call it is over a
    connection, and such a request has none.
    """
    return app._handle


def handler_behind(
    app: web.Application,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """As ``handler_of``, but without the first middleware of ``app`` if it is the only one.

    Then no handler has to be wrapped for each request. The request has no Expect.
    """
    run_all = handler_of(app)

    async def handle(request: web.Request) -> web.StreamResponse:
        if len(app.middlewares) > 1 or app._subapps:
            return await run_all(request)
        match_info = await app.router.resolve(request)
        match_info.add_app(app)
        match_info.freeze()
        request._match_info = match_info
        return await match_info.handler(request)

    return handle


def finished(
    request: web.Request, response: web.StreamResponse, most_bytes: int
) -> "tuple[CIMultiDict[str], bytes] | None":
    """The headers and the body that aiohttp would send for ``response``, if no more is to be done.

    None for a response that streams, has no body or more than ``most_bytes``, is compressed, sets
    cookies or has signals:
    ``prepare`` it. Most responses are complete, and to prepare them takes longer than to make them.
    """
    if type(response) is not web.Response or type(body := response.body) is not bytes or not body:
        return None
    is_open = response._payload_writer is None and not response._eof_sent
    is_plain = not (response._cookies or response._compression or response._chunked)
    has_body = request.method != hdrs.METH_HEAD and response.status not in _BODILESS
    headers, match_info = response.headers, request._match_info
    fits = len(body) <= most_bytes and hdrs.CONTENT_LENGTH not in headers
    if not (is_open and is_plain and has_body and fits):
        return None
    if match_info is None or any(app.on_response_prepare for app in match_info._apps):
        return None
    headers[hdrs.CONTENT_LENGTH] = str(len(body))
    headers.setdefault(hdrs.CONTENT_TYPE, "application/octet-stream")
    if hdrs.DATE not in headers:
        headers[hdrs.DATE] = rfc822_formatted_time()
    headers.setdefault(hdrs.SERVER, web_response.SERVER_SOFTWARE)  # type: ignore[attr-defined]
    response._eof_sent = True
    return headers, body


def handle_before_routes(
    app: web.Application,
    paths: Set[str],
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> None:
    """Let ``handler`` reply to requests for ``paths``, without the router and the middlewares.

    The router finds a route, makes a match info and wraps the handler into all middlewares, for
    each request. ``on_response_prepare`` of ``app`` runs as usual. The router replies to requests
    with Expect. As a part of another application (``add_subapp``), ``app`` is reached by its routes
    only.
    """
    found_route = handler_of(app)
    match_info = MatchInfoError(web.HTTPNotFound())
    match_info.add_app(app)
    match_info.freeze()

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.rel_url.raw_path in paths and hdrs.EXPECT not in request.headers:
            request._match_info = match_info
            return await handler(request)
        return await found_route(request)

    # In its debug mode, aiohttp warns of attributes that it does not know.
    vars(app)["_handle"] = handle


def whole_body(content: StreamReader) -> bytes | None:
    """A small body that has arrived completely, or None.

    ``read_nowait`` also asks the parser for more, each time.
    """
    is_whole = content.is_eof() and content.total_bytes <= _SMALL_BYTES
    if not is_whole or content.exception() is not None:
        return None
    if not content.total_bytes:
        return b""
    body = b"".join(content._buffer)
    content._buffer.clear()
    return body


class WholeRequest(web.Request):
    """A request whose body is complete, without a connection.

    aiohttp reads a body from a stream. This one has a stream only if the handler wants one, because
    most handlers read the whole body. ``whole`` is the body, or None if the request has a stream.
    """

    ATTRS = web.Request.ATTRS | frozenset(["_stream", "whole"])

    whole: bytes | None = None
    _stream: StreamReader | None = None

    @property
    def _payload(self) -> StreamReader:
        if self._stream is None:
            limit, loop = self._client_max_size, self._loop
            # A protocol without a connection: the body is complete, so there is no flow control.
            self._stream = StreamReader(BaseProtocol(loop), limit=limit, loop=loop)
            if self._read_bytes is None:
                self._stream.feed_data(self.whole or b"")
            self._stream.feed_eof()
        return self._stream

    @_payload.setter
    def _payload(self, payload: StreamReader | None) -> None:
        self._stream = payload

    async def read(self) -> bytes:
        if self._stream is None and self._read_bytes is None:
            self._read_bytes = self.whole
        return await super().read()


class WholeResponse(web.StreamResponse):
    """A response with a body to a request of HTTP/1.1, sent in one write.

    ``web.Response`` would look for compression, cookies, chunks and signals.
    """

    def __init__(
        self, request: web.Request, status: int, headers: CIMultiDict[str], body: bytes
    ) -> None:
        super().__init__(status=status, _real_headers=headers)
        self._whole = body
        self._keep_alive = request.keep_alive
        self._writer = request.writer

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Raises: ConnectionError."""
        if self._eof_sent:
            return
        self._eof_sent = True
        headers, self._body_length = self._headers, len(self._whole)
        headers[hdrs.CONTENT_LENGTH] = str(self._body_length)
        headers[hdrs.DATE] = rfc822_formatted_time()
        headers.setdefault(hdrs.SERVER, web_response.SERVER_SOFTWARE)  # type: ignore[attr-defined]
        if not self._keep_alive:
            headers[hdrs.CONNECTION] = "close"
        await self._writer.write_headers(f"HTTP/1.1 {self._status} {self._reason}", headers)
        await self._writer.write_eof(self._whole)


def close_uploads(request: web.BaseRequest) -> None:
    """Close the temporary files of a multipart form.

    The server does this for the requests that it makes. A request inside a message is not one.
    """
    request._finish()


def send_once(session: aiohttp.ClientSession) -> None:
    """Do not send a request again if a kept connection breaks.

    aiohttp sends PUT, DELETE and other idempotent methods again and has no option against it. The
    upstream may have run the request, and a message must not run twice (PROTOCOL §3.6.3).
    """
    session._retry_connection = False


class KeptConnections:
    """Connections to one host, kept by ``connector`` as ``ClientSession`` uses it.

    ``ClientSession.request`` makes several URLs, a filter of cookies, a request object and a timer
    for each request. This costs more than the exchange itself (decision 103).
    """

    def __init__(self, connector: aiohttp.BaseConnector, url: URL) -> None:
        self._connector = connector
        # It names host, port and TLS for the connector, and is never sent.
        self._asked = ClientRequest("GET", url, loop=asyncio.get_running_loop())

    async def connect(self, timeout: aiohttp.ClientTimeout) -> Connection:
        """A kept or a new connection. Raises: ClientConnectionError, ConnectionTimeoutError."""
        try:
            return await self._connector.connect(self._asked, [], timeout)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from None


class ClientExchange:
    """A request and its response over ``connection``, with the parser and the flow control of
    aiohttp's client. ``close`` it in every case.
    """

    __slots__ = ("_connection", "_protocol")

    def __init__(
        self,
        connection: Connection,
        *,
        is_head: bool,
        read_timeout_s: float | None,
        header_bytes: int,
    ) -> None:
        """``is_head`` if the response has no body. ``header_bytes`` limits each header."""
        protocol = connection.protocol
        if protocol is None:
            raise aiohttp.ClientConnectionError("the connection is closed")
        self._connection = connection
        self._protocol = protocol
        protocol.set_response_params(
            skip_payload=is_head,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=read_timeout_s,
            max_line_size=header_bytes,
            max_field_size=header_bytes,
        )

    def write(self, data: bytes) -> None:
        """Send ``data``, without flow control. Raises: ClientConnectionResetError."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("the connection is closed")
        transport.write(data)

    def body_writer(self, *, chunked: bool) -> StreamWriter:
        """Writes a body with flow control, after ``write`` has sent the head."""
        writer = StreamWriter(self._protocol, asyncio.get_running_loop())
        if chunked:
            writer.enable_chunking()
        return writer

    def start_read_timeout(self) -> None:
        """The request is sent. Now silence of the upstream counts."""
        self._protocol.start_timeout()

    def lift_read_timeout(self) -> None:
        """The rest of the body may be silent for any time."""
        self._protocol.read_timeout = None
        self._protocol.start_timeout()

    def fail(self, error: Exception) -> None:
        """Let ``response`` raise ``error``."""
        self._protocol.set_exception(error)

    async def response(self) -> tuple[RawResponseMessage, StreamReader]:
        """The final response, without interim ones (1xx), and its body.

        Raises: HttpProcessingError, ClientError, ConnectionError, and what ``fail`` was given.
        """
        while True:
            message, content = await self._protocol.read()
            if message.code >= 200 or message.code == 101:
                return message, content

    def release(self) -> None:
        """The response is complete, so the connection can be kept, if both sides want it."""
        self._connection.release()

    def close(self) -> None:
        """Close the connection, unless it was released."""
        self._connection.close()


def handshake_headers(socket: aiohttp.ClientWebSocketResponse) -> CIMultiDictProxy[str]:
    """The headers of the response that has opened ``socket``. There is no public attribute."""
    return socket._response.headers


def listening_sockets(site: web.TCPSite) -> Sequence[socket.socket]:
    """The sockets of ``site``, which has started, to set options on them.

    ``TCPSite`` has no argument for socket options.
    """
    server = site._server
    return server.sockets if isinstance(server, asyncio.Server) else ()


def wrap_request_factory(
    server: web.Server, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace the function that makes a request of what was parsed, before ``server`` listens.

    Nothing else of ours runs before it, and it raises an error for some request targets. Then
    aiohttp sends no response and leaves the connection open.
    """
    server.request_factory = wrap(server.request_factory)


def wrap_parsers(server: web.Server, wrap: Callable[[Any], Any]) -> None:
    """Replace the parser of each connection, before ``server`` listens.

    The parser refuses bytes beyond ASCII in a request target and has no option for it.
    """
    made = server.connection_made

    def connection_made(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        handler._parser = wrap(handler._parser)
        made(handler, transport)

    server.connection_made = connection_made  # type: ignore[method-assign]


def hide_server_version() -> None:
    """Responses that aiohttp makes itself (400 to invalid HTTP) name a server without a version.

    Neither the server nor the runner has an option for it. It is one name for the whole process.
    """
    web_response.SERVER_SOFTWARE = "certless"  # type: ignore[attr-defined]
