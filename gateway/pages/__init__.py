"""What the gateway's own pages have in common: their look, a strict policy, and who may ask.

They are the demo's, and that of the admin listener.
"""

import contextlib
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from yarl import URL

LOOK = Path(__file__).parent / "look.css"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def headers(**sources: str) -> dict[str, str]:
    """For every answer of a site: no script but its own runs, and nothing is kept.

    ``sources`` are further directives of the policy, with ``_`` for ``-``: ``worker_src="blob:"``.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        **{name.replace("_", "-"): source for name, source in sources.items()},
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {source}" for name, source in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        hdrs.CACHE_CONTROL: "no-store",
    }


def add_files(app: web.Application, files: Iterable[Path]) -> None:
    """A route for each of these files, by its name."""

    async def show(request: web.Request) -> web.Response:
        text, content_type = shown[request.path]
        return web.Response(text=text, content_type=content_type, headers=headers())

    shown = {f"/{file.name}": (file.read_text("utf-8"), _TYPES[file.suffix]) for file in files}
    for path in shown:
        app.router.add_get(path, show)


def only_for(names: str) -> Middleware:
    """Refuses names that somebody's DNS may have pointed here: his page could read all there is.

    ``names`` is a regular expression of those that are ours; an address is none that DNS gave.
    """
    ours = re.compile(names, re.ASCII | re.IGNORECASE)

    @web.middleware
    async def ask_by_address(request: web.Request, handler: _Handler) -> web.StreamResponse:
        host = ""
        with contextlib.suppress(ValueError):  # what is no host at all
            host = URL.build(scheme="http", authority=request.host).host or ""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return await handler(request)
        if ours.fullmatch(host):
            return await handler(request)
        raise web.HTTPMisdirectedRequest(text="ask for this page by its address\n")

    return ask_by_address
