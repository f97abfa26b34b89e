"""The demo's mailbox: an SMTP server that keeps all mails, and a page that shows them.

Mails are not forwarded and not written to disk. Anybody who reaches the page can read all mails, so
it listens on loopback by default. Mails are untrusted: the page shows them as text, and its policy
allows only its own script.
"""

import asyncio
import contextlib
import email
import email.policy
import re
import secrets
import socket
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope

from gateway.pages import LOOK, add_files, headers
from protocol.common.codes import CODE_ALPHABET, CODE_LIFETIME_MS

from .news import News

MAX_MAILS = 100
MAX_MAIL_BYTES = 64 * 1024

_SMTP_TIMEOUT_S = 30
# A code is alone on its line. The codes of all suites have at least 8 characters.
_CODE = re.compile(rf"^[{CODE_ALPHABET}]{{8,64}}$", re.MULTILINE)
_HEADERS = headers()
_STATES = {
    "fresh": "",
    "used": "Used: it opened a session",
    "replaced": "Replaced by a newer mail",
    "expired": "Expired",
}
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address.

    ``when`` is the time of arrival, in UTC as ISO 8601. ``code`` is "" if the mail has none.
    ``used`` means that the code opened a session.
    """

    id: str
    to: str
    subject: str
    when: str
    text: str
    code: str
    used: bool = False


class Mailbox:
    """The last 100 mails; notifies waiting requests of a new one."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=MAX_MAILS)
        self._news = News()

    @property
    def mails(self) -> list[Mail]:
        """Newest first."""
        return list(reversed(self._mails))

    def put(self, to: str, content: bytes) -> None:
        """Keep ``content``, a mail from SMTP's DATA."""
        subject, text = _read(content)
        code = _CODE.search(text)
        self._mails.append(
            Mail(
                id=secrets.token_hex(8),
                to=_shown(to),
                subject=subject,
                when=datetime.now(UTC).isoformat(timespec="seconds"),
                text=text,
                code=code[0] if code else "",
            )
        )
        self._news.notify()

    def mark_used(self, to: str) -> None:
        """Mark the code of the newest mail to ``to`` as used."""
        for place in reversed(range(len(self._mails))):
            if self._mails[place].to.lower() == to.lower():
                self._mails[place] = replace(self._mails[place], used=True)
                self._news.notify()
                return

    @property
    def used(self) -> int:
        """The number of mails with a used code."""
        return sum(mail.used for mail in self._mails)

    async def newer_than(self, mail_id: str, used: str = "") -> None:
        """Return when the newest mail is not ``mail_id`` ("" means no mail), or on closing.

        With ``used``, also return when the number of used codes differs from it. An unknown id is
        not the newest one, so a page from before a restart gets a response at once.
        """
        await self._news.until(
            lambda: (
                mail_id != (self._mails[-1].id if self._mails else "")
                or used not in ("", str(self.used))
            )
        )

    def close(self) -> None:
        """End all waits."""
        self._news.close()


def _read(content: bytes) -> tuple[str, str]:
    """Subject and text of a mail, also of a malformed one."""
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        subject = str(message["Subject"] or "")
        body = message.get_body(("plain", "html"))
        text = str(body.get_content()) if body else ""
    except Exception:  # the parser raises many types, from LookupError to RecursionError
        subject, text = "(this mail cannot be read)", content.decode("utf-8", "replace")
    return " ".join(_shown(subject).split()), _shown(text.replace("\r\n", "\n"))


def _shown(text: str) -> str:
    """``text`` without characters that UTF-8 cannot encode: a mail may contain half a surrogate."""
    return text.encode("utf-8", "replace").decode()


# --- SMTP ---------------------------------------------------------------------------------------


class _Connection(SMTP):
    """One client's connection. Open ones are in ``live``, because a closing server keeps them."""

    def __init__(self, handler: Any, live: "set[_Connection]", **options: Any) -> None:
        super().__init__(handler, **options)
        self._live = live

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._live.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._live.discard(self)


