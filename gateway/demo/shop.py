"""The page of the tea shop: an ordinary site, with the line in its head that brings in Certless.

It stands with the API behind the gateway. The page shows what one wrote beside what went over the
wire, and for that asks the demo's ``/wire.json``.
"""

from html import escape
from string import Template

from aiohttp import web
from yarl import URL

from .pages import add_files, headers, text_of

_FILES = ("look.css", "shop.css", "shop.js", "notes.js", "view.js", "wire.js", "shop.svg")
# What the gateway is to pass on as it is.
PUBLIC = ("/", *(f"/{name}" for name in _FILES))

# The client works in a Worker made of its own text; a chosen picture is shown before it is sent.
_HEADERS = headers(worker_src="blob:", img_src="'self' blob:")


def add_to(app: web.Application, mailbox_port: int) -> None:
    """Give the API a page, which leads to the mailbox at ``mailbox_port`` of the same host."""
    page = Template(text_of("shop.html"))

    async def show(request: web.Request) -> web.Response:
        asked = request.headers.get("X-Forwarded-Host", request.host)
        mailbox = URL.build(scheme="http", authority=asked).with_port(mailbox_port).with_path("/")
        text = page.substitute(mailbox=escape(str(mailbox)))
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    app.router.add_get("/", show)
    add_files(app, _FILES)
