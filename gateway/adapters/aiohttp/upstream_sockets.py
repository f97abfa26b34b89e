"""WebSockets of the upstream, behind the reverse proxy."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import aiohttp
from aiohttp import WSMsgType, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.pipeline.request_headers import is_field_value

from .private_api import handshake_headers

_log = logging.getLogger("certless")

# aiohttp refuses a message of this size or more. The upstream has a limit of its own.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024 + 1
_OWN = "sec-websocket-"
# The body of a refusal is not passed on.
_NOT_PASSED_ON = frozenset({"content-length", "content-encoding"})
_CLOSE_S = 10
_ABNORMAL = 1006
# Codes that no close frame can hold (RFC 6455 §7.4.1).
_NEVER_SENT = frozenset({1004, 1005, 1006, 1015})


async def forward_socket(
    session: aiohttp.ClientSession,
    url: URL,
    request: web.Request,
    headers: Mapping[str, str],
    mapped: Callable[[CIMultiDictProxy[str]], Iterable[tuple[str, str]]],
    timeout_s: float,
) -> web.StreamResponse:
    """Open a WebSocket at ``url`` for that of ``request``, and carry messages both ways.

    ``mapped`` returns the headers of the upstream's response for the client.

    If the upstream refuses it, the response is that of the upstream without its body. Raises:
    ClientError, ConnectionError, TimeoutError.
    """
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    protocols = [name for part in offered.split(",") if (name := part.strip())]
    sent = CIMultiDict(
        (name, value) for name, value in headers.items() if not name.lower().startswith(_OWN)
    )
    try:
        async with asyncio.timeout(timeout_s):
            upstream = await session.ws_connect(
                url,
                protocols=protocols,
                headers=sent,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                max_msg_size=_MAX_MESSAGE_BYTES,
                # aiohttp's own answer to a close without a code would turn it into a broken end.
                autoclose=False,
            )
    except aiohttp.WSServerHandshakeError as error:
        response = web.Response(status=error.status if error.status >= 200 else 502)
        answered = CIMultiDictProxy(CIMultiDict(error.headers or {}))
        response.headers.extend(_passed_on(mapped(answered)))
        return response
    async with upstream:
        chosen = [upstream.protocol] if upstream.protocol else []
        client = web.WebSocketResponse(protocols=chosen, max_msg_size=_MAX_MESSAGE_BYTES)
        client.headers.extend(_passed_on(mapped(handshake_headers(upstream))))
        await client.prepare(request)
        ways = {
            asyncio.create_task(_carry(client, upstream)),
            asyncio.create_task(_carry(upstream, client)),
        }
        try:
            # Each way ends with a close, and so ends the other.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(ways, timeout=_CLOSE_S)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        if upstream.close_code == _ABNORMAL and client.close_code is None:
            # Not a close: the client must not take it for one.
            _log.warning("upstream %s: its WebSocket broke off", url.origin())
            if request.transport is not None:
                request.transport.abort()
        return client


def _passed_on(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        known = name.lower()
        is_ours = known.startswith(_OWN) or known in _NOT_PASSED_ON
        if not is_ours and is_field_value(value):
            yield name, value


async def _carry(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    """Carry messages until the source ends, and its close."""
    while True:
        message = await source.receive()
        if message.type is WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await target.send_bytes(message.data)
        else:
            break
    code = (message.data if message.type is WSMsgType.CLOSE else source.close_code) or 1000
    if code == _ABNORMAL:
        if isinstance(target, aiohttp.ClientWebSocketResponse):
            # The upstream learns that its client has gone.
            await target.close(code=1001)
        return
    reason = message.extra if message.type is WSMsgType.CLOSE else ""
    code = 1000 if code in _NEVER_SENT else code
    await target.close(code=code, message=(reason or "").encode())
