"""The page of the tea shop: an ordinary site that loads Certless with one line in its head.

The API serves it, behind the gateway. The page shows what the user wrote next to the bytes on the
wire, which it reads from ``/wire.json``. ``?suite=`` selects its suite.
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
# The gateway passes these on without a login.
PUBLIC = ("/", *(f"/{file.name}" for file in _FILES))

DEFAULT_SUITE = "ecdh-gcm"
_SUITES = {
    DEFAULT_SUITE: "for new clients. A code has 8 characters, and a recorded login gives no way to "
    "test guesses of it. Changed messages are detected.",
    "rsa-gcm": "like ecdh-gcm, and every message also contains a key wrapped with RSA. For clients "
    "with an RSA key in hardware.",
    "classic": "for clients of 2016. A code has 26 characters. Most dialects do not detect changed "
    "messages.",
}

# The client's Worker is a blob, and so is the preview of a picture.
_HEADERS = headers(worker_src="blob:", img_src="'self' blob:")


def add_to(app: web.Application, mailbox_port: int) -> None:
    """Add the page to the API. It links to the mailbox at ``mailbox_port`` of the same host."""
    page = Template((_HERE / "shop.html").read_text("utf-8"))

    async def show(request: web.Request) -> web.Response:
        asked = request.headers.get("X-Forwarded-Host", request.host)
        mailbox = URL.build(scheme="http", authority=asked).with_port(mailbox_port).with_path("/")
        suite = request.query.get("suite", DEFAULT_SUITE)
        if suite not in _SUITES:
            raise web.HTTPNotFound(text=f"unknown suite: choose one of {', '.join(_SUITES)}\n")
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
