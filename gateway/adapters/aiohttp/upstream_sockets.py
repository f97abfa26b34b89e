"""WebSockets of the upstream, behind the reverse proxy."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

import aiohttp
from aiohttp import WSMsgType
from multidict import CIMultiDict
from yarl import URL

from gateway.errors import BodyTooLarge, UpstreamFailed
from gateway.pipeline.inner import FAILED, checked_response
from gateway.pipeline.pipe import BodyFailed
from gateway.pipeline.request_headers import is_field_value
from gateway.pipeline.socket_ends import AppSocket, SocketMessage
from protocol.common.messages import HttpResponse
from protocol.streams.bodies import AbortReason
from protocol.streams.records import RecordType
from protocol.streams.sockets import Closed, Fragment, SocketHead

from .inner import as_aiohttp_reads
from .private_api import handshake_headers
from .upstream import ProxiedRequest, Upstream

_log = logging.getLogger("certless")

# aiohttp refuses a message of this size or more. The upstream has a limit of its own.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024 + 1
_OWN = "sec-websocket-"
# The body of a refusal is not passed on.
_NOT_PASSED_ON = frozenset({"content-length", "content-encoding"})
_CLOSE_S = 10
_NORMAL, _GOING_AWAY = 1000, 1001
# Codes that no close frame can hold (RFC 6455 §7.4.1).
_NEVER_SENT = frozenset({1004, 1005, 1006, 1015})


async def open_upstream_socket(
    session: aiohttp.ClientSession,
    upstream: Upstream,
    request: ProxiedRequest,
    protocols: tuple[str, ...],
) -> HttpResponse | AppSocket:
    """Open a WebSocket at the upstream for ``request``, which offers ``protocols``.

    If the upstream refuses it, the response is that of the upstream without its body. Raises:
    ClientError, ConnectionError.
    """
    sent = CIMultiDict(
        [
            (name, as_aiohttp_reads(value))
            for name, value in upstream.request_headers(request)
            if not name.lower().startswith(_OWN)
        ]
    )
    url = upstream.url_for(request)
    try:
        socket = await session.ws_connect(
            url,
            protocols=protocols,
            headers=sent,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            max_msg_size=_MAX_MESSAGE_BYTES,
            # aiohttp's own answer to a close without a code would turn it into a broken end.
            autoclose=False,
        )
    except aiohttp.WSServerHandshakeError as error:
        answered = CIMultiDict(error.headers or {}).items()
        status = error.status if error.status >= 200 else 502
        return checked_response(status, _passed_on(upstream, request, answered), b"")
    try:
        headers = _passed_on(upstream, request, handshake_headers(socket).items())
        if checked_response(200, headers, b"") is FAILED:
            raise UpstreamFailed("the upstream sent headers that are too large")
        return _UpstreamSocket(SocketHead(tuple(headers), socket.protocol), socket, url)
    except BaseException:
        await socket.close(code=_GOING_AWAY)
        raise


def _passed_on(
    upstream: Upstream, request: ProxiedRequest, headers: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    kept = [
        (name, value.encode("utf-8", "surrogateescape").decode("latin-1"))
        for name, value in headers
        if not name.lower().startswith(_OWN) and name.lower() not in _NOT_PASSED_ON
    ]
    return upstream.response_headers(
        request, [(name, value) for name, value in kept if is_field_value(value)]
    )


class _UpstreamSocket:
    """The other end of the WebSocket of a client, at the upstream."""

    def __init__(self, head: SocketHead, socket: aiohttp.ClientWebSocketResponse, url: URL) -> None:
        self.head = head
        self._socket = socket
        self._url = url
        self._partial = bytearray()
        # The close that the client has sent, and whether the upstream has got it.
        self._left: Closed | None = None
        self._is_over = asyncio.Event()

    async def deliver(self, fragment: Fragment) -> None:
        if len(self._partial) + len(fragment.data) >= _MAX_MESSAGE_BYTES:
            raise BodyTooLarge(f"a message has less than {_MAX_MESSAGE_BYTES} bytes")
        self._partial += fragment.data
        if not fragment.is_last:
            return
        whole, self._partial = bytes(self._partial), bytearray()
        # What comes for an upstream that has ended is dropped.
        with contextlib.suppress(ConnectionError):
            if fragment.type is RecordType.TEXT:
                await self._socket.send_str(whole.decode())
            else:
                await self._socket.send_bytes(whole)

    async def receive(self) -> SocketMessage | Closed:
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            return SocketMessage(RecordType.TEXT, message.data.encode())
        if message.type is WSMsgType.BINARY:
            return SocketMessage(RecordType.BINARY, message.data)
        if message.type is WSMsgType.CLOSE:
            code = message.data or _NORMAL
            return Closed(_NORMAL if code in _NEVER_SENT else code, message.extra or "")
        if self._left is not None:
            await self._is_over.wait()
            return self._left
        # Not a close: the client must not take it for one.
        _log.warning("upstream %s: its WebSocket broke off", self._url.origin())
        raise BodyFailed(AbortReason.FAILED)

    async def closed(self, code: int, reason: str) -> None:
        await self._close(Closed(code, ""), _NORMAL if code in _NEVER_SENT else code, reason)

    async def lost(self, code: int) -> None:
        # The upstream learns that its client has gone.
        await self._close(Closed(code, ""), _GOING_AWAY if code in _NEVER_SENT else code, "")

    async def _close(self, left: Closed, code: int, reason: str) -> None:
        self._left = self._left or left
        try:
            await self._socket.close(code=code, message=reason.encode())
        finally:
            self._is_over.set()
