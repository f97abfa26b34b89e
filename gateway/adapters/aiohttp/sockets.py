"""WebSockets: the outer one of a client, and the one of a handler inside a session.

A handler uses ``web.WebSocketResponse`` as always. Frames go over a pair of queues in memory, not
over a connection, and aiohttp's own code reads and writes them at the handler's side.
"""

import asyncio
import base64
import contextlib
import secrets
import struct
from dataclasses import dataclass

from aiohttp import StreamReader, WSMsgType, hdrs, web
from multidict import CIMultiDict

from gateway.errors import BrokenBody
from gateway.pipeline.inner import FAILED, captured_response, end_to_end, failed, headers_for
from gateway.pipeline.pipe import BodyFailed
from gateway.pipeline.socket_ends import AppSocket, Connection, SocketMessage
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.streams.bodies import AbortReason
from protocol.streams.records import RecordType
from protocol.streams.sockets import (
    MAX_SOCKET_MESSAGE_BYTES,
    NO_CODE,
    NOT_CLOSED,
    Closed,
    Fragment,
    SocketHead,
)

from .inner import (
    CapturingWriter,
    Handler,
    InnerRequest,
    captured_fields,
    make_inner,
    run_to_end,
    started,
)
from .private_api import BaseProtocol, EofStream, SocketProtocol

# A client that does not answer a ping of the connection for so long has gone.
_HEARTBEAT_S = 30
# The application has this time to see that its socket has ended.
_END_S = 5
_FIN = 0x80
_OPCODES = {RecordType.TEXT: 1, RecordType.BINARY: 2}
_CONTINUATION, _CLOSE, _PONG = 0, 8, 10
_SENT = {WSMsgType.TEXT: RecordType.TEXT, WSMsgType.BINARY: RecordType.BINARY}
_OWN = "sec-websocket-"


def outer_socket() -> web.WebSocketResponse:
    """The response that opens a connection: without compression, and with small messages."""
    return web.WebSocketResponse(
        compress=False, max_msg_size=MAX_SOCKET_MESSAGE_BYTES + 1, heartbeat=_HEARTBEAT_S
    )


class AiohttpConnection(Connection):
    """A connection of aiohttp's server."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self._response = response

    async def receive(self) -> bytes | None:
        message = await self._response.receive()
        if message.type is WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is WSMsgType.TEXT:
            raise BrokenBody("a connection carries binary messages only")
        return None

    async def send(self, data: bytes) -> None:
        await self._response.send_bytes(data)

    async def close(self, code: int, reason: str) -> None:
        await self._response.close(code=code, message=reason.encode())


class SocketRequest(InnerRequest):
    """A handshake that came sealed."""

    ATTRS = InnerRequest.ATTRS | frozenset(["pair"])

    pair: SocketProtocol

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the WebSocket of the handler writes, in memory."""
        return self.pair.transport


# All types of requests that came sealed.
INNER_REQUESTS = frozenset({InnerRequest, SocketRequest})


def socket_request(
    outer: web.Request,
    inside: HttpRequest,
    protocols: tuple[str, ...],
    session: Session,
    max_bytes: int,
) -> SocketRequest:
    """``inside`` as the handshake of a WebSocket."""
    headers = CIMultiDict(
        (name, value)
        for name, value in headers_for(inside, outer.host)
        if not name.lower().startswith(_OWN)
    )
    headers[hdrs.CONNECTION], headers[hdrs.UPGRADE] = "Upgrade", "websocket"
    headers[hdrs.SEC_WEBSOCKET_VERSION] = "13"
    headers[hdrs.SEC_WEBSOCKET_KEY] = base64.b64encode(secrets.token_bytes(16)).decode()
    if protocols:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = ", ".join(protocols)
    loop = outer.task.get_loop()
    payload = StreamReader(BaseProtocol(loop), limit=max_bytes, loop=loop)
    payload.feed_eof()
    pair = SocketProtocol(loop, outer.protocol)
    parts = (outer, inside, headers, payload, session, CapturingWriter(max_bytes), max_bytes)
    request = make_inner(SocketRequest, *parts, pair)
    request.pair = pair
    return request


async def open_socket(handler: Handler, request: SocketRequest) -> HttpResponse | AppSocket:
    """The WebSocket that ``handler`` opens, or its response."""
    protocol = request.pair
    task = await started(_complete(handler, request), protocol.is_open)
    if not protocol.is_open.is_set():
        return await task
    headers = [
        (name, value)
        for name, value in end_to_end(captured_fields(request.captured))
        if not name.lower().startswith(_OWN)
    ]
    chosen = request.captured.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)
    return _HandlerSocket(SocketHead(tuple(headers), chosen), protocol, task)


async def _complete(handler: Handler, request: SocketRequest) -> HttpResponse:
    """Run ``handler`` to its end; the response, if it has opened no WebSocket."""
    try:
        response = await run_to_end(handler, request)
        if request.pair.is_open.is_set():
            return FAILED  # nobody awaits it
        writer = request.captured
        return captured_response(response.status, captured_fields(writer), writer.body)
    except Exception as error:
        return failed(error)
    finally:
        request.pair.pair.close()


@dataclass(slots=True)
class _HandlerSocket:
    """The other end of the WebSocket of a handler."""

    head: SocketHead
    _protocol: SocketProtocol
    _task: asyncio.Task[HttpResponse]
    _is_inside: bool = False
    _is_over: bool = False

    async def deliver(self, fragment: Fragment) -> None:
        if self._task.done():
            return
        opcode = _CONTINUATION if self._is_inside else _OPCODES[fragment.type]
        self._is_inside = not fragment.is_last
        self._protocol.feed(_frame(opcode, fragment.data, is_last=fragment.is_last))
        await self._protocol.may_feed.wait()

    async def receive(self) -> SocketMessage | Closed:
        try:
            while True:
                kind, data, reason = await self._protocol.receive()
                if kind in _SENT:
                    return SocketMessage(_SENT[kind], bytes(data))
                if kind is WSMsgType.CLOSE:
                    return Closed(data or NO_CODE, reason or "")
                if kind is WSMsgType.PING:
                    self._protocol.feed(_frame(_PONG, bytes(data)))
        except EofStream:
            raise BodyFailed(AbortReason.FAILED) from None

    async def closed(self, code: int, reason: str) -> None:
        self._is_over = True
        data = b"" if code == NO_CODE else struct.pack(">H", code) + reason.encode()
        self._protocol.feed(_frame(_CLOSE, data))

    async def lost(self, code: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        if code != NOT_CLOSED:
            self._protocol.feed(_frame(_CLOSE, struct.pack(">H", code)))
            with contextlib.suppress(TimeoutError, BodyFailed):
                async with asyncio.timeout(_END_S):
                    while not isinstance(await self.receive(), Closed):
                        """Nobody gets it."""
        self._protocol.feed_eof()


def _frame(opcode: int, data: bytes, *, is_last: bool = True) -> bytes:
    """A frame of RFC 6455 §5.2. It is not masked: nothing between the two ends reads it."""
    first = opcode | (_FIN if is_last else 0)
    if len(data) < 126:
        return struct.pack(">BB", first, len(data)) + data
    if len(data) < 65_536:
        return struct.pack(">BBH", first, 126, len(data)) + data
    return struct.pack(">BBQ", first, 127, len(data)) + data
