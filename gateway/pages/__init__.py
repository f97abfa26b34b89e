"""Common parts of the gateway's own pages: style sheet, strict policy, check of the host.

The pages are those of the demo and of the admin listener.
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
    """The headers of every response: only the site's own scripts run, and nothing is cached.

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
    """Add a route for each of these files, with its name as the path."""

    async def show(request: web.Request) -> web.Response:
        text, content_type = shown[request.path]
        return web.Response(text=text, content_type=content_type, headers=headers())

    shown = {f"/{file.name}": (file.read_text("utf-8"), _TYPES[file.suffix]) for file in files}
    for path in shown:
        app.router.add_get(path, show)


def only_for(names: str) -> Middleware:
    """Refuse other host names, which an attacker's DNS may point to this server (DNS rebinding).

    ``names`` is a regular expression for the allowed names. IP addresses are always allowed: they
    do not come from DNS.
    """
    allowed = re.compile(names, re.ASCII | re.IGNORECASE)

    @web.middleware
    async def check_host(request: web.Request, handler: _Handler) -> web.StreamResponse:
        host = ""
        with contextlib.suppress(ValueError):  # not a valid host
            host = URL.build(scheme="http", authority=request.host).host or ""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return await handler(request)
        if allowed.fullmatch(host):
            return await handler(request)
        raise web.HTTPMisdirectedRequest(text="use the IP address of this page\n")

    return check_host
