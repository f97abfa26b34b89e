"""A site that knows nothing of Certless: a login form, a cookie, redirects. And the site, sealed.

The same site has two addresses. At the plain one everything can be read on the way. The other is
that of ``certless connect``, which sends every request sealed through a gateway.
"""

import html
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import hdrs, web
from yarl import URL

from certless.connect.errors import CannotStart
from certless.connect.mapped import mapped_mode
from gateway import AnyAddress, reverse_proxy
from protocol.classic.dialects import DEFAULT_PREFIX
from protocol.hardened.suites import DEFAULT_REALM

from .serving import served

_COOKIE = "notebook"
_MAX_VISITORS = 1000
_MAX_NOTES = 20
_MAX_CHARS = 200
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Notebook</title>
<style>
  :root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
  body {{ max-width: 34rem; margin: 2rem auto; padding: 0 1rem }}
  input {{ font: inherit; padding: .3rem; max-width: 100%; box-sizing: border-box }}
  button {{ font: inherit; padding: .3rem .8rem }}
  li {{ overflow-wrap: anywhere }}
</style>
<h1>Notebook</h1>
{content}
</html>
"""
_LOGIN = """<p>This site has a login form and a cookie, and no TLS.</p>
<form method="post" action="/login">
  <label>Your name <input name="name" required autofocus maxlength="200"></label>
  <button>Log in</button>
</form>"""
_NOTES = """<p>You are {name}.</p>
<ul>{notes}</ul>
<form method="post" action="/notes">
  <label>Note <input name="note" required autofocus maxlength="200"></label>
  <button>Add</button>
</form>
<form method="post" action="/logout"><p><button>Log out</button></form>"""


@dataclass(frozen=True, slots=True)
class LegacySite:
    """Two addresses of one site. ``sealed`` admits one browser; "" if connect did not start."""

    plain: str
    sealed: str
    reason: str = ""


@dataclass(slots=True)
class _Visitor:
    name: str
    notes: list[str] = field(default_factory=list)


def notebook() -> web.Application:
    """The site: nothing but HTML forms, a cookie and redirects."""
    visitors: OrderedDict[str, _Visitor] = OrderedDict()

    def visitor_of(request: web.Request) -> _Visitor | None:
        return visitors.get(request.cookies.get(_COOKIE, ""))

    async def show(request: web.Request) -> web.Response:
        visitor = visitor_of(request)
        if visitor is None:
            return _page(_LOGIN)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in visitor.notes)
        return _page(_NOTES.format(name=html.escape(visitor.name), notes=notes))

    async def login(request: web.Request) -> web.Response:
        name = await _text(request, "name")
        if len(visitors) >= _MAX_VISITORS:
            visitors.popitem(last=False)
        token = secrets.token_urlsafe(16)
        visitors[token] = _Visitor(name)
        response = _see("/")
        response.set_cookie(_COOKIE, token, httponly=True, samesite="Lax")
        return response

    async def add(request: web.Request) -> web.Response:
        visitor = visitor_of(request)
        if visitor is not None:
            visitor.notes.append(await _text(request, "note"))
            del visitor.notes[:-_MAX_NOTES]
        return _see("/")

    async def logout(request: web.Request) -> web.Response:
        visitors.pop(request.cookies.get(_COOKIE, ""), None)
        response = _see("/")
        response.del_cookie(_COOKIE)
        return response

    app = web.Application()
    app.router.add_get("/", show)
    app.router.add_post("/login", login)
    app.router.add_post("/notes", add)
    app.router.add_post("/logout", logout)
    return app


async def _text(request: web.Request, name: str) -> str:
    value = (await request.post()).get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CHARS:
        raise web.HTTPBadRequest(text=f"{name} must have 1 to {_MAX_CHARS} characters\n")
    return value


def _see(target: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: target})


def _page(content: str) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    text = _PAGE.format(content=content)
    return web.Response(text=text, content_type="text/html", headers=headers)


@asynccontextmanager
async def legacy_site(
    smtp: str, site_port: int, gateway_port: int, local_port: int
) -> AsyncIterator[LegacySite]:
    """Serve the site, a gateway in front of it and ``connect``, on loopback.

    Port 0 means any free port. ``smtp`` receives the mails with the codes. The ticket of connect is
    kept in a folder that is deleted at the end.
    """
    async with served(notebook(), site_port, "notebook") as plain:
        front = reverse_proxy(
            plain, users=AnyAddress(), mail=smtp, site="the notebook", suites=["ecdh-gcm"]
        )
        async with served(front, gateway_port, "notebook") as url:
            with tempfile.TemporaryDirectory(prefix="certless-demo-") as folder:
                async with _connected(URL(url), local_port, Path(folder)) as (sealed, reason):
                    yield LegacySite(plain, sealed, reason)


@asynccontextmanager
async def _connected(url: URL, port: int, folder: Path) -> AsyncIterator[tuple[str, str]]:
    """The address that connect prints, or "" and why it did not start."""
    async with AsyncExitStack() as stack:
        connect = mapped_mode(url, "ecdh-gcm", DEFAULT_REALM, DEFAULT_PREFIX, port, folder)
        try:
            mapped = await stack.enter_async_context(connect)
        except CannotStart as error:
            yield "", str(error)
        else:
            yield mapped.door_url, ""
