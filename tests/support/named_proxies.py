"""``connect`` as a forward proxy in front of a gateway, and clients that use it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from connected import ANN, PAGE, Site, a_browser, a_site
from yarl import URL

from certless.connect.listener import listen_on
from certless.connect.proxy import Proxy, proxy_mode
from certless.connect.serving import IDLE_S


@dataclass
class Proxied:
    site: Site
    proxy: Proxy
    http: aiohttp.ClientSession

    async def get(self, url: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.http.get(
            URL(url, encoded=True), proxy=self.proxy.url, headers=headers, allow_redirects=False
        )

    async def post(self, path: str, data: dict[str, str], origin: str) -> aiohttp.ClientResponse:
        return await self.http.post(
            self.site.url + path,
            data=data,
            proxy=self.proxy.url,
            headers={**PAGE, "Origin": origin},
            allow_redirects=False,
        )

    async def log_in(self) -> None:
        action = "/.gateway/connect/login"
        await self.post(action, {"address": ANN}, self.site.url)
        code = await self.site.mails.code()
        done = await self.post(action, {"code": code, "then": "/orders"}, self.site.url)
        assert (done.status, done.headers["Location"]) == (303, "/orders")


@asynccontextmanager
async def proxied(
    folder: Path, *, is_logged_in: bool = True, idle_s: float = IDLE_S
) -> AsyncIterator[Proxied]:
    async with a_site() as site:
        sites = [URL(site.url), URL("http://nas.lan:5000")]
        opened = listen_on("127.0.0.1", 0)
        async with (
            proxy_mode(sites, "ecdh-gcm", "certless", "/.gateway", opened, folder, idle_s) as proxy,
            a_browser() as http,
        ):
            at = Proxied(site, proxy, http)
            if is_logged_in:
                await at.log_in()
            yield at


def credential(proxy: Proxy) -> str:
    """The value of Proxy-Authorization."""
    at = URL(proxy.url)
    return aiohttp.encode_basic_auth(at.user or "", at.password or "")


async def raw(proxy: Proxy, request: str) -> bytes:
    """All that the proxy sends until it closes the connection."""
    at = URL(proxy.url)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(request.encode())
        try:
            return await reader.read()
        finally:
            writer.close()
