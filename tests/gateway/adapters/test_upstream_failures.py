"""Failures of an upstream: their cause is in the answer and in the log.

A client that leaves is no such failure.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving
from hostile_servers import Hostile, hostile
from mailboxes import eventually
from proxied import proxied
from streaming import streaming_in

from certless.client import ClientError
from gateway.adapters.aiohttp.reverse_proxy import Proxy

LARGEST = 64 * 1024


async def closes(_: Hostile, __: asyncio.StreamWriter) -> None:
    """Closes the connection without a response."""


async def stays_silent(_: Hostile, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def sends(*parts: bytes) -> object:
    async def answer(server: Hostile, writer: asyncio.StreamWriter) -> None:
        await server.send(writer, iter(parts))

    return answer


def header_of(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nX-Own: " + b"x" * size + b"\r\nContent-Length: 0\r\n\r\n"


FAILURES = [
    (closes, 502, "closed the connection without a response"),
    (stays_silent, 504, "did not answer in time"),
    (sends(b"hello\r\n\r\n"), 502, "sent a response that is not valid HTTP"),
    (sends(header_of(LARGEST + 1)), 502, "sent headers that are too large"),
    (
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        502,
        "closed the connection before the end of its response",
    ),
]


@pytest.mark.parametrize(("answer", "status", "cause"), FAILURES)
async def test_the_cause(
    answer: object, status: int, cause: str, monkeypatch: pytest.MonkeyPatch, caplog: object
) -> None:
    assert isinstance(caplog, pytest.LogCaptureFixture)
    monkeypatch.setattr("gateway.adapters.aiohttp.setup.Proxy", partial(Proxy, timeout_s=1))
    async with hostile(answer) as upstream:  # type: ignore[arg-type]
        async with proxied(upstream.url) as (_, client):
            page = await client.get("/")
            assert (page.status, await page.text()) == (status, f"{status}: the upstream {cause}\n")
    assert f"the upstream {cause}: {upstream.url}" in caplog.messages


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:1", "refused the connection"),
        ("http://nowhere.invalid:9000", "cannot be found: its name has no address"),
    ],
)
async def test_an_upstream_that_is_not_there(url: str, cause: str) -> None:
    async with proxied(url, public=["/open"]) as (front, client):
        page = await client.get("/")
        assert (page.status, await page.text()) == (502, f"502: the upstream {cause}\n")
        async with aiohttp.ClientSession() as http, http.get(f"{front}/open") as public:
            assert (public.status, await public.text()) == (502, f"502: the upstream {cause}\n")


async def test_an_upstream_that_does_not_speak_tls() -> None:
    async with hostile(sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False) as upstream:  # type: ignore[arg-type]
        async with proxied(upstream.url.replace("http", "https")) as (_, client):
            page = await client.get("/")
            assert "does not speak TLS as expected" in await page.text()


async def test_long_headers_pass() -> None:
    async with hostile(sends(header_of(LARGEST - 100))) as upstream:  # type: ignore[arg-type]
        async with proxied(upstream.url) as (_, client):
            page = await client.get("/")
            assert (page.status, len(page.headers["X-Own"])) == (200, LARGEST - 100)


async def test_a_client_that_leaves_is_no_failure_of_the_upstream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        try:
            while True:
                await response.write(bytes(65536))
        finally:
            ended.set()

    app = web.Application()
    app.router.add_get("/open", endless)
    async with serving(app) as url, proxied(url, public=["/open"]) as (front, _):
        async with aiohttp.ClientSession() as http, asyncio.timeout(20):
            async with http.get(f"{front}/open") as answer:
                await answer.content.readany()
                await begun.wait()
            await ended.wait()
    assert [text for text in caplog.messages if "upstream" in text] == []


async def test_an_upload_that_breaks_off_is_no_failure_of_the_upstream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with streaming_in("proxy") as at, asyncio.timeout(30):

        async def half() -> AsyncIterator[bytes]:
            yield bytes(100_000)
            await at.seen.begun.wait()
            raise ValueError("the disk is gone")

        with pytest.raises(ClientError, match="the disk is gone"):
            async with at.client.stream("PUT", "/up", data=half()):
                pass
        await eventually(at.seen.ended.is_set)
    assert [text for text in caplog.messages if "upstream" in text] == []
