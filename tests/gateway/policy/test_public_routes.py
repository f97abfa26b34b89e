"""Public routes are public for their methods only, in every adapter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from frameworks import METHODS, serving
from gateways import CaughtMails
from proxied import upstream_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import gateway
from gateway.adapters.asgi.app import Certless
from gateway.policy.routes import PublicRoutes, RoutePolicy

PUBLIC = ["/page", "GET /index.php", "POST /contact", "OPTIONS /contact", "DELETE /x/*"]
# The methods that reach the handler without a login.
OPEN = {
    "/page": {"GET", "HEAD"},
    "/index.php": {"GET", "HEAD"},
    "/contact": {"POST", "OPTIONS"},
    "/x/1": {"DELETE"},
    "/other": set[str](),
}


def test_methods() -> None:
    routes = PublicRoutes(PUBLIC)
    for path, methods in OPEN.items():
        assert {method for method in METHODS if routes.match(method, path)} == methods
    assert not routes.match("get", "/page")
    assert not routes.match("", "/page")
    assert not PublicRoutes([]).match("GET", "/")


@pytest.mark.parametrize(
    "text", ["", "GET", "GET ", "get /x", "/x GET", "GET,POST /x", "GET x", "G T /"]
)
def test_a_route_that_cannot_be_read(text: str) -> None:
    with pytest.raises(gateway.ConfigError, match=r"route( pattern)? '"):
        PublicRoutes([text])


def test_a_demand_for_a_suite_goes_before() -> None:
    policy = RoutePolicy("/.gateway", ["POST /admin/login", "/*"], {"/admin/*": "ecdh-gcm"})
    assert policy.is_public("GET", "/page")
    assert not policy.is_public("POST", "/page")
    for method in METHODS:
        assert not policy.is_public(method, "/admin/login")
        assert not policy.is_public(method, "/.gateway/message")


@asynccontextmanager
async def served(kind: str) -> AsyncIterator[str]:
    options: dict[str, Any] = {
        "users": gateway.AnyAddress(),
        "mail": CaughtMails(),
        "public": PUBLIC,
        "suites": ["ecdh-gcm"],
    }
    if kind == "proxy":
        async with serving(upstream_app()) as url:
            async with serving(gateway.reverse_proxy(url, **options)) as front:
                yield front
        return
    app: Any
    if kind == "aiohttp":

        async def handle(_: web.Request) -> web.Response:
            return web.Response(text="reached")

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        gateway.setup(app, **options)
    else:

        async def handle_in_starlette(_: Request) -> Response:
            return PlainTextResponse("reached")

        routes = [Route("/{path:path}", handle_in_starlette, methods=METHODS)]
        app = Certless(Starlette(routes=routes), **options)
    async with serving(app) as url:
        yield url


@pytest.mark.parametrize("kind", ["aiohttp", "starlette", "proxy"])
async def test_only_these_methods_reach_a_handler(kind: str) -> None:
    async with served(kind) as url, aiohttp.ClientSession() as http:
        for path, methods in OPEN.items():
            reached = set()
            for method in METHODS:
                async with http.request(method, url + path) as answer:
                    assert answer.status in (200, 401)
                    if answer.status == 200:
                        reached.add(method)
            assert reached == methods, path
