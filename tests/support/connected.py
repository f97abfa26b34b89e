"""A small site with cookies behind Certless, ``connect`` in front of it, and browsers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import TraceRequestEndParams, web
from aiohttp.abc import AbstractResolver, ResolveResult
from frameworks import serving
from gateways import CaughtMails
from yarl import URL

import gateway
from certless.connect.mapped import Mapped, mapped_mode
from gateway.adapters.aiohttp.app import ASSEMBLY
from gateway.build import Assembly
from gateway.clock import system_clock

ANN = "ann@example.org"
PAGE = {"Accept": "text/html"}


@dataclass
class Seen:
    """The requests that reached the site."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    uploaded: int = 0
    socket_code: int | None = None
    socket_closed: asyncio.Event = field(default_factory=asyncio.Event)


def small_site(seen: Seen) -> web.Application:
    """Pages, a login with an HttpOnly cookie, redirects, streams and headers of every kind."""

    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.requests.append((request.method, request.raw_path, dict(request.headers)))
        answer: web.StreamResponse = await handler(request)
        return answer

    seen_one = asyncio.Event()

    def origin(request: web.Request) -> str:
        return f"http://{request.headers['X-Forwarded-Host']}"

    async def index(request: web.Request) -> web.Response:
        at = origin(request)
        return web.Response(
            text=f"<!doctype html><title>shop</title><a href='{at}/orders'>orders</a>"
            f'<link rel=stylesheet href="{at}/style.css"><p>{at}/text</p>',
            content_type="text/html",
        )

    async def style(request: web.Request) -> web.Response:
        css = f"p {{ background: url({origin(request)}/p.png) }}"
        return web.Response(text=css, content_type="text/css")

    async def login(request: web.Request) -> web.Response:
        form = await request.post()
        answer = web.Response(status=302, headers={"Location": f"{origin(request)}/orders"})
        answer.set_cookie("sid", f"of-{form['name']!s}", httponly=True)
        answer.set_cookie("theme", "dark", domain="127.0.0.1")
        return answer

    async def logout(_: web.Request) -> web.Response:
        answer = web.Response(text="bye")
        answer.del_cookie("sid")
        return answer

    async def orders(request: web.Request) -> web.Response:
        return web.json_response(dict(request.cookies))

    async def headers(request: web.Request) -> web.Response:
        return web.json_response([[name, value] for name, value in request.headers.items()])

    async def policy(request: web.Request) -> web.Response:
        at = origin(request)
        return web.Response(
            text="x",
            content_type="text/html",
            headers={
                "Content-Security-Policy": f"script-src {at} 'self'; upgrade-insecure-requests; "
                "report-uri http://reports.example/",
                "Access-Control-Allow-Origin": at,
                "Content-Location": f"{at}/policy",
                "Strict-Transport-Security": "max-age=1",
                "Clear-Site-Data": '"cookies"',
                "Link": f"<{at}/style.css>; rel=preload",
            },
        )

    async def sets(request: web.Request) -> web.Response:
        answer = web.Response(text="x")
        answer.set_cookie(request.query["name"], "mine", httponly="hidden" in request.query)
        return answer

    async def away(request: web.Request) -> web.Response:
        answer = web.Response(status=int(request.query.get("status", "302")))
        answer.headers["Location"] = request.query["to"]
        answer.set_cookie("seen", "away")
        return answer

    async def down(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = size = int(request.query["size"])
        await answer.prepare(request)
        while size:
            piece = bytes(min(size, 65_536))
            await answer.write(piece)
            size -= len(piece)
        return answer

    async def up(request: web.Request) -> web.Response:
        async for chunk in request.content.iter_any():
            seen.uploaded += len(chunk)
        return web.json_response({"length": request.content_length, "got": seen.uploaded})

    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: one\n\n")
        # The second comes when the first has arrived.
        await seen_one.wait()
        await answer.write(b"data: two\n\n")
        return answer

    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["chat.v2"])
        await socket.prepare(request)
        await socket.send_json([request.headers.get("Origin"), request.headers.get("Cookie")])
        async for message in socket:
            if message.data == "close":
                await socket.close(code=4001, message=b"enough")
            elif message.type is web.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        seen.socket_code = socket.close_code
        seen.socket_closed.set()
        return socket

    async def go_on(_: web.Request) -> web.Response:
        seen_one.set()
        return web.Response()

    app = web.Application(middlewares=[note], client_max_size=2**30)
    app.router.add_get("/", index)
    app.router.add_get("/style.css", style)
    app.router.add_post("/login", login)
    app.router.add_post("/logout", logout)
    app.router.add_get("/orders", orders)
    app.router.add_route("*", "/headers", headers)
    app.router.add_get("/policy", policy)
    app.router.add_get("/set", sets)
    app.router.add_route("*", "/away", away)
    app.router.add_get("/down", down)
    app.router.add_post("/up", up)
    app.router.add_get("/events", events)
    app.router.add_get("/chat", chat)
    app.router.add_post("/go-on", go_on)
    return app


