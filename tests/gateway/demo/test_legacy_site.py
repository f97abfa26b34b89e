"""The small site of the demo, in plain HTTP and through connect."""

import asyncio
import re

import aiohttp
from connected import ANN, PAGE, a_browser
from mailboxes import a_free_port

from gateway.demo import running
from gateway.demo.legacy_site import legacy_site
from protocol.classic.dialects import DEFAULT_DIALECT


async def write_a_note(browser: aiohttp.ClientSession, at: str) -> str:
    """Log in at the notebook and write; the page after that."""
    headers = {**PAGE, "Origin": at}
    async with browser.get(f"{at}/", headers=PAGE) as first:
        assert "Your name" in await first.text()
    async with browser.post(f"{at}/login", data={"name": "Ann <b>"}, headers=headers) as page:
        assert "You are Ann &lt;b&gt;." in await page.text()
    async with browser.post(f"{at}/notes", data={"note": "tea & milk"}, headers=headers) as page:
        return await page.text()


async def eventually_a_code(http: aiohttp.ClientSession, mails: str) -> str:
    """The code of the first mail; the gateway sends it after its answer."""
    async with asyncio.timeout(20):
        while True:
            async with http.get(mails) as answer:
                if found := await answer.json():
                    return str(found[0]["code"])
            await asyncio.sleep(0.05)


async def test_the_same_site_in_plain_and_sealed(http: aiohttp.ClientSession) -> None:
    async with (
        running("127.0.0.1", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places,
        legacy_site(places.smtp, 0, 0, 0) as site,
        a_browser() as browser,
    ):
        assert not site.reason
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as plain:
            assert "<li>tea &amp; milk</li>" in await write_a_note(plain, site.plain)
        own = site.sealed.partition("/?")[0]
        headers = {**PAGE, "Origin": own}
        await browser.get(site.sealed, headers=PAGE, allow_redirects=False)
        login = f"{own}/.gateway/connect/login"
        await browser.post(login, data={"address": ANN, "then": "/"}, headers=headers)
        code = await eventually_a_code(http, f"{places.mailbox}/mails.json")
        async with browser.post(login, data={"code": code, "then": "/"}, headers=headers) as page:
            assert "Your name" in await page.text()
        assert "<li>tea &amp; milk</li>" in await write_a_note(browser, own)
        assert re.fullmatch(r"http://127-[a-z2-7]{26}\.localhost:\d+", own)


async def test_without_its_port_connect_is_left_out_and_the_demo_says_why() -> None:
    port = a_free_port()
    async with (
        running("127.0.0.1", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places,
        legacy_site(places.smtp, 0, 0, port) as first,
        legacy_site(places.smtp, 0, 0, port) as second,
    ):
        assert first.sealed
        assert (second.sealed, str(port) in second.reason) == ("", True)
