"""The host, the scheme and the port: for the upstream, and in what comes back from it."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails
from multidict import CIMultiDict
from proxied import proxied
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import gateway
from certless.client import Client
from gateway.adapters.asgi.app import Certless

SHOP = {"Host": "shop.example:8080"}
BY_A_PROXY = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "X-Forwarded-Port": "8443",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=ftp",
}
EVERY = ["X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"]


async def got(url: str, headers: dict[str, str]) -> CIMultiDict[str]:
    """The headers that the upstream received for a public page."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        assert answer.status == 200
        return CIMultiDict((await answer.json())["headers"])


async def test_the_host_is_the_clients() -> None:
    async with proxied(public=["/open"]) as (front, client):
        seen = await got(f"{front}/open", SHOP)
        assert (seen["Host"], seen["X-Forwarded-Host"]) == ("shop.example:8080",) * 2
        assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-Port"]) == ("http", "8080")
        assert seen["Forwarded"] == 'for=127.0.0.1;host="shop.example:8080";proto=http'
        # In a message it is the one inside the seal.
        answer = await client.get("/", headers={"Host": "inside.example"})
        seen = CIMultiDict((await answer.json())["headers"])
        assert seen.getall("Host") == ["inside.example"]
        assert (seen["X-Forwarded-Host"], seen["X-Forwarded-Port"]) == ("inside.example", "80")


async def test_another_host_for_the_upstream() -> None:
    async with proxied(public=["/open"], upstream_host="Intranet.example") as (front, _):
        seen = await got(f"{front}/open", SHOP)
        assert (seen["Host"], seen["X-Forwarded-Host"]) == ("Intranet.example", SHOP["Host"])
    async with proxied(public=["/open"], upstream_host="upstream") as (front, _):
        seen = await got(f"{front}/open", SHOP)
        assert seen["Host"].startswith("127.0.0.1:")


@pytest.mark.parametrize("host", ["", "a b", "a,b", "http://shop.example", "shop.example/x"])
def test_the_host_for_the_upstream_is_one_host(host: str) -> None:
    with pytest.raises(gateway.ConfigError, match="must be a host like"):
        gateway.reverse_proxy(
            "http://127.0.0.1:9000",
            users=gateway.AnyAddress(),
            mail="console:",
            upstream_host=host,
        )


async def test_headers_of_the_page_arrive() -> None:
    sent = {
        "User-Agent": "Browser/1.0 (own)",
        "Accept-Language": "sv, en;q=0.5",
        "Referer": "http://shop.example/tea",
        "Origin": "http://shop.example",
    }
    async with proxied(public=["/open"]) as (front, client):
        for seen in (
            await got(f"{front}/open", sent),
            CIMultiDict((await (await client.get("/", headers=sent)).json())["headers"]),
        ):
            assert {name: seen[name] for name in sent} == sent


@pytest.mark.parametrize("trusted", [[], *([name] for name in EVERY), EVERY])
async def test_each_header_of_a_proxy_is_trusted_only_by_name(trusted: list[str]) -> None:
    options: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "trusted_headers": trusted}
    async with proxied(public=["/open"], **options) as (front, client):
        seen = await got(f"{front}/open", {**SHOP, **BY_A_PROXY})
        proto, host, port = (seen[name] for name in EVERY)
        assert proto == ("https" if EVERY[0] in trusted else "http")
        assert host == ("shop.example" if EVERY[1] in trusted else "shop.example:8080")
        usual = {"http": "80", "https": "443"}[proto] if EVERY[1] in trusted else "8080"
        assert port == ("8443" if EVERY[2] in trusted else usual)
        assert seen["Host"] == host
        assert seen["Forwarded"] == f'for=127.0.0.1;host="{host}";proto={proto}'
        # Inside a seal they are headers like any other, of a client.
        answer = await client.get("/", headers={**SHOP, **BY_A_PROXY})
        seen = CIMultiDict((await answer.json())["headers"])
        assert [seen[name] for name in EVERY] == ["http", "shop.example:8080", "8080"]


@pytest.mark.parametrize(
    "sent",
    [
        {"X-Forwarded-Proto": "https, http"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "shop.example, evil.example"},
        {"X-Forwarded-Host": "evil.example/"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Port": "65536"},
        {"X-Forwarded-Port": "8o"},
    ],
)
async def test_a_header_that_cannot_be_read_is_ignored(sent: dict[str, str]) -> None:
    options: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "trusted_headers": EVERY}
    async with proxied(public=["/open"], **options) as (front, _):
        seen = await got(f"{front}/open", {**SHOP, **sent})
        assert [seen[name] for name in EVERY] == ["http", "shop.example:8080", "8080"]


