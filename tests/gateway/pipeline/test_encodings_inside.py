"""Compressed answers inside a seal: for clients that take streams, and not for other sites."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails, messages_of
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import gateway
from certless.client import Client
from gateway.adapters.asgi.app import Certless
from protocol.common.messages import HttpRequest

TEXT = b"tea " * 1000
PACKED = gzip.compress(TEXT)
OFFER = ("Certless-Stream", "65536")
ASKED = ("Accept-Encoding", "gzip, br")
HOST = ("Host", "shop.example")
each_kind = pytest.mark.parametrize("kind", ["aiohttp", "starlette", "proxy"])


def packs(accepted: str, path: str) -> bool:
    return "gzip" in accepted or path == "/unasked"


def aiohttp_app() -> web.Application:
    async def page(request: web.Request) -> web.Response:
        accepted = request.headers.get("Accept-Encoding", "")
        body, headers = TEXT, {"X-Accepted": accepted}
        if packs(accepted, request.path):
            body, headers["Content-Encoding"] = PACKED, "gzip"
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    return app


def starlette_app() -> Starlette:
    async def page(request: Request) -> Response:
        accepted = request.headers.get("Accept-Encoding", "")
        body, headers = TEXT, {"X-Accepted": accepted}
        if packs(accepted, request.url.path):
            body, headers["Content-Encoding"] = PACKED, "gzip"
        return Response(body, headers=headers)

    return Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])])


@asynccontextmanager
async def logged_in(kind: str) -> AsyncIterator[Client]:
    mails = CaughtMails()
    options: dict[str, Any] = {"users": gateway.AnyAddress(), "mail": mails}
    async with serving(aiohttp_app()) as upstream:
        app: Any
        if kind == "starlette":
            app = Certless(starlette_app(), **options)
        elif kind == "aiohttp":
            app = aiohttp_app()
            gateway.setup(app, **options)
        else:
            app = gateway.reverse_proxy(upstream, **options)
        async with serving(app) as url, Client(url) as client:
            await client.login("ann@example.org", code=mails.code)
            yield client


async def accepted(client: Client, *headers: tuple[str, str]) -> tuple[str, str]:
    """The Accept-Encoding that the application received, and the Content-Encoding of its answer."""
    inside = HttpRequest("GET", "/page", (HOST, *headers), b"")
    response = await messages_of(client).send(inside)
    found = {name.lower(): value for name, value in response.headers}
    coding = found.get("content-encoding", "")
    assert response.body == (PACKED if coding else TEXT)
    return found["x-accepted"], coding


@each_kind
async def test_a_client_that_takes_streams_is_asked(kind: str) -> None:
    async with logged_in(kind) as client:
        assert await accepted(client, OFFER, ASKED) == ("gzip, br", "gzip")
        assert await accepted(client, OFFER) == ("", "")
        # A former client would take the packed bytes for the answer.
        assert await accepted(client, ASKED) == ("", "")


OWN = [
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Site", "none"),
    ("Origin", "http://shop.example"),
    ("Origin", "https://SHOP.example"),
    ("Referer", "http://shop.example/tea?x=//evil.example/"),
]
OTHER = [
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Site", "same-site"),
    ("Sec-Fetch-Site", ""),
    ("Origin", "http://evil.example"),
    ("Origin", "null"),
    ("Referer", "http://evil.example/shop.example"),
    ("Referer", "http://shop.example.evil.example/"),
]


@pytest.mark.parametrize("header", OWN)
async def test_pages_of_the_site_itself(header: tuple[str, str]) -> None:
    async with logged_in("proxy") as client:
        assert await accepted(client, OFFER, ASKED, header) == ("gzip, br", "gzip")


@each_kind
async def test_other_sites_get_answers_uncompressed(kind: str) -> None:
    async with logged_in(kind) as client:
        for header in OTHER:
            assert await accepted(client, OFFER, ASKED, header) == ("", ""), header


@each_kind
async def test_an_answer_that_is_compressed_unasked_says_so(kind: str) -> None:
    async with logged_in(kind) as client:
        for headers in ((HOST,), (HOST, OFFER)):
            response = await messages_of(client).send(HttpRequest("GET", "/unasked", headers, b""))
            assert ("content-encoding", "gzip") in [
                (name.lower(), value) for name, value in response.headers
            ]
            assert response.body == PACKED
