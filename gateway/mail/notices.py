"""Mails without a code to all addresses of a user, for instance about their vault."""

import asyncio
import logging
from dataclasses import dataclass

from gateway.errors import MailNotSent, MailOutcomeUnknown
from gateway.users.directory import Directory

from .message import CodeMail
from .transports import MailTransport

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class NoticeMail(CodeMail):
    """A mail that has a text instead of a code."""

    heading: str = ""
    content: str = ""

    @property
    def subject(self) -> str:
        return self.heading

    @property
    def text(self) -> str:
        return self.content

    @property
    def short(self) -> str:
        """One line, for an SMS."""
        return self.heading


class MailedNotices:
    """Sends notices by the transport of the codes."""

    def __init__(self, directory: Directory, transport: MailTransport, site: str) -> None:
        self._directory = directory
        self._transport = transport
        self._site = site

    async def send(self, username: str, subject: str, text: str) -> None:
        """Send to each address of the user. Raises: MailNotSent, if none was sent."""
        account = await self._directory.find(username)
        addresses = () if account is None else account.addresses
        heading = f"{self._site}: {subject}"
        mail = NoticeMail(self._site, username, "", "", 0, heading, text)
        sent = await asyncio.gather(*(self._is_sent(address, mail) for address in addresses))
        if not any(sent):
            raise MailNotSent("no address of the user took the mail")

    async def _is_sent(self, address: str, mail: NoticeMail) -> bool:
        try:
            await self._transport.deliver(address, mail)
        except MailOutcomeUnknown as error:
            _log.warning("a notice may have been sent: %s", error)
        except MailNotSent as error:
            _log.warning("a notice was not sent: %s", error)
            return False
        return True
