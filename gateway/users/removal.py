"""A reload of the users ends the sessions of removed users."""

import logging
from collections.abc import Callable

from gateway.errors import StoreUnavailable
from gateway.events import Events, UserRemoved
from gateway.stores import Store
from protocol.common.codes import normalise_username
from protocol.common.errors import RejectedMessage

from .directory import Directory

_log = logging.getLogger("certless")


class UserRemoval:
    """Reloads a directory, and ends sessions, logins, tickets and codes of removed users."""

    def __init__(
        self, directory: Directory, store: Store, tag_of: Callable[[str], bytes], events: Events
    ) -> None:
        self._directory = directory
        self._store = store
        self._tag_of = tag_of
        self._events = events
        self._removed: set[str] = set()

    async def reload(self) -> None:
        """Raises: ConfigError; the users are then unchanged."""
        self._removed |= set(await self._directory.reload())
        try:
            for user in sorted(self._removed):
                if not await self._is_back(user):
                    tag = self._tag_of(user)
                    count = await self._store.end_user(tag)
                    _log.info("user %s was removed: %d sessions ended", tag.hex(), count)
                    # Only the first of several gateways finds sessions.
                    if count:
                        self._events.emit(UserRemoved(tag, count))
                self._removed.discard(user)
        except StoreUnavailable as error:
            count = len(self._removed)
            _log.error("sessions of %d removed users are open, reload again: %s", count, error)

    async def _is_back(self, user: str) -> bool:
        try:
            account = await self._directory.find(normalise_username(user))
        except RejectedMessage:
            return False
        return account is not None and account.name == user
