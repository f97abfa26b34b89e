"""What ``connect`` answers below the gateway's prefix: the login, and the logout.

Nothing else there is passed on: the session belongs to ``connect``, not to the page.
"""

import contextlib

from aiohttp import hdrs, web
from yarl import URL

from certless.client import ClientError

from . import pages
from .login import Login, Step
from .session import SealedSession

_NOT_HERE = (
    "certless connect answers this path itself. Everything that passes through it is sealed "
    "already, so a page needs no client of its own here."
)
_WRONG_CODE = "This code was not accepted. Use the newest mail, and copy the whole line."


class LoginPages:
    """The login of one site, for the browser that was admitted."""

    def __init__(self, session: SealedSession, facts: pages.Site, prefix: str) -> None:
        self._session = session
        self._facts = facts
        self._action = f"{prefix}/connect/login"
        self._logout = f"{prefix}/connect/logout"
        self._login = Login(session.client)

    async def cancel(self) -> None:
        """End a login that has begun."""
        await self._login.cancel()

    def told(
        self, request: web.BaseRequest, target: str, own: str, status: int, text: str
    ) -> web.StreamResponse:
        """Why the site did not answer ``target`` below ``own``; 401 asks the user to log in."""
        if status != 401:
            title = "The site cannot be reached" if status >= 500 else "Not passed on"
            return pages.told(request.headers, status, title, text)
        if pages.wants_page(request.headers):
            return pages.ask_address(self._facts, self._action, _where(request, target, own))
        return pages.plain(401, f"not logged in: open {own}/ in the browser, and log in there")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request below the prefix."""
        if request.method == "POST" and request.path == self._action:
            return await self._step(request)
        if request.method == "POST" and request.path == self._logout:
            with contextlib.suppress(ClientError):
                await self._session.logout()
            return pages.ask_address(self._facts, self._action, "/", "You are logged out.")
        if request.path == self._action:
            return pages.ask_address(self._facts, self._action, "/")
        return pages.told(request.headers, 404, "Not passed on", _NOT_HERE)

    async def _step(self, request: web.BaseRequest) -> web.StreamResponse:
        form = await request.post()
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        then = _local(given.get("then", "/"))
        try:
            if "code" in given:
                step = await self._login.enter(given["code"])
            else:
                step = await self._login.begin(
                    given.get("address", ""), given.get("password") or None
                )
        except ClientError as error:
            return pages.ask_address(self._facts, self._action, then, str(error))
        match step:
            case Step.DONE:
                self._session.logged_in()
                done = pages.plain(303, "You are logged in.")
                done.headers[hdrs.LOCATION] = then
                return done
            case Step.CODE:
                return pages.ask_code(self._facts, self._action, then)
            case Step.CODE_AGAIN:
                return pages.ask_code(self._facts, self._action, then, _WRONG_CODE)
            case Step.ADDRESS:
                return pages.ask_address(self._facts, self._action, then)


def _where(request: web.BaseRequest, target: str, own: str) -> str:
    """The page to come back to: this one, or the one with the form that was sent."""
    if request.method == "GET":
        return _local(target)
    referer = request.headers.get(hdrs.REFERER, "")
    is_ours = referer.startswith(f"{own}/")
    return _local(URL(referer, encoded=True).raw_path_qs) if is_ours else "/"


def _local(path: str) -> str:
    """``path`` if it leads to our own address, else ``/``."""
    is_local = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable()
    return path if is_local else "/"
