"""Mail transports without a mail server: a folder, the console, a webhook.

A MailTransport tries once and reports the result; ``gateway.mail.queue`` decides about retries.
``gateway.mail.smtp`` has the transport for SMTP.
"""

import asyncio
import secrets
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import aiohttp

from gateway.errors import MailNotSent, MailOutcomeUnknown

from .message import CodeMail
from .webhook_request import WebhookRequest

_CONNECT_S = 20
_ANSWER_S = 60
# Statuses that mean: try again later.
_RETRY_LATER = frozenset({408, 425, 429})
# A proxy had no response, so the outcome is unknown.
_UNKNOWN_OUTCOME = 504


class MailTransport(ABC):
    """Derive from this class to send codes by another channel."""

    @abstractmethod
    async def deliver(self, address: str, mail: CodeMail) -> None:
        """Send ``mail`` to ``address``, once. Raises: MailNotSent, MailOutcomeUnknown."""

    async def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """Close the connections."""


class FolderTransport(MailTransport):
    """Writes each mail to a folder, as an .eml file with mode 0600."""

    def __init__(self, folder: Path, sender: str) -> None:
        self.folder = folder
        self._sender = sender

    async def deliver(self, address: str, mail: CodeMail) -> None:
        try:
            await asyncio.to_thread(self._write, mail.to_email(self._sender, address).as_bytes())
        except OSError as error:
            raise MailNotSent(f"mail folder {self.folder}: {error.strerror}") from None
        except ValueError:
            raise MailNotSent("the address makes no valid mail", final=True) from None

    def _write(self, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = secrets.token_hex(8)
        part = self.folder / f"{name}.part"
        part.touch(mode=0o600)
        part.write_bytes(content)
        # Renamed when complete, because other programs watch this folder.
        part.rename(self.folder / f"{name}.eml")


class ConsoleTransport(MailTransport):
    """Writes mails to standard output, for tests and demos."""

    async def deliver(self, address: str, mail: CodeMail) -> None:
        sys.stdout.write(f"--- mail to {address}: {mail.subject}\n{mail.text}---\n")
        sys.stdout.flush()


class WebhookTransport(MailTransport):
    """Sends ``POST {"to", "subject", "text"}`` to a URL, for instance of an SMS gateway.

    A WebhookRequest instead of the URL has headers and another body.
    """

    def __init__(self, request: str | WebhookRequest) -> None:
        self._request = WebhookRequest(request) if isinstance(request, str) else request
        self.url = self._request.url
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, address: str, mail: CodeMail) -> None:
        if self._session is None:
            # A new connection for each mail: the server could close a reused one at that moment,
            # and the outcome would be unknown.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S),
                connector=aiohttp.TCPConnector(force_close=True),
                # Only the status matters: do not decompress the body or store cookies.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        content = self._request.content(address, mail)
        is_form = self._request.format == "form"
        try:
            async with self._session.post(
                self.url,
                json=None if is_form else content,
                data=content if is_form else None,
                headers=self._request.headers,
                allow_redirects=False,
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
    if status == _UNKNOWN_OUTCOME:
        raise MailOutcomeUnknown(f"the webhook answers {status}")
    final = 300 <= status < 500 and status not in _RETRY_LATER
    raise MailNotSent(f"the webhook answers {status}", final=final)
