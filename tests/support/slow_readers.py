"""Clients of a public page that read only the beginning of the response."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

from aiohttp import web
from frameworks import serving

from gateway.adapters.aiohttp import reverse_proxy
from gateway.service.listener import listening

SIZE = 20_000_000
OPTIONS = {"any_address": True, "suites": ["ecdh-gcm"], "public": ["/*", "POST /*"]}


@contextlib.asynccontextmanager
async def slow_readers(tmp_path: Path, addresses: list[str]) -> AsyncIterator[str]:
    """A gateway with a client at each address that reads only the beginning of a response."""

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(SIZE))

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in count():
            await response.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(0.1)
        return response

    api = web.Application()
    api.router.add_get("/large", large)
    api.router.add_get("/events", events)
    async with serving(api) as upstream, contextlib.AsyncExitStack() as lines:
        trusted = {"trusted_proxies": ["127.0.0.1"], "mail": f"dir:{tmp_path}"}
        options = {**OPTIONS, **trusted, "upstream": upstream}
        async with listening(options, "127.0.0.1", 0) as service:
            host, port = service.addresses[0].split(":")
            for address in addresses:
                reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
                lines.callback(writer.close)
                lines.callback(writer.transport.abort)
                head = f"GET /large HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n\r\n"
                writer.write(head.encode())
                if len(addresses) <= reverse_proxy._PUBLIC_REQUESTS:
                    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            yield f"http://{host}:{port}/large"