async def test_headers_of_a_stranger_are_not_trusted() -> None:
    options: dict[str, Any] = {"trusted_proxies": ["192.0.2.1"], "trusted_headers": EVERY}
    async with proxied(public=["/open"], **options) as (front, _):
        seen = await got(f"{front}/open", {**SHOP, **BY_A_PROXY})
        assert [seen[name] for name in EVERY] == ["http", "shop.example:8080", "8080"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"trusted_headers": EVERY}, "in trusted_proxies"),
        ({"trusted_proxies": ["127.0.0.1"], "trusted_headers": ["X-Real-IP"]}, "must be one of"),
        (
            {"trusted_proxies": ["127.0.0.1"], "trusted_headers": ["forwarded", *EVERY]},
            "Forwarded replaces the other headers",
        ),
        ({"trusted_proxies": ["127.0.0.1"], "trusted_headers": "X-Forwarded-Host"}, "a list"),
    ],
)
def test_wrong_settings(options: dict[str, Any], text: str) -> None:
    with pytest.raises(gateway.ConfigError, match=text):
        gateway.reverse_proxy(
            "http://127.0.0.1:9000", users=gateway.AnyAddress(), mail="console:", **options
        )


async def test_forwarded_is_trusted_only_by_name() -> None:
    by_a_proxy = {**BY_A_PROXY, "Forwarded": 'for=192.0.2.7;host="shop.example:8443";proto=https'}
    by_a_proxy["X-Forwarded-For"] = "203.0.113.9"
    for trusted in ([], ["Forwarded"], ["forwarded"]):
        options: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "trusted_headers": trusted}
        async with proxied(public=["/open"], **options) as (front, client):
            seen = await got(f"{front}/open", {**SHOP, **by_a_proxy})
            told = [seen[name] for name in (*EVERY, "X-Forwarded-For", "Forwarded")]
            if trusted:
                assert told[:4] == ["https", "shop.example:8443", "8443", "192.0.2.7"]
                assert told[4] == 'for=192.0.2.7;host="shop.example:8443";proto=https'
            else:
                assert told[:4] == ["http", "shop.example:8080", "8080", "203.0.113.9"]
            # Inside a seal it is a header of a client.
            answer = await client.get("/", headers={**SHOP, **by_a_proxy})
            seen = CIMultiDict((await answer.json())["headers"])
            assert [seen[name] for name in EVERY] == ["http", "shop.example:8080", "8080"]


