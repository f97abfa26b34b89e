"""Proxy mode: a forward proxy for the named sites and for nothing else. Addresses stay.

It is for programs, and for a browser profile that always uses it. A program that does not use it
sends its requests unencrypted.
"""

import base64
import hmac
import re
import secrets
import socket
from asyncio import BaseTransport
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from aiohttp import HttpVersion11, hdrs, web
from yarl import URL

from certless.client import Client, ClientError, Suite

from . import pages
from .door import SAFE_METHODS
from .forward import Route, failure, forward
from .login_pages import LoginPages
from .origins import Origins
from .pac import pac_file
from .serving import IDLE_S, last, serving
from .session import SealedSession
from .sockets import is_socket, relay
from .state import State

_USER = "certless"
_TOKEN_BYTES = 16
# ``http://user@host`` is no address for us: no user is in the authority.
_ABSOLUTE = re.compile(r"http://([^/?#@]+)([/?].*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"[^/?#@]+:([0-9]{1,5})")
_NO_TUNNEL = "certless connect: tunnels lead only to the sites that this proxy was started with"
_NO_TLS = (
    "certless connect: https:// does not pass this proxy. It seals http:// addresses of its sites; "
    "send others without it"
)


@dataclass(frozen=True, slots=True)
class NamedSite:
    """A site that the proxy passes requests on to."""

    origins: Origins
    session: SealedSession
    facts: pages.Site


def named_site(
    site: URL, client: Client, suite: Suite, realm: str, *, can_resume: bool
) -> NamedSite:
    """``site``, with the session of ``client``."""
    origins = Origins(site)
    session = SealedSession(client, can_resume=can_resume)
    return NamedSite(origins, session, pages.Site(origins.site, realm, suite))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy. ``url`` contains its credential."""

    url: str
    pac_url: str


@asynccontextmanager
async def proxy_mode(
    sites: Sequence[URL],
    suite: Suite,
    realm: str,
    prefix: str,
    opened: socket.socket,
    base: Path | None = None,
    idle_s: float = IDLE_S,
) -> AsyncIterator[Proxy]:
    """Serve on ``opened`` until the context ends. Tickets are stored below ``base``.

    A connection or tunnel without a request is closed after ``idle_s``.

    Raises: CannotStart, NoAnswer.
    """
    async with AsyncExitStack() as stack:
        stack.callback(opened.close)
        named = []
        for site in sites:
            state = stack.enter_context(State(str(site.origin()), realm, suite, base))
            client = await stack.enter_async_context(
                Client(
                    str(site),
                    suite=suite,
                    realm=realm,
                    prefix=prefix,
                    tickets=state.ticket,
                    cookies=False,
                )
            )
            one = named_site(site, client, suite, realm, can_resume=True)
            await one.session.start()
            named.append(one)
        yield await stack.enter_async_context(proxy_for(named, prefix, opened, idle_s))


@asynccontextmanager
async def proxy_for(
    named: Sequence[NamedSite], prefix: str, opened: socket.socket, idle_s: float = IDLE_S
) -> AsyncIterator[Proxy]:
    """The same for sites with clients. ``opened`` is closed at the end."""
    host, port = opened.getsockname()[:2]
    handler = _Handler(named, prefix, f"{host}:{port}")
    async with serving(handler.handle, [opened], idle_s):
        try:
            yield Proxy(handler.url, f"http://{handler.authority}/proxy.pac")
        finally:
            for one in handler.sites.values():
                await one.login.cancel()


class _Site:
    """How to answer for one site."""

    def __init__(self, named: NamedSite, prefix: str, others: Sequence[str]) -> None:
        self.origin = named.origins.site
        self._route = Route(named.origins, named.session, None, tuple(others))
        self._sealed = (self.origin, *others)
        self._prefix = prefix
        self.login = LoginPages(named.session, named.facts, prefix)

    async def answer(self, request: web.BaseRequest, target: str) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        is_safe = request.method in SAFE_METHODS and not is_socket(request)
        is_for_us = request.path == self._prefix or request.path.startswith(f"{self._prefix}/")
        # Programs send no Origin. Browsers send it with everything that is not safe.
        is_known = origin == self.origin if is_for_us else origin in (None, *self._sealed)
        if not (is_safe or is_known):
            text = "A page of another site may not send this request."
            return pages.told(request.headers, 403, "Refused", text)
        if is_for_us:
            return await self.login.handle(request)
        passed_on = relay if is_socket(request) else forward
        try:
            return await passed_on(request, target, self._route)
        except (ClientError, ValueError) as error:
            return self.login.told(request, target, self.origin, *failure(error))


class _Handler:
    """Answers every request that reaches the proxy."""

    def __init__(self, named: Sequence[NamedSite], prefix: str, authority: str) -> None:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.authority = authority
        self.url = f"http://{_USER}:{token}@{authority}"
        self._credential = base64.b64encode(f"{_USER}:{token}".encode())
        origins = [one.origins.site for one in named]
        self.sites = {
            one.origins.host.lower(): _Site(
                one, prefix, [other for other in origins if other != one.origins.site]
            )
            for one in named
        }
        self._tunnels: WeakKeyDictionary[BaseTransport, _Site] = WeakKeyDictionary()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None and (within := self._tunnels.get(request.transport)):
            return await self._in_tunnel(request, within)
        if request.method == "CONNECT":
            return await self._open_tunnel(request)
        if request.raw_path == "/proxy.pac" and request.headers.get(hdrs.HOST) == self.authority:
            return pac_file(self.sites, self.authority)
        if not self._is_admitted(request.headers):
            return _denied()
        found = _ABSOLUTE.fullmatch(request.raw_path)
        if found is None:
            return pages.plain(400, "certless connect: this is a proxy for http:// addresses")
        site = self.sites.get(_without_port_80(found[1]))
        if site is None:
            return self._not_named(request)
        rest = found[2] or "/"
        return await site.answer(request, rest if rest.startswith("/") else f"/{rest}")

    def _is_admitted(self, headers: Mapping[str, str]) -> bool:
        kind, _, given = headers.get(hdrs.PROXY_AUTHORIZATION, "").partition(" ")
        given_bytes = given.strip().encode("utf-8", "replace")
        return kind.lower() == "basic" and hmac.compare_digest(given_bytes, self._credential)

    async def _open_tunnel(self, request: web.BaseRequest) -> web.StreamResponse:
        """Browsers send CONNECT for ``ws://``. The tunnel ends here, and is served as usual."""
        found = _AUTHORITY.fullmatch(request.raw_path)
        site = self.sites.get(_without_port_80(request.raw_path)) if found else None
        if not self._is_admitted(request.headers):
            return await last(request, _denied())
        if site is None:
            text = _NO_TLS if found is not None and found[1] == "443" else _NO_TUNNEL
            return await last(request, pages.plain(403, text))
        if request.version < HttpVersion11:
            text = "certless connect: tunnels need HTTP/1.1"
            return await last(request, pages.plain(505, text))
        if request.transport is not None:
            self._tunnels[request.transport] = site
        # The next bytes are parsed as requests again, and bytes of TLS are refused with 400.
        return web.Response(status=200, reason="Connection established")

    async def _in_tunnel(self, request: web.BaseRequest, site: "_Site") -> web.StreamResponse:
        """The credential was checked when the tunnel was opened."""
        host = _without_port_80(request.headers.get(hdrs.HOST, ""))
        if request.method == "CONNECT" or self.sites.get(host) is not site:
            text = "certless connect: this tunnel is for one host, and has no tunnel in it"
            return await last(request, pages.plain(421, text))
        return await site.answer(request, request.raw_path)

    def _not_named(self, request: web.BaseRequest) -> web.Response:
        text = "This proxy passes on requests to the sites that it was started with, and no others."
        return pages.told(request.headers, 403, "Not passed on", text)


def _denied() -> web.Response:
    denied = pages.plain(407, "certless connect: this proxy needs its credential")
    denied.headers[hdrs.PROXY_AUTHENTICATE] = 'Basic realm="certless connect"'
    return denied


def _without_port_80(authority: str) -> str:
    return authority.lower().removesuffix(":80")
