"""Protected pages in a browser: a page with a login for people, JSON for programs."""

import pytest
from gateways import running

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
ICONS = ["/favicon.ico", "/apple-touch-icon.png", "/apple-touch-icon-precomposed.png"]


@pytest.mark.usefixtures("framework")
async def test_a_browser_gets_a_page() -> None:
    async with running(site="Tea & <b>more</b> $5", prefix="/own") as at:
        answer = await at.get("/echo?x=1", headers={"Accept": BROWSER, "Host": "shop.example"})
        page = answer.body.decode()
        assert answer.status == 401
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Vary"] == "Accept"
        assert answer.headers["WWW-Authenticate"] == 'Certless prefix="/own"'
        assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
        assert "<h1>Tea &amp; &lt;b&gt;more&lt;/b&gt; $5</h1>" in page
        assert '<script src="/own/client.js" data-certless></script>' in page
        assert "<certless-login></certless-login>" in page
        assert "certless connect http://shop.example</pre>" in page
        assert at.ran == []


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "text/html;q=0", "text/*", "TEXT"]
)
async def test_a_program_gets_json(accept: str | None) -> None:
    async with running() as at:
        answer = await at.get("/echo", headers={"Accept": accept} if accept else {})
        assert (answer.status, answer.json["error"]) == (401, "login_required")


@pytest.mark.usefixtures("framework")
async def test_only_what_is_read_is_a_page() -> None:
    async with running() as at:
        answer = await at.post("/echo", {"item": "tea"}, headers={"Accept": BROWSER})
        assert (answer.status, answer.json["error"]) == (401, "login_required")
        # Nor a route of the gateway itself.
        answer = await at.get("/.gateway/nothing", headers={"Accept": BROWSER})
        assert (answer.status, answer.json["error"]) == (404, "not_found")


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("path", ICONS)
async def test_an_icon_that_needs_a_login_is_no_error(path: str) -> None:
    async with running() as at:
        answer = await at.get(path, headers={"Accept": "image/avif,image/webp,*/*;q=0.8"})
        assert (answer.status, answer.body) == (204, b"")
        assert (await at.post(path, {})).status == 401
        assert at.ran == []


@pytest.mark.usefixtures("framework")
async def test_a_host_that_is_none_is_not_repeated() -> None:
    async with running() as at:
        sent = {"Accept": BROWSER, "Host": '"><script>alert(1)</script>'}
        answer = await at.get("/echo", headers=sent)
        assert answer.status == 400
        assert b"alert" not in answer.body
