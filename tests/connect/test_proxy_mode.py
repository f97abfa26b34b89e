"""Proxy mode: a forward proxy for named sites only."""

from pathlib import Path

import aiohttp
import pytest
from connected import PAGE
from mailboxes import a_free_port
from named_proxies import credential, proxied, raw
from yarl import URL

from certless.connect.errors import CannotStart
from certless.connect.listener import listen_on

pytestmark = pytest.mark.timeout(60)


async def test_a_person_logs_in_and_addresses_stay(tmp_path: Path) -> None:
    async with proxied(tmp_path, is_logged_in=False) as at:
        page = await at.get(f"{at.site.url}/orders?x=%2f", **PAGE)
        assert page.status == 401
        assert 'value="/orders?x=%2f"' in await page.text()
        program = await at.get(f"{at.site.url}/orders")
        assert program.content_type == "text/plain"
        await at.log_in()
        index = await at.get(at.site.url)
        assert f"<a href='{at.site.url}/orders'>" in await index.text()
        policy = index.headers["Content-Security-Policy"]
        assert "default-src 'self' http://nas.lan:5000 https:" in policy


async def test_cookies_stay_with_the_browser(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        moved = await at.post("/login", {"name": "ann"}, at.site.url)
        lines = moved.headers.getall("Set-Cookie")
        assert [line.split(";")[0] for line in lines] == ["sid=of-ann", "theme=dark"]
        assert "HttpOnly" in lines[0]
        answer = await at.get(f"{at.site.url}/orders", Cookie="sid=of-ann")
        assert await answer.json() == {"sid": "of-ann"}


async def test_requests_without_the_credential_get_407(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        bare = URL(at.proxy.url).with_user(None)
        for proxy in (bare, bare.with_user("certless").with_password("guess")):
            answer = await at.http.get(f"{at.site.url}/orders", proxy=proxy)
            assert answer.status == 407
            assert answer.headers["Proxy-Authenticate"].startswith("Basic")
        assert at.site.seen.requests == []


async def test_the_credential_is_not_passed_on(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        await at.get(f"{at.site.url}/orders")
        assert "Proxy-Authorization" not in at.site.seen.requests[-1][2]


async def test_a_host_outside_the_list_is_refused(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        port = URL(at.site.url).port
        for url in (
            "http://other.example/",
            f"http://127.0.0.1:{a_free_port()}/",
            f"http://localhost:{port}/",
        ):
            assert (await at.get(url)).status == 403
        for target in (f"{at.site.url}@evil.example/", "https://nas.lan:5000/"):
            auth = credential(at.proxy)
            answer = await raw(
                at.proxy,
                f"GET {target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {auth}\r\n"
                "Connection: close\r\n\r\n",
            )
            assert answer.split()[1] in (b"400", b"403"), target
        assert at.site.seen.requests == []


async def test_logins_of_other_pages_are_refused(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        for path in ("login", "logout"):
            answer = await at.post(f"/.gateway/connect/{path}", {}, "http://evil.example")
            assert answer.status == 403
        assert (await at.get(f"{at.site.url}/orders")).status == 200


async def test_requests_of_other_pages_change_nothing(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        for origin in ("http://evil.example", "https://nas.lan:5000", "null"):
            assert (await at.post("/login", {"name": "eve"}, origin)).status == 403
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await at.http.ws_connect(f"{at.site.url}/chat", proxy=at.proxy.url, origin=origin)
            assert refused.value.status == 403
        assert at.site.seen.requests == []
        assert (await at.post("/login", {"name": "ann"}, "http://nas.lan:5000")).status == 302


async def test_the_pac_file_names_the_sites(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        answer = await at.http.get(at.proxy.pac_url)
        assert answer.content_type == "application/x-ns-proxy-autoconfig"
        text = await answer.text()
        assert f'["{URL(at.site.url).authority}", "nas.lan:5000"]' in text
        assert str(URL(at.proxy.url).password) not in text
        # A page of another site cannot run it as a script, and learns no names of sites.
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        rebound = await at.http.get(at.proxy.pac_url, headers={"Host": "evil.example"})
        assert rebound.status == 407


def test_it_listens_on_this_machine_only() -> None:
    for address in ("0.0.0.0", "::", "192.0.2.1", "localhost"):  # noqa: S104
        with pytest.raises(CannotStart, match="this machine only"):
            listen_on(address, 0)