@pytest.mark.parametrize("framework", ["aiohttp", "starlette"])
@pytest.mark.parametrize("trusted", [EVERY, ["Forwarded"]])
async def test_an_application_of_its_own_sees_the_same(framework: str, trusted: list[str]) -> None:
    by_a_proxy = {**BY_A_PROXY}
    if trusted == ["Forwarded"]:
        by_a_proxy = {"Forwarded": "for=192.0.2.7;host=shop.example;proto=https"}
        by_a_proxy |= {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
    mails = CaughtMails()
    options: dict[str, Any] = {
        "users": gateway.AnyAddress(),
        "mail": mails,
        "public": ["/open"],
        "trusted_proxies": ["127.0.0.1"],
        "trusted_headers": trusted,
    }
    app: Any
    if framework == "aiohttp":

        async def show(request: web.Request) -> web.Response:
            return web.json_response([request.scheme, request.host])

        app = web.Application()
        app.router.add_get("/open", show)
        app.router.add_get("/", show)
        gateway.setup(app, **options)
    else:

        async def show_url(request: Request) -> Response:
            return JSONResponse([request.url.scheme, request.url.netloc])

        routes = [Route("/open", show_url), Route("/", show_url)]
        app = Certless(Starlette(routes=routes), **options)
    async with serving(app) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/open", headers=by_a_proxy) as answer:
            assert await answer.json() == ["https", "shop.example"]
        async with Client(url) as client:
            await client.login("ann@example.org", code=mails.code)
            inside = await client.get("/", headers={"Host": "inside.example"})
            assert await inside.json() == ["http", "inside.example"]


# --- what comes back ---


def answering(headers: list[tuple[str, str]]) -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


UP, LOCAL = "http://127.0.0.1:{port}", "http://localhost:{port}"
MAPPED = [
    # base path, Host for the upstream, Location, what the client receives
    ("", None, UP + "/login?next=/#x", "/login?next=/#x"),
    ("", None, LOCAL + "/login", "/login"),
    ("", None, UP, "/"),
    ("", None, UP + "?a", "/?a"),
    ("", None, "//127.0.0.1:{port}/a", "/a"),
    ("", None, "HTTP://127.0.0.1:{port}/a", "/a"),
    ("", None, "/login", "/login"),
    ("", None, "login", "login"),
    ("", None, "../", "../"),
    ("", None, "http://elsewhere.example/", "http://elsewhere.example/"),
    ("", None, "//elsewhere.example/", "//elsewhere.example/"),
    ("", None, "https://127.0.0.1:{port}/", "https://127.0.0.1:{port}/"),
    ("", None, "http://127.0.0.1/", "http://127.0.0.1/"),
    ("", None, "http://127.0.0.1:{port}@evil.example/", "http://127.0.0.1:{port}@evil.example/"),
    # A path that begins with two slashes would be another host.
    ("", None, UP + "//evil.example/", "http://shop.example//evil.example/"),
    ("", None, UP + "/\\evil.example/", "http://shop.example/\\evil.example/"),
    ("/api", None, UP + "/api/login", "/login"),
    ("/api", None, "/api/login", "/login"),
    ("/api", None, "/api", "/"),
    ("/api", None, "/api?x", "/?x"),
    ("/api", None, "/apis", "/apis"),
    ("/api", None, UP + "/other", UP + "/other"),
    ("", "intranet.example", "http://intranet.example/a", "/a"),
    ("", "intranet.example", "http://Intranet.example/a", "/a"),
    # Else a site that sends its visitors to https would send them in a circle.
    ("", "intranet.example", "https://intranet.example/a", "https://intranet.example/a"),
]


@pytest.mark.parametrize(("base", "host", "sent", "mapped"), MAPPED)
async def test_references_to_the_upstream_are_mapped_back(
    base: str, host: str | None, sent: str, mapped: str
) -> None:
    headers: list[tuple[str, str]] = []
    async with serving(answering(headers)) as up:
        port = up.rpartition(":")[2]
        sent, mapped = sent.replace("{port}", port), mapped.replace("{port}", port)
        headers += [("Location", sent), ("Content-Location", sent), ("X-Own", sent)]
        headers.append(("Refresh", f"0; url={sent}"))
        async with proxied(up, base, public=["/open"], upstream_host=host) as (front, client):
            page = await client.get("/", headers={"Host": "shop.example"})
            assert [page.headers[name] for name in ("Location", "Content-Location")] == [mapped] * 2
            assert (page.headers["Refresh"], page.headers["X-Own"]) == (f"0; url={mapped}", sent)
            shop = {"Host": "shop.example"}
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{front}/open", headers=shop, allow_redirects=False) as public,
            ):
                assert public.headers["Location"] == mapped


COOKIES = [
    ("", None, "a=1; Path=/; HttpOnly", "a=1; Path=/; HttpOnly"),
    ("", None, "a=1; Domain=127.0.0.1; Path=/x", "a=1; Path=/x"),
    ("", None, "a=1;domain=.LocalHost;Secure", "a=1;Secure"),
    ("", None, "a=1; Domain=shop.example", "a=1; Domain=shop.example"),
    ("", None, "a=1; Domain=example", "a=1; Domain=example"),
    ("", "intranet.example:80", "a=1; Domain=intranet.example", "a=1"),
    ("/api", None, "a=1; Path=/api/x; Secure", "a=1; Path=/x; Secure"),
    ("/api", None, "a=1; Path=/api", "a=1; Path=/"),
    ("/api", None, "a=1; Path=/", "a=1; Path=/"),
]


@pytest.mark.parametrize(("base", "host", "sent", "mapped"), COOKIES)
async def test_cookies_of_the_upstream_are_cookies_of_the_site(
    base: str, host: str | None, sent: str, mapped: str
) -> None:
    async with serving(answering([("Set-Cookie", sent), ("Set-Cookie", "b=2")])) as up:
        async with proxied(up, base, upstream_host=host) as (_, client):
            page = await client.get("/", headers={"Host": "shop.example"})
            assert page.headers.getall("Set-Cookie") == [mapped, "b=2"]
