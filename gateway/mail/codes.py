"""Mails with codes: the limit for each user, and the content."""

import logging

from gateway.config.settings import Settings
from gateway.stores import Store
from gateway.users.directory import Account
from protocol.common.codes import CODE_LIFETIME_MS, Code

from .message import CodeMail
from .queue import MailQueue

_log = logging.getLogger("certless")


class CodeMails:
    """Counts mails to each user, and sends them in the background."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        mail_queue: MailQueue,
    ) -> None:
        self._settings = settings
        self._store = store
        self._queue = mail_queue

    async def may_be_sent(self, account: Account | None, tag: bytes) -> bool:
        """Count a mail to the user with ``tag``; whether they exist and are below the limit.

        The response does not show the result. The log does, without the name of the user.
        """
        settings = self._settings
        within_limit = await self._store.count_mail(tag, settings.clock(), settings.mail_limit)
        if account is None or not account.addresses or not within_limit:
            reason = "the limit of mails is reached"
            if account is None:
                reason = "there is no such user"
            elif not account.addresses:
                reason = "it has no address"
            _log.info("no mail to user %s: %s", tag.hex(), reason)
            return False
        return True

    def send(self, account: Account, tag: bytes, code: Code, remote: str) -> None:
        """Send in the background; returns at once. ``tag`` is the tag of the account's name."""
        mail = CodeMail(
            site=self._settings.site,
            user=account.name,
            code=code.text,
            requested_from=remote,
            minutes=CODE_LIFETIME_MS // 60_000,
        )
        self._queue.send(account.addresses, mail, tag)
