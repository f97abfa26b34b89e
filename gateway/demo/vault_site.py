"""The vault and certificates in the demo: their pages, and the tables of the vault's database.

The application does what docs/vault.md shows: ``vault.setup``, then ``certless.setup``. The page is
that of ``vault.page``. Next to it, the demo shows what the server sees (``server_sees``). The page
at ``/issue`` is that of ``issuing.page``; a CA for tests signs.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from html import escape
from pathlib import Path

import aiosmtplib
from aiohttp import web
from yarl import URL

import issuing.page
import vault.page
from gateway import AnyAddress, setup
from gateway.pages import LOOK, add_files, headers, only_for

from .server_sees import tables
from .serving import served

_HERE = Path(__file__).parent
_SEES = (_HERE / "serverSees.css", _HERE / "serverSees.js")
_FILES = (LOOK, *issuing.page.FILES, *vault.page.FILES, *_SEES)
_TABLES = "/tables.json"
_ISSUING = "/issue"
_PUBLIC = ("/", _ISSUING, _TABLES, *(f"/{file.name}" for file in _FILES))
_HEADERS = headers(**vault.page.SOURCES)
_SENDER = "vault@demo.example"
# Soon, so that a visitor sees blocks move from the pool.
_APPLY_S = 20
_local_names_only = only_for(r"localhost|[a-z0-9.-]+\.test")

_HEAD = """  <link rel="stylesheet" href="serverSees.css">
  <script src="serverSees.js" type="module"></script>
</head>"""
_MAILBOX = """<certless-login username="ann@example.org"></certless-login>
    <p id="where">You can use any address. The mails arrive in the demo’s mailbox:
      <a class="button" href="{mailbox}" target="certless-mailbox">Open the mailbox</a></p>"""
_BESIDE = """<section id="sees" class="card" aria-labelledby="sees-title">
  <h2 id="sees-title" tabindex="-1">What the server sees</h2>
  <p class="soft">These are the tables of the vault’s database, as they are now. Long values are
    shortened. The names of users are not in them. The vault applies its pool every 20 seconds
    here, and every 10 minutes unless set. This view is only in the demo.</p>
  <p id="sees-lost" class="lost" role="alert" hidden>The demo does not answer. This page keeps
    trying.</p>
  <div id="tables"></div>
</section>
</body>"""


@dataclass(frozen=True, slots=True)
class VaultSite:
    """The URL of the page, and the file of the database."""

    url: str
    database: Path


@asynccontextmanager
async def vault_site(smtp: str, mailbox: str, port: int) -> AsyncIterator[VaultSite]:
    """Serve the vault on loopback. Port 0 means any free port.

    ``smtp`` receives the mails, which ``mailbox`` shows. The folder of the database is deleted at
    the end.
    """
    with tempfile.TemporaryDirectory(prefix="certless-vault-") as folder:
        database = Path(folder) / "vault.db"
        app = _application(database, smtp, mailbox)
        async with served(app, port, "vault") as url:
            yield VaultSite(url, database)


def _application(database: Path, smtp: str, mailbox: str) -> web.Application:
    app = web.Application()

    async def notify(username: str, notice: vault.Notice) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = _SENDER, username, notice.subject
        mail.set_content(notice.text)
        server = URL(smtp)
        await aiosmtplib.send(mail, hostname=server.host, port=server.port)

    async def show_page(request: web.Request) -> web.Response:
        shown = URL.build(scheme="http", authority=request.host).with_port(URL(mailbox).port)
        text = _page(escape(str(shown.with_path("/"))))
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def show_tables(_: web.Request) -> web.Response:
        return web.json_response(await tables(database), headers=headers())

    async def show_issuing(_: web.Request) -> web.Response:
        text = issuing.page.PAGE.read_text("utf-8")
        sources = headers(**issuing.page.SOURCES)
        return web.Response(text=text, content_type="text/html", headers=sources)

    app.router.add_get("/", show_page)
    app.router.add_get(_ISSUING, show_issuing)
    app.router.add_get(_TABLES, show_tables)
    add_files(app, _FILES)
    vault.setup(app, database=f"sqlite:{database}", notify=notify, apply_interval_s=_APPLY_S)
    issuing.setup(app, signer=issuing.AuthorityForTests())
    setup(
        app,
        users=AnyAddress(),
        mail=smtp,
        site="the vault",
        suites=["ecdh-gcm"],
        public=_PUBLIC,
        require={"/vault/*": "ecdh-gcm", "/issuing/*": "ecdh-gcm"},
        # Users of the demo log in often.
        mail_limit=100,
        logins_per_user="none",
        logins_per_address="none",
    )
    app.middlewares.insert(0, _local_names_only)
    return app


def _page(mailbox: str) -> str:
    """The page of the vault, with the parts of the demo."""
    page = vault.page.PAGE.read_text("utf-8")
    for mark, part in (
        ("<certless-login></certless-login>", _MAILBOX.format(mailbox=mailbox)),
        ("</head>", _HEAD),
        ("</body>", _BESIDE),
    ):
        page = page.replace(mark, part)
    return page
