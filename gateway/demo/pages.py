"""What the demo's pages have in common: files from this folder, under a strict policy."""

from collections.abc import Iterable
from pathlib import Path

from aiohttp import hdrs, web

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def text_of(name: str) -> str:
    """A file of this folder."""
    return (_HERE / name).read_text("utf-8")


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


def add_files(app: web.Application, names: Iterable[str]) -> None:
    """A route for each of these files of this folder."""

    async def show(request: web.Request) -> web.Response:
        text, content_type = files[request.path]
        return web.Response(text=text, content_type=content_type, headers=headers())

    files = {f"/{name}": (text_of(name), _TYPES[Path(name).suffix]) for name in names}
    for path in files:
        app.router.add_get(path, show)
