"""An aiohttp application with a WebSocket and a clock."""

import asyncio

from aiohttp import web


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send back each message."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is web.WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is web.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def clock(request: web.Request) -> web.StreamResponse:
    """Server-Sent Events: a tick each 50 ms."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    tick = 0
    while True:
        await answer.write(f"id: {tick}\ndata: tick {tick}\n\n".encode())
        tick += 1
        await asyncio.sleep(0.05)


async def page(_: web.Request) -> web.Response:
    """An empty page for scripts."""
    return web.Response(text="<!doctype html><title>echo</title>", content_type="text/html")


def application(_: list[str]) -> web.Application:
    """For ``python -m aiohttp.web``."""
    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/echo", echo), web.get("/clock", clock)])
    return app
