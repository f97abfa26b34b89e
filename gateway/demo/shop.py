"""The page of the tea shop: an ordinary site, with the line in its head that brings in Certless.

It stands with the API behind the gateway. The page shows what the visitor wrote beside what went
over the wire, which it asks ``/wire.json`` for. ``?suite=`` chooses the suite that it speaks.
"""

from html import escape
from pathlib import Path
from string import Template

from aiohttp import web
from yarl import URL

from gateway.pages import LOOK, add_files, headers

_HERE = Path(__file__).parent
_SCRIPTS = ("shop.js", "notes.js", "view.js", "words.js", "marks.js", "wire.js", "envelopes.js")
_FILES = (LOOK, *(_HERE / name for name in ("shop.css", "shop.svg", *_SCRIPTS)))
# What the gateway is to pass on as it is.
PUBLIC = ("/", *(f"/{file.name}" for file in _FILES))

DEFAULT_SUITE = "ecdh-gcm"
_SUITES = {
    DEFAULT_SUITE: "for new clients. A code of 8 characters that cannot be tried on a recording, "
    "and messages that cannot be changed unnoticed.",
    "rsa-gcm": "as ecdh-gcm, and every message also carries a key wrapped under RSA, for clients "
    "whose RSA key cannot leave its hardware.",
    "classic": "for clients of 2016. A code of 26 characters, and in most dialects messages can be "
    "changed unnoticed.",
}

# The client works in a Worker made of its own text; a chosen picture is shown before it is sent.
_HEADERS = headers(worker_src="blob:", img_src="'self' blob:")


def add_to(app: web.Application, mailbox_port: int) -> None:
    """Give the API a page, which leads to the mailbox at ``mailbox_port`` of the same host."""
    page = Template((_HERE / "shop.html").read_text("utf-8"))

    async def show(request: web.Request) -> web.Response:
        asked = request.headers.get("X-Forwarded-Host", request.host)
        mailbox = URL.build(scheme="http", authority=asked).with_port(mailbox_port).with_path("/")
        suite = request.query.get("suite", DEFAULT_SUITE)
        if suite not in _SUITES:
            raise web.HTTPNotFound(text=f"there are the suites {', '.join(_SUITES)}\n")
        text = page.substitute(
            mailbox=escape(str(mailbox)),
            suite=suite,
            suites=" ".join(_link(name, is_current=name == suite) for name in _SUITES),
            suite_words=_SUITES[suite],
        )
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    app.router.add_get("/", show)
    add_files(app, _FILES)


def _link(suite: str, *, is_current: bool) -> str:
    current = ' aria-current="page"' if is_current else ""
    return f'<a href="./?suite={suite}"{current}>{suite}</a>'
