"""The server of ``connect``: browsers that leave."""

import asyncio

import pytest
from aiohttp import web

from certless.connect.listener import listen_on
from certless.connect.serving import serving

pytestmark = pytest.mark.timeout(30)


async def test_a_browser_that_has_just_left_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            # The connection is closing, but the handler is not cancelled yet.
            response = web.StreamResponse()
            await response.prepare(request)
        except ConnectionError:
            ended.set()
            raise
        return response

    opened = listen_on("127.0.0.1", 0)
    async with serving(answer, [opened]), asyncio.timeout(20):
        _, writer = await asyncio.open_connection(*opened.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.close()
        await ended.wait()
    assert caplog.records == []


async def test_another_broken_connection_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        raise ConnectionError

    opened = listen_on("127.0.0.1", 0)
    async with serving(answer, [opened]), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(*opened.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
        writer.close()
    assert len(caplog.records) == 1
