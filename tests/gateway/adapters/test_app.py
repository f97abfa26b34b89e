"""Certless in an aiohttp application: what it still sees of the gateway's own routes."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails

import gateway
from certless.client import Client


@pytest.mark.parametrize("mounted", [False, True])
async def test_signals_of_all_applications_run_for_replies_of_the_gateway(mounted: bool) -> None:
    seen: list[tuple[str, str]] = []
    mails = CaughtMails()

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text="echo")

    def signal(name: str) -> object:
        async def mark(request: web.Request, response: web.StreamResponse) -> None:
            seen.append((name, request.path))
            response.headers[f"X-{name}"] = "yes"

        return mark

    prefix = "/shop" if mounted else ""
    below, app = web.Application(), web.Application()
    below.router.add_get("/echo", echo)
    gateway.setup(below, users=gateway.AnyAddress(), mail=mails, prefix=f"{prefix}/.gateway")
    if mounted:
        app.add_subapp(prefix, below)
    outermost = app if mounted else below
    outermost.on_response_prepare.append(signal("Outermost"))  # type: ignore[arg-type]
    async with serving(outermost) as url, Client(url, prefix=f"{prefix}/.gateway") as client:
        await client.login("ann@example.org", code=mails.code)
        seen.clear()
        response = await client.get(f"{prefix}/echo")
        assert await response.text() == "echo"
    # The application around the one with Certless sees sealed messages only.
    inside = [] if mounted else [f"{prefix}/echo"]
    assert sorted(path for _, path in seen) == [f"{prefix}/.gateway/message", *inside]
    assert ("X-Outermost" in response.headers) == (not mounted)


async def test_an_expectation_at_a_route_of_the_gateway_is_answered() -> None:
    app = web.Application()
    gateway.setup(app, users=gateway.AnyAddress(), mail="console:")
    async with serving(app) as url, asyncio.timeout(20), aiohttp.ClientSession() as http:
        headers = {"Content-Type": "application/json"}
        path = "/.gateway/session/hello"
        async with http.post(url + path, data=b"{}", headers=headers, expect100=True) as response:
            assert response.status == 400
