"""What a login needs besides its code: the check of the directory, then a webhook if one is set."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from gateway.users.directory import Account, Directory

from .webhook import CheckFailed, CheckWebhook

_log = logging.getLogger("certless")


class SecondCheck:
    """Asks the directory first, so that a wrong password sends no question to a phone."""

    def __init__(self, directory: Directory, webhook: CheckWebhook | None) -> None:
        self._directory = directory
        self._webhook = webhook

    async def is_wanted(self, account: Account) -> bool:
        """Whether the code is not enough for this account."""
        return self._webhook is not None or not await self._directory.check(account, {})

    async def passes(
        self,
        account: Account,
        payload: Mapping[str, Any],
        members: Mapping[str, Any],
        session_id: bytes,
    ) -> bool:
        """Whether the directory accepts ``payload``, and the webhook says yes to ``members``."""
        if not await self._directory.check(account, payload):
            return False
        if self._webhook is None:
            return True
        if account.password_hash is not None:
            # Only this gateway checks the password.
            members = {name: value for name, value in members.items() if name != "password"}
        session = hashlib.sha256(session_id).hexdigest()
        try:
            return await self._webhook.confirms(account.name, session, members)
        except CheckFailed as error:
            _log.warning("second check refused: %s", error)
            return False

    async def close(self) -> None:
        """Close the connections."""
        if self._webhook is not None:
            await self._webhook.close()
