"""How a code reaches its user without a mail server: a folder, the console, a webhook.

A MailTransport tries once and says whether it worked; ``gateway.mail.queue`` decides what
then. The one by SMTP is in ``gateway.mail.smtp``.
"""

import asyncio
import secrets
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import aiohttp

from gateway.errors import MailNotSent, MailOutcomeUnknown

from .message import CodeMail

_CONNECT_S = 20
_ANSWER_S = 60
# Of these a webhook says by its number that it may go well later.
_LATER = frozenset({408, 425, 429})
# Whether the one behind it has done its work, a proxy does not know then.
_NOBODY_KNOWS = 504


class MailTransport(ABC):
    """The contract: derive from it to reach users by another channel."""

    @abstractmethod
    async def deliver(self, address: str, mail: CodeMail) -> None:
        """Hand ``mail`` over for ``address``. Raises: MailNotSent, MailOutcomeUnknown."""

    async def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of connections."""


class FolderTransport(MailTransport):
    """To a folder, one .eml file a mail, mode 0600."""

    def __init__(self, folder: Path, sender: str) -> None:
        self.folder = folder
        self._sender = sender

    async def deliver(self, address: str, mail: CodeMail) -> None:
        try:
            await asyncio.to_thread(self._write, mail.to_email(self._sender, address).as_bytes())
        except OSError as error:
            raise MailNotSent(f"mail folder {self.folder}: {error.strerror}") from None
        except ValueError:
            raise MailNotSent("no mail can be made for the address", final=True) from None

    def _write(self, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = secrets.token_hex(8)
        part = self.folder / f"{name}.part"
        part.touch(mode=0o600)
        part.write_bytes(content)
        # Under its final name only when it is whole: others watch this folder.
        part.rename(self.folder / f"{name}.eml")


class ConsoleTransport(MailTransport):
    """To standard output, for trying things out."""

    async def deliver(self, address: str, mail: CodeMail) -> None:
        sys.stdout.write(f"--- mail to {address}: {mail.subject}\n{mail.text}---\n")
        sys.stdout.flush()


class WebhookTransport(MailTransport):
    """To a URL, as ``POST {"to", "subject", "text"}``: for SMS gateways and the like."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, address: str, mail: CodeMail) -> None:
        if self._session is None:
            # On a connection of its own: one that was kept may be closed just then, and nobody
            # would know whether the mail had been read.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S),
                connector=aiohttp.TCPConnector(force_close=True),
                # Only the status is wanted: of what else comes nothing is unpacked or kept.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        content = {"to": address, "subject": mail.subject, "text": mail.text}
        try:
            async with self._session.post(
                self.url, json=content, allow_redirects=False
            ) as response:
                _check(response.status)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise MailNotSent(f"the webhook: {type(error).__name__}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise MailOutcomeUnknown(f"the webhook: {type(error).__name__}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _check(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == _NOBODY_KNOWS:
        raise MailOutcomeUnknown(f"the webhook says {status}")
    final = 300 <= status < 500 and status not in _LATER
    raise MailNotSent(f"the webhook says {status}", final=final)
