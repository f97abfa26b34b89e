"""WebSockets of a browser or program, sealed on their way to the site."""

import asyncio

from aiohttp import WSMessage, WSMsgType, hdrs, web

from certless.client import WebSocket

from .forward import Route, request_fields, response_cookies

# A larger message ends the socket (1009).
_MESSAGE_BYTES = 64 * 1024 * 1024
_GOING_AWAY = 1001
# 1005 says that a close had no code, and 1006 that there was none. They are never sent.
_NORMAL, _NO_CODE, _NOT_CLOSED = 1000, 1005, 1006


def is_socket(request: web.BaseRequest) -> bool:
    """Whether this is the handshake of a WebSocket."""
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


async def relay(request: web.BaseRequest, target: str, route: Route) -> web.StreamResponse:
    """Open the site's WebSocket, then the browser's, and pass on messages until either ends.

    Raises: LoginNeeded, ClientError, ValueError; nothing was sent to the browser then.
    """
    fields = request_fields(request, target, route)
    given = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    protocols = [name.strip() for name in given.split(",") if name.strip()]
    far = await route.session.open(
        lambda: route.session.client.ws(
            target, protocols=protocols, headers=fields, max_msg_size=_MESSAGE_BYTES
        ),
        is_repeatable=True,
    )
    try:
        near = web.WebSocketResponse(
            protocols=[far.protocol] if far.protocol else (),
            max_msg_size=_MESSAGE_BYTES,
            autoclose=False,
        )
        for line in response_cookies(far.headers, target, route):
            near.headers.add(hdrs.SET_COOKIE, line)
        await near.prepare(request)
        up = asyncio.create_task(_up(near, far))
        down = asyncio.create_task(_down(far, near))
        closed = await _first_end(up, down)
        if closed is not None:
            await near.close(code=_code(closed.data), message=(closed.extra or "").encode())
        elif not near.closed and request.transport is not None:
            # The site's socket was not closed, so the browser must not see a close.
            request.transport.abort()
        return near
    finally:
        await far.close(code=_GOING_AWAY)


async def _first_end(
    up: asyncio.Task[None], down: asyncio.Task[WSMessage | None]
) -> WSMessage | None:
    """Wait until either ends, and end both; the close of the site's socket, if it came first."""
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
    return None if down.cancelled() or down.exception() else down.result()


def _code(given: int | None) -> int:
    return _NORMAL if given is None or given == _NO_CODE else given


async def _up(near: web.WebSocketResponse, far: WebSocket) -> None:
    while True:
        message = await near.receive()
        match message.type:
            case WSMsgType.TEXT:
                await far.send_str(message.data)
            case WSMsgType.BINARY:
                await far.send_bytes(message.data)
            case WSMsgType.CLOSE:
                await far.close(code=_code(message.data), message=(message.extra or "").encode())
                if far.close_code != _NOT_CLOSED:
                    await near.close(code=_code(far.close_code))
                return
            case _:
                return


async def _down(far: WebSocket, near: web.WebSocketResponse) -> WSMessage | None:
    while True:
        message = await far.receive()
        match message.type:
            case WSMsgType.TEXT:
                await near.send_str(message.data)
            case WSMsgType.BINARY:
                await near.send_bytes(message.data)
            case WSMsgType.CLOSE:
                return message
            case _:
                return None
