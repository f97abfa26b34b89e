"""Mails with codes: the limit for each user, and the content."""

import logging
from collections.abc import Callable

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
        tag_of: Callable[[str], bytes],
        mail_queue: MailQueue,
    ) -> None:
        self._settings = settings
        self._store = store
        self._tag_of = tag_of
        self._queue = mail_queue

    async def may_be_sent(self, account: Account | None, user: str) -> bool:
        """Count a mail to ``user``; whether the user exists and the limit is not reached.

        The response does not show the result. The log does, without the name of the user.
        """
        tag, settings = self._tag_of(user), self._settings
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

    def send(self, account: Account, code: Code, remote: str) -> None:
        """Send in the background; returns at once."""
        mail = CodeMail(
            site=self._settings.site,
            user=account.name,
            code=code.text,
            requested_from=remote,
            minutes=CODE_LIFETIME_MS // 60_000,
        )
        self._queue.send(account.addresses, mail, self._tag_of(account.name))