class _Loopback(AbstractResolver):
    """Every name below ``localhost`` is this machine, as in browsers."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        assert host.endswith(".localhost"), host
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def a_browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies and knows ``localhost``. It follows no redirects by itself in the tests.

    It closes all answers at its end, so a test can read the status alone.
    """
    answers: list[aiohttp.ClientResponse] = []

    async def keep(_session: object, _context: object, ended: TraceRequestEndParams) -> None:
        answers.append(ended.response)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(keep)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=_Loopback(), family=socket.AF_INET),
        cookie_jar=aiohttp.CookieJar(),
        trace_configs=[trace],
    ) as browser:
        try:
            yield browser
        finally:
            for answer in answers:
                answer.close()


@dataclass
class Connected:
    """``connect`` in front of a gateway, and a browser that was admitted."""

    own: str
    mapped: Mapped
    site: str
    behind: "Site"
    browser: aiohttp.ClientSession

    @property
    def seen(self) -> Seen:
        return self.behind.seen

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.browser.get(
            URL(self.own + path, encoded=True), headers={**PAGE, **headers}, allow_redirects=False
        )

    async def post(self, path: str, data: Any = None, **headers: str) -> aiohttp.ClientResponse:
        sent = {**PAGE, "Origin": self.own, **headers}
        return await self.browser.post(
            URL(self.own + path, encoded=True), data=data, headers=sent, allow_redirects=False
        )

    async def enter(self) -> None:
        entered = await self.browser.get(self.mapped.door_url, allow_redirects=False)
        assert (entered.status, entered.headers["Location"]) == (303, "/")

    async def log_in(self, then: str = "/") -> aiohttp.ClientResponse:
        """As a user does it, by the pages."""
        asked = await self.post("/.gateway/connect/login", {"address": ANN, "then": then})
        assert "Enter the code" in await asked.text()
        code = await self.behind.mails.code()
        return await self.post("/.gateway/connect/login", {"code": code, "then": then})

    async def lose_session(self) -> None:
        """The gateway ends the session and keeps the ticket."""
        protocol: Any = self.mapped.session.client._protocol
        hardened, now_ms = self.behind.assembly.hardened, system_clock()
        live = await hardened.find(protocol._messages._session.session_id, now_ms)
        assert live
        await hardened.end(live, now_ms, with_tickets=False)

    async def revoke(self) -> None:
        """The gateway ends the session and its ticket."""
        protocol: Any = self.mapped.session.client._protocol
        hardened, now_ms = self.behind.assembly.hardened, system_clock()
        live = await hardened.find(protocol._messages._session.session_id, now_ms)
        assert live
        await hardened.end(live, now_ms)


def files_of(folder: Path) -> list[Path]:
    """All files below ``folder``."""
    return [path for path in folder.rglob("*") if path.is_file()]


@dataclass
class Site:
    """A gateway in front of the small site or of another upstream."""

    url: str
    seen: Seen
    mails: CaughtMails
    assembly: Assembly


@asynccontextmanager
async def a_site(upstream: str | None = None, **options: Any) -> AsyncIterator[Site]:
    """As ``serve`` does it. Without ``upstream``, the small site is behind it."""
    mails, seen = CaughtMails(), Seen()
    async with AsyncExitStack() as stack:
        inner = upstream
        if inner is None:
            inner = await stack.enter_async_context(serving(small_site(seen)))
        app = gateway.reverse_proxy(inner, users=gateway.AnyAddress(), mail=mails, **options)
        url = await stack.enter_async_context(serving(app))
        yield Site(url, seen, mails, app[ASSEMBLY])


@asynccontextmanager
async def connect_to(
    site: Site, folder: Path, *, url: str = "", is_logged_in: bool = True
) -> AsyncIterator[Connected]:
    """``connect`` in mapped mode. ``url`` is the site's address, if something is in between."""
    at = URL(url or site.url)
    async with AsyncExitStack() as stack:
        mapped = await stack.enter_async_context(
            mapped_mode(at, "ecdh-gcm", "certless", "/.gateway", 0, folder)
        )
        browser = await stack.enter_async_context(a_browser())
        connected = Connected(mapped.own, mapped, str(at.origin()), site, browser)
        if is_logged_in:
            await connected.enter()
            assert (await connected.log_in()).status == 303
        yield connected


@asynccontextmanager
async def connected(
    folder: Path, upstream: str | None = None, *, is_logged_in: bool = True
) -> AsyncIterator[Connected]:
    """``connect`` in front of ``a_site``."""
    async with a_site(upstream) as site, connect_to(site, folder, is_logged_in=is_logged_in) as at:
        yield at