class _Sink:
    """The handler that aiosmtpd calls when a mail is complete."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:
        for address in envelope.rcpt_tos:
            self._mailbox.put(address, envelope.original_content or b"")
        return "250 OK"


@contextlib.asynccontextmanager
async def smtp_sink(mailbox: Mailbox, listener: socket.socket) -> AsyncIterator[None]:
    """Run an SMTP server on ``listener`` that accepts mail for every address."""
    loop = asyncio.get_running_loop()
    live: set[_Connection] = set()
    server = await loop.create_server(
        lambda: _Connection(
            _Sink(mailbox),
            live,
            loop=loop,
            hostname="localhost",  # without it, the resolver blocks the loop
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            timeout=_SMTP_TIMEOUT_S,
        ),
        sock=listener,
    )
    try:
        yield
    finally:
        server.close()
        for connection in tuple(live):
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()
        await server.wait_closed()


# --- the page -----------------------------------------------------------------------------------


class MailboxPage:
    """``GET /`` for people, ``GET /mails.json`` for programs: all mails, newest first.

    With ``?after=ID`` both answer when the newest mail is a different one, or after 25 seconds;
    ``?after=`` waits for the first mail. With ``&used=NUMBER`` they also answer when the number of
    mails with a used code differs from it.
    """

    def __init__(self, mailbox: Mailbox, hint: str) -> None:
        """``hint`` is the command that an empty mailbox suggests."""
        self._mailbox = mailbox
        self._hint = hint
        self._page = Template((_HERE / "mailbox.html").read_text("utf-8"))

    def app(self) -> web.Application:
        """The application that serves the page."""
        app = web.Application()
        app.router.add_get("/", self._show)
        app.router.add_get("/mails.json", self._list)
        files = ("mailbox.css", "mailbox.js", "mailbox.svg")
        add_files(app, (LOOK, *(_HERE / name for name in files)))
        app.on_response_prepare.append(_harden)
        app.on_shutdown.append(self._close)
        return app

    async def _show(self, request: web.Request) -> web.Response:
        await self._wait(request)
        shown, seen = [], set[str]()
        for mail in self._mailbox.mails:
            shown.append(_article(mail, is_newest=not seen, is_replaced=mail.to.lower() in seen))
            seen.add(mail.to.lower())
        mails = "".join(shown)
        # Lines must not break inside a word of the command, for instance after a hyphen.
        hint = " ".join(f"<span>{escape(word)}</span>" for word in self._hint.split())
        page = self._page.substitute(mails=mails, hint=hint)
        return web.Response(text=page, content_type="text/html")

    async def _list(self, request: web.Request) -> web.Response:
        await self._wait(request)
        return web.json_response([asdict(mail) for mail in self._mailbox.mails])

    async def _wait(self, request: web.Request) -> None:
        known = request.query.get("after")
        if known is not None:
            await self._mailbox.newer_than(known, request.query.get("used", ""))

    async def _close(self, _: web.Application) -> None:
        self._mailbox.close()


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _article(mail: Mail, *, is_newest: bool, is_replaced: bool) -> str:
    subject, to = escape(mail.subject or "(no subject)"), escape(mail.to)
    state = "used" if mail.used else "replaced" if is_replaced else "fresh"
    until = datetime.fromisoformat(mail.when) + timedelta(milliseconds=CODE_LIFETIME_MS)
    if state == "fresh" and until <= datetime.now(UTC):
        state = "expired"
    return (
        f'<article class="card" id="mail-{mail.id}" data-state="{state}"'
        f' data-until="{until.isoformat()}">'
        f'<h2 dir="auto">{subject}</h2>'
        f'<p class="meta"><span>to <bdi>{to}</bdi></span> '
        f'<time datetime="{mail.when}">{_clock(mail.when)}</time></p>'
        f"{_code_box(mail.code, to, _STATES[state])}"
        f"<details{' open' * is_newest}><summary>Text of the mail</summary>"
        f'<pre dir="auto">{escape(mail.text.strip())}</pre></details></article>'
    )


def _code_box(code: str, to: str, state: str) -> str:
    if not code:
        return ""
    # If the code does not fit into one line, it breaks into two halves.
    half = (len(code) + 1) // 2
    return (
        f'<p class="code"><code>{code[:half]}<wbr>{code[half:]}</code> '
        f'<span class="state">{state}</span> '
        f'<button type="button" aria-label="Copy the code for {to}">Copy</button></p>'
    )


def _clock(when: str) -> str:
    return f"{when[11:16]} UTC"
