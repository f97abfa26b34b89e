"""Attacks on ``connect``: by other sites, by other users of the machine, and by the network."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from connected import a_browser, a_site, connect_to, connected
from frameworks import serving
from yarl import URL

from certless.connect.errors import CannotStart
from certless.connect.mapped import mapped_mode

pytestmark = pytest.mark.timeout(60)


async def test_the_first_visitor_without_the_door_gets_nothing(tmp_path: Path) -> None:
    async with a_site() as site:
        async with connect_to(site, tmp_path):
            pass
        # The ticket is stored, so connect has a session before anybody comes.
        async with connect_to(site, tmp_path, is_logged_in=False) as at:
            assert at.mapped.session.is_open
            for path in ("/", "/orders", "/?door=guess", "/.gateway/connect/login"):
                assert (await at.get(path)).status == 403
            assert (await at.post("/.gateway/connect/logout")).status == 403
            assert site.seen.requests == []
            await at.enter()
            assert (await at.get("/orders")).status == 200
            async with a_browser() as other:
                second = await other.get(at.mapped.door_url)
                assert second.status == 403


async def test_a_name_that_was_bound_to_loopback_is_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        for host in ("evil.example", at.own.removeprefix("http://").rpartition(":")[0]):
            answer = await at.get("/orders", Host=host)
            assert answer.status == 421
        assert at.seen.requests == []


async def test_posts_of_other_sites_are_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        for origin in ("http://evil.example", "null", at.site):
            assert (await at.post("/headers", b"x", Origin=origin)).status == 403
        assert (await at.browser.post(f"{at.own}/headers")).status == 403
        assert at.seen.requests == []


async def test_links_of_other_sites_are_asked_about(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        asked = await at.get('/orders?a="><script>', **navigation)
        text = await asked.text()
        assert asked.status == 403
        assert "Continue to" in text
        assert "<script>" not in text
        assert "frame-ancestors 'none'" in asked.headers["Content-Security-Policy"]
        assert at.seen.requests == []


async def test_the_page_between_leads_to_our_own_address(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        asked = await at.get("//evil.example/", **navigation)
        assert f'href="{at.own}//evil.example/"' in await asked.text()
        # The other page keeps no handle of the window that it has opened.
        assert asked.headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_out_of_the_seal_is_shown_and_not_followed(
    status: int, tmp_path: Path
) -> None:
    """Firefox sends a form again to such an address, whatever ``form-action`` says."""
    async with connected(tmp_path) as at:
        for to in (
            "http://evil.example/<x>",
            "HTTP:evil.example",
            "//evil.example/",
            "\\\\evil.example/",
            "/\t/evil.example/",
            f"{at.own}@evil.example/",
        ):
            target = str(URL("/away").with_query(status=str(status), to=to))
            shown = await at.post(target, {"password": "secret"})
            assert (shown.status, "Location" in shown.headers) == (403, False), to
            text = await shown.text()
            assert "is encrypted" in text
            assert "<x>" not in text
            assert shown.headers["Set-Cookie"].startswith("seen=away")
        for to in ("https://pay.example/", "/orders", "orders", f"{at.site}/orders"):
            target = str(URL("/away").with_query(status=str(status), to=to))
            moved = await at.post(target, {"a": "b"})
            expected = to.replace(at.site, at.own)
            assert (moved.status, moved.headers["Location"]) == (status, expected)


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_a_port_that_another_user_has_is_an_error(
    family: socket.AddressFamily, address: str, tmp_path: Path
) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as taken:
        taken.bind((address, 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = URL("http://shop.example")
        with pytest.raises(CannotStart, match=f"{address} port {port}"):
            async with mapped_mode(site, "ecdh-gcm", "certless", "/.gateway", port, tmp_path):
                pass


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_nobody_can_take_our_port(
    family: socket.AddressFamily, address: str, tmp_path: Path
) -> None:
    async with connected(tmp_path, is_logged_in=False) as at:
        port = URL(at.own).port
        with socket.socket(family, socket.SOCK_STREAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((address, port))


async def test_cookies_of_another_port_change_nothing(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        await at.post("/login", {"name": "ann"})
        # As a server on another port of the same name sets them.
        host = URL(at.own).with_path("/")
        [door] = [c.key for c in at.browser.cookie_jar if c.key.startswith("certless-door")]
        at.browser.cookie_jar.update_cookies({"sid": "of-eve"}, host)
        assert (await (await at.get("/orders")).json())["sid"] == "of-ann"
        at.browser.cookie_jar.update_cookies({door: "guess"}, host)
        assert (await at.get("/orders")).status == 403


@pytest.mark.parametrize("target", ["//evil.example/", "/a#b", "http://evil.example/"])
async def test_a_target_that_is_no_path_is_refused(target: str, tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        assert await raw_status(at.own, at.browser, target) == 400
        assert at.seen.requests == []


async def test_no_tunnel_opens_in_mapped_mode(tmp_path: Path) -> None:
    async with connected(tmp_path) as at, asyncio.timeout(20):
        authority = URL(at.own).authority
        for name in (authority, "evil.example:80"):
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(at.own).port)
            head = f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n"
            after = f"GET /orders HTTP/1.1\r\nHost: {authority}\r\n\r\n"
            writer.write((head + after).encode())
            answer = await reader.read()
            writer.close()
            assert answer.split()[1] == b"421"
            assert answer.count(b"HTTP/1.") == 1
        assert at.seen.requests == []


async def test_a_cookie_without_a_name_opens_no_door(tmp_path: Path) -> None:
    """Browsers send the cookie ``=a=b`` of a script as ``a=b``."""
    async with connected(tmp_path) as at:
        cookies = at.browser.cookie_jar.filter_cookies(URL(at.own)).values()
        [door] = [one for one in cookies if one.key.startswith("certless-door")]
        guess, right = f"{door.key}=guess", f"{door.key}={door.value}"
        async with a_browser() as other:
            for sent, status in ((guess, 403), (f"{guess}; {right}", 200)):
                answer = await other.get(f"{at.own}/orders", headers={"Cookie": sent})
                assert answer.status == status
        assert "certless-door" not in str(at.seen.requests)


async def raw_status(own: str, browser: aiohttp.ClientSession, target: str) -> int:
    """The status for a target that no client would send."""
    at = URL(own)
    cookies = browser.cookie_jar.filter_cookies(at).values()
    cookie = "; ".join(f"{one.key}={one.value}" for one in cookies)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {at.authority}\r\nCookie: {cookie}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        line = await reader.readline()
        writer.close()
    return int(line.split()[1])


# --- a network that lies ---


@dataclass
class Wire:
    """Between connect and the gateway: passes messages on, or changes them."""

    gateway: str
    lie: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.lie == "plain":
            return web.Response(text="<script>evil()</script>", content_type="text/html")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(
                request.method,
                self.gateway + request.raw_path,
                data=await request.read(),
                headers={"Content-Type": request.content_type},
            ) as answer,
        ):
            body = bytearray(await answer.read())
            if self.lie == "changed":
                body[-1] ^= 1
            elif self.lie == "cut":
                del body[len(body) // 2 :]
            elif self.lie == "refused":
                return web.json_response({"error": "rejected", "message": "x"}, status=403)
            return web.Response(body=bytes(body), content_type=answer.content_type)


@asynccontextmanager
async def on_the_wire(gateway: str) -> AsyncIterator[tuple[Wire, str]]:
    wire = Wire(gateway)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", wire.handle)
    async with serving(app) as url:
        yield wire, url


@pytest.mark.parametrize("lie", ["plain", "changed", "cut"])
async def test_a_gateway_that_lies_gets_no_page_through(lie: str, tmp_path: Path) -> None:
    async with (
        a_site() as site,
        on_the_wire(site.url) as (wire, url),
        connect_to(site, tmp_path, url=url) as at,
    ):
        assert (await at.get("/orders")).status == 200
        wire.lie = lie
        answer = await at.get("/orders")
        assert answer.status in (502, 504)
        assert "evil" not in await answer.text()
        wire.lie = ""
        assert (await at.get("/orders")).status == 200


async def test_a_page_that_was_cut_off_is_not_whole(tmp_path: Path) -> None:
    async with (
        a_site() as site,
        on_the_wire(site.url) as (wire, url),
        connect_to(site, tmp_path, url=url) as at,
    ):
        wire.lie = "cut"
        answer = await at.get("/down?size=1000000")
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_false_refusal_sends_no_post_twice(tmp_path: Path) -> None:
    async with (
        a_site() as site,
        on_the_wire(site.url) as (wire, url),
        connect_to(site, tmp_path, url=url) as at,
    ):
        wire.lie = "refused"
        assert (await at.post("/logout")).status == 401
        assert len(at.seen.requests) == 1
