"""The page for a person who opens a protected page in a browser without a login.

It has the login and the place where the browser's client shows the sealed page afterwards. Programs
receive the error as JSON: only a GET whose Accept names text/html gets the page.
"""

import re
from html import escape
from pathlib import Path
from string import Template

from multidict import CIMultiDict

from gateway.config.settings import Settings

from .outer import OuterRequest, Reply
from .request_headers import is_host

_PAGES = Path(__file__).parent.parent / "pages"
# Browsers ask for these by themselves. A refusal would be an error in the console of every page.
_ICONS = frozenset({"/favicon.ico", "/apple-touch-icon.png", "/apple-touch-icon-precomposed.png"})
_READING = frozenset({"GET", "HEAD"})
# Styles inside the sealed page are shown; scripts run only from the gateway's own file.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; worker-src blob:; base-uri about:; form-action 'none'; "
    "frame-ancestors 'none'"
)


class LoginPage:
    """Replies to requests of browsers that need a login."""

    def __init__(self, settings: Settings) -> None:
        style = "".join((_PAGES / name).read_text("utf-8") for name in ("look.css", "login.css"))
        self._template = Template((_PAGES / "login.html").read_text("utf-8"))
        self._known = {"site": escape(settings.site), "prefix": settings.prefix, "style": style}

    def answer(self, request: OuterRequest, outcome: str) -> Reply | None:
        """The page, or 204 for an icon; None for a program, and for methods that do not read."""
        if request.method not in _READING:
            return None
        if request.raw_path in _ICONS:
            return Reply(204, CIMultiDict({"Cache-Control": "no-store"}), b"", outcome)
        if not _takes_html(request.headers.get("Accept", "")):
            return None
        host = request.host if is_host(request.host) else "example.org"
        page = self._template.substitute(self._known, origin=f"http://{host}")
        headers = CIMultiDict(
            {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": _POLICY,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "same-origin",
                "Cache-Control": "no-store",
                "Vary": "Accept",
            }
        )
        return Reply(401, headers, page.encode(), outcome)


def _takes_html(accept: str) -> bool:
    """Whether ``accept``, the header of a request, names text/html, as that of a browser does."""
    for part in accept.split(","):
        kind, *parameters = (text.strip().lower() for text in part.split(";"))
        if kind == "text/html":
            return not any(re.fullmatch(r"q=0(\.0*)?", one) for one in parameters)
    return False
