"""A mailbox for everybody: an SMTP server that keeps what it gets, and a page that shows it.

Both are for trying things out. Nothing is sent on or written to disk, and whoever reaches the page
reads everybody's mail, so it listens on loopback unless told otherwise. What comes by mail is
untrusted: it reaches the page as text, and the page's policy lets no script but its own run.
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
# A code stands alone on its line. No suite has one of less than 8 characters.
_CODE = re.compile(rf"^[{CODE_ALPHABET}]{{8,64}}$", re.MULTILINE)
_HEADERS = headers()
_STATES = {
    "fresh": "",
    "used": "Used: it has opened a session",
    "replaced": "Replaced by a newer mail",
    "expired": "Expired",
}
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address. ``when`` it came, in UTC as ISO 8601; ``code`` is "" without one.

    ``used``: its code has opened a session.
    """

    id: str
    to: str
    subject: str
    when: str
    text: str
    code: str
    used: bool = False


class Mailbox:
    """The last 100 mails, and word of a new one for those who wait."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=MAX_MAILS)
        self._news = News()

    @property
    def mails(self) -> list[Mail]:
        """Newest first."""
        return list(reversed(self._mails))

    def put(self, to: str, content: bytes) -> None:
        """Keep ``content``, a mail as it stood in SMTP's DATA."""
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
        self._news.tell()

    def mark_used(self, to: str) -> None:
        """The code of the newest mail to ``to`` was right."""
        for place in reversed(range(len(self._mails))):
            if self._mails[place].to.lower() == to.lower():
                self._mails[place] = replace(self._mails[place], used=True)
                self._news.tell()
                return

    @property
    def used(self) -> int:
        """How many of the mails have a code that was used."""
        return sum(mail.used for mail in self._mails)

    async def newer_than(self, mail_id: str, used: str = "") -> None:
        """Returns once the newest mail is not ``mail_id`` ("" for: there is none), or in the end.

        With ``used``, also once that is not the number of codes that were used. An id that is not
        known here is not the newest either, so a page that outlived a restart learns of it at once.
        """
        await self._news.until(
            lambda: (
                mail_id != (self._mails[-1].id if self._mails else "")
                or used not in ("", str(self.used))
            )
        )

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._news.close()


def _read(content: bytes) -> tuple[str, str]:
    """Subject and text of a mail, whatever is wrong with it."""
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        subject = str(message["Subject"] or "")
        body = message.get_body(("plain", "html"))
        text = str(body.get_content()) if body else ""
    except Exception:  # the parser raises anything from LookupError to RecursionError
        subject, text = "(a mail that cannot be read)", content.decode("utf-8", "replace")
    return " ".join(_shown(subject).split()), _shown(text.replace("\r\n", "\n"))


def _shown(text: str) -> str:
    """``text`` without what UTF-8 cannot carry: mail may smuggle in half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


# --- SMTP ---------------------------------------------------------------------------------------


class _Conversation(SMTP):
    """One client's. Those under way are in ``live``, for a closing server leaves them open."""

    def __init__(self, handler: Any, live: "set[_Conversation]", **options: Any) -> None:
        super().__init__(handler, **options)
        self._live = live

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._live.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._live.discard(self)


class _Sink:
    """What aiosmtpd calls when a mail is complete."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:
        for address in envelope.rcpt_tos:
            self._mailbox.put(address, envelope.original_content or b"")
        return "250 OK"


@contextlib.asynccontextmanager
async def smtp_sink(mailbox: Mailbox, listener: socket.socket) -> AsyncIterator[None]:
    """An SMTP server on ``listener`` that takes mail for every address, while the context lasts."""
    loop = asyncio.get_running_loop()
    live: set[_Conversation] = set()
    server = await loop.create_server(
        lambda: _Conversation(
            _Sink(mailbox),
            live,
            loop=loop,
            hostname="localhost",  # without it the resolver is asked, and the loop waits
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
        for conversation in tuple(live):
            if isinstance(conversation.transport, asyncio.Transport):
                conversation.transport.abort()
        await server.wait_closed()


# --- the page -----------------------------------------------------------------------------------


class MailboxPage:
    """``GET /`` for people, ``GET /mails.json`` for programs: all mails, newest first.

    With ``?after=ID`` both answer once the newest mail is another than that, or after 25 seconds;
    ``?after=`` waits for the first one. With ``&used=NUMBER`` they also answer once that is not the
    number of mails whose code was used.
    """

    def __init__(self, mailbox: Mailbox, hint: str) -> None:
        """``hint`` is the command that an empty mailbox tells one to try."""
        self._mailbox = mailbox
        self._hint = hint
        self._page = Template((_HERE / "mailbox.html").read_text("utf-8"))

    def app(self) -> web.Application:
        """The application that serves it."""
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
        # Words of a command are not for breaking, least of all after a hyphen.
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
    # Where there is no room for one line there are two of the same length.
    half = (len(code) + 1) // 2
    return (
        f'<p class="code"><code>{code[:half]}<wbr>{code[half:]}</code> '
        f'<span class="state">{state}</span> '
        f'<button type="button" aria-label="Copy the code for {to}">Copy</button></p>'
    )


def _clock(when: str) -> str:
    return f"{when[11:16]} UTC"
