"""Mapped mode: a whole site, sealed, under a local address of its own.

``http://shop.example`` becomes ``http://shop-LABEL.localhost:8480``. Browsers take every name
below ``localhost`` for this machine, and they keep the pages of different names apart.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web
from yarl import URL

from certless.client import Client, ClientError, Suite

from . import pages
from .cookies import Cookies
from .door import Door, Verdict
from .forward import Route, failure, forward
from .listener import listen
from .login_pages import LoginPages
from .origins import Origins
from .serving import last, serving
from .session import SealedSession
from .sockets import is_socket, relay
from .state import State

_WORDS = {
    Verdict.WRONG_HOST: (
        421,
        "Not passed on",
        "This is not the address that connect printed. No other site in plain HTTP is passed on.",
    ),
    Verdict.STRANGER: (
        403,
        "Not admitted",
        "This browser is not admitted. Open the address that certless connect printed. It works "
        "once; to get a new one, restart connect.",
    ),
    Verdict.CROSS_SITE: (403, "Refused", "A page of another site may not send this request."),
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """A site under a local address. ``door_url`` admits one browser.

    ``browsers`` is the folder for the profiles of browsers.
    """

    own: str
    door_url: str
    session: SealedSession
    browsers: Path


@asynccontextmanager
async def mapped_mode(
    site: URL,
    suite: Suite,
    realm: str,
    prefix: str,
    port: int,
    base: Path | None = None,
    name: str | None = None,
) -> AsyncIterator[Mapped]:
    """Serve ``site`` until the context ends. ``base`` is the folder for states.

    ``name`` is the local host name, if it is not a random one.

    Raises: CannotStart, NoAnswer.
    """
    with State(str(site.origin()), realm, suite, base) as state:
        host = name or f"{_short(site)}-{state.label()}.localhost"
        sockets = listen(port)
        own = f"http://{host}:{sockets[0].getsockname()[1]}"
        async with Client(
            str(site),
            suite=suite,
            realm=realm,
            prefix=prefix,
            tickets=state.ticket,
            cookies=False,
        ) as client:
            session = SealedSession(client, can_resume=True)
            handler = _Handler(site, own, session, pages.Site(str(site), realm, suite), prefix)
            async with serving(handler.handle, sockets):
                await session.start()
                try:
                    yield Mapped(own, handler.door.url, session, state.browsers)
                finally:
                    await handler.login.cancel()


def _short(site: URL) -> str:
    """The first label of the site's host, for people who read the address."""
    first = (site.raw_host or "").partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]", "", first)[:20] or "site"


class _Handler:
    """Answers every request of mapped mode."""

    def __init__(
        self, site: URL, own: str, session: SealedSession, facts: pages.Site, prefix: str
    ) -> None:
        self.door = Door(own)
        cookies = Cookies(site, self.door.cookie_name)
        self._route = Route(Origins(site, own), session, cookies)
        self._prefix = prefix
        self._own = own
        self._facts = facts
        self.login = LoginPages(session, facts, prefix)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        verdict = self.door.judge(request.method, target, request.headers)
        if request.method == "CONNECT":
            return await last(request, pages.told(request.headers, *_WORDS[Verdict.WRONG_HOST]))
        if verdict is Verdict.ENTERED:
            return self._entered(request)
        if verdict is Verdict.ASK_FIRST:
            return pages.ask_first(self._facts, self._own + target)
        if verdict is not Verdict.ADMITTED:
            return pages.told(request.headers, *_WORDS[verdict])
        return await self._admitted(request, target)

    def _entered(self, request: web.BaseRequest) -> web.Response:
        """To the start page. After a link elsewhere, a redirect would not take the cookie along."""
        is_typed = request.headers.get("Sec-Fetch-Site") == "none"
        if is_typed or not pages.wants_page(request.headers):
            entered = pages.plain(303, "Welcome.")
            entered.headers[hdrs.LOCATION] = "/"
        else:
            entered = pages.go_on(f"{self._own}/")
        entered.headers[hdrs.SET_COOKIE] = self.door.set_cookie
        return entered

    async def _admitted(self, request: web.BaseRequest, target: str) -> web.StreamResponse:
        if request.path == self._prefix or request.path.startswith(f"{self._prefix}/"):
            return await self.login.handle(request)
        passed_on = relay if is_socket(request) else forward
        try:
            return await passed_on(request, target, self._route)
        except (ClientError, ValueError) as error:
            return self.login.told(request, target, self._own, *failure(error))
