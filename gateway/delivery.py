"""How a code reaches its user: SMTP, a folder of .eml files, the console, or a webhook.

A Delivery tries once and says whether it worked; ``gateway.courier`` decides what then.
"""

import asyncio
import secrets
import ssl
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
import aiosmtplib

from protocol.codes import HARDENED_CODE_CHARS

from .config import http_url
from .errors import ConfigError, MailNotSent

_TIMEOUT_S = 20
_HOW_TO_TYPE = "Small letters, spaces and hyphens are fine. What looks like O or I is 0 or 1.\n"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class CodeMail:
    """The words that carry a code to one address."""

    site: str
    user: str
    code: str
    requested_from: str
    minutes: int

    def __repr__(self) -> str:
        return f"CodeMail(site={self.site!r}, user={self.user!r})"

    @property
    def subject(self) -> str:
        return f"Your code for {self.site}"

    @property
    def text(self) -> str:
        """The body; the code stands alone on its line, made to be copied, and a short one to be
        typed as well."""
        short = len(self.code) == HARDENED_CODE_CHARS
        way = "copy or type" if short else "copy"
        return (
            f"Somebody at {self.requested_from} asked to log in to {self.site} as {self.user}.\n"
            f"If that was you, {way} this code into the page or program that waits for it:\n"
            "\n"
            f"{self.code}\n"
            "\n"
            f"{_HOW_TO_TYPE if short else ''}"
            f"It works once, for {self.minutes} minutes.\n"
            "If that was not you, do nothing, and give this code to nobody.\n"
        )

    def to_email(self, sender: str, address: str) -> EmailMessage:
        """The mail to one address, plain text."""
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = sender
        message["To"] = address
        message["Subject"] = self.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text)
        return message


class Delivery(ABC):
    """The contract: derive from it to reach users by another channel."""

    @abstractmethod
    async def deliver(self, address: str, mail: CodeMail) -> None:
        """Hand ``mail`` over for ``address``. Raises: MailNotSent."""

    async def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of connections."""


class SmtpDelivery(Delivery):
    """To an SMTP server. ``starttls``: True demands it, None takes it where it is offered."""

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        *,
        tls: bool = False,
        starttls: bool | None = None,
        username: str | None = None,
        password: str | None = None,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.server = f"{host}:{port}"
        self.sender = sender
        self.is_local = host in LOOPBACK
        self.logs_in = username is not None
        self._host = host
        self._port = port
        self._tls = tls
        self._starttls = starttls
        self._username = username
        self._password = password
        self._tls_context = tls_context

    async def answers(self) -> bool:
        """Whether something listens there at all."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                _, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    def connection(self) -> aiosmtplib.SMTP:
        """A connection that is not made yet; made, it is as safe as told, and logged in."""
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=self._starttls,
            username=self._username,
            password=self._password,
            tls_context=self._tls_context,
            timeout=_TIMEOUT_S,
        )

    async def deliver(self, address: str, mail: CodeMail) -> None:
        try:
            async with self.connection() as smtp:
                # Said here, since a header can spell an address in more than one way.
                await smtp.send_message(mail.to_email(self.sender, address), recipients=[address])
        except aiosmtplib.SMTPRecipientsRefused as error:
            final = all(recipient.code >= 500 for recipient in error.recipients)
            raise MailNotSent("the SMTP server refuses the address", final=final) from None
        except aiosmtplib.SMTPAuthenticationError:
            raise MailNotSent("the SMTP server refuses user or password") from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailNotSent(f"the SMTP server says {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailNotSent(f"SMTP {self.server}: {type(error).__name__}") from None


class FolderDelivery(Delivery):
    """To a folder, one .eml file a mail, mode 0600."""

    def __init__(self, folder: Path, sender: str) -> None:
        self.folder = folder
        self._sender = sender

    async def deliver(self, address: str, mail: CodeMail) -> None:
        try:
            await asyncio.to_thread(self._write, mail.to_email(self._sender, address).as_bytes())
        except OSError as error:
            raise MailNotSent(f"mail folder {self.folder}: {error.strerror}") from None

    def _write(self, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = secrets.token_hex(8)
        part = self.folder / f"{name}.part"
        part.touch(mode=0o600)
        part.write_bytes(content)
        # Under its final name only when it is whole: others watch this folder.
        part.rename(self.folder / f"{name}.eml")


class ConsoleDelivery(Delivery):
    """To standard output, for trying things out."""

    async def deliver(self, address: str, mail: CodeMail) -> None:
        sys.stdout.write(f"--- mail to {address}: {mail.subject}\n{mail.text}---\n")
        sys.stdout.flush()


class WebhookDelivery(Delivery):
    """To a URL, as ``POST {"to", "subject", "text"}``: for SMS gateways and the like."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, address: str, mail: CodeMail) -> None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        content = {"to": address, "subject": mail.subject, "text": mail.text}
        try:
            async with self._session.post(
                self.url, json=content, allow_redirects=False
            ) as response:
                if not response.ok or response.status >= 300:
                    raise MailNotSent(f"the webhook says {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise MailNotSent(f"the webhook: {type(error).__name__}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def delivery_from_url(url: str, sender: str) -> Delivery:
    """The Delivery that ``url`` names. Raises: ConfigError.

    ``smtp://[user:password@]host[:port]`` takes STARTTLS where offered, and demands it before it
    sends a password anywhere but to this machine; ``smtp+starttls://`` always demands it;
    ``smtps://`` is TLS from the start; ``dir:PATH``, ``console:``, ``webhook:URL``.
    """
    try:
        CodeMail("site", "user", "code", "nowhere", 1).to_email(sender, "user@example.org")
    except ValueError:
        raise ConfigError("mail_from must be an address like codes@example.org") from None
    scheme, colon, rest = url.partition(":")
    match scheme:
        case "smtp" | "smtps" | "smtp+starttls":
            return _smtp(url, sender)
        case "dir" if rest:
            return FolderDelivery(Path(rest), sender)
        case "console" if colon and not rest:
            return ConsoleDelivery()
        case "webhook" if http_url(rest):
            return WebhookDelivery(rest)
    # The URL may hold a password, so it is not repeated here.
    raise ConfigError("mail must be smtp://HOST:PORT, smtps://…, dir:PATH, console: or webhook:URL")


def _smtp(url: str, sender: str) -> SmtpDelivery:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("mail: an SMTP server is smtp://[USER:PASSWORD@]HOST[:PORT]")
    demand = parts.scheme == "smtp+starttls" or (parts.username and host not in LOOPBACK)
    tls = parts.scheme == "smtps"
    default_port = 465 if tls else 587 if demand or parts.username else 25
    return SmtpDelivery(
        host,
        port or default_port,
        sender,
        tls=tls,
        starttls=False if tls else True if demand else None,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
