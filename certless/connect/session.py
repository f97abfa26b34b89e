"""The session of ``connect`` at one gateway: sealed requests, resumption, and when to log in."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from certless.client import (
    Client,
    ClientError,
    NoAnswer,
    NotLoggedIn,
    Refused,
)

from .errors import Interrupted, LoginNeeded

_T = TypeVar("_T")


class SealedSession:
    """One user's session, for all requests. ``can_resume`` if the client has a ticket file."""

    def __init__(self, client: Client, *, can_resume: bool) -> None:
        self.client = client
        self.requests = 0
        self._can_resume = can_resume
        self._is_open = False
        self._opened = 0  # how often a session was opened
        self._lock = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the last request found a session."""
        return self._is_open

    def logged_in(self) -> None:
        """A login has opened a session."""
        self._is_open = True
        self._opened += 1

    async def start(self) -> None:
        """Resume with the stored ticket, if there is one. Raises: NoAnswer."""
        await self._resume(self._opened)

    async def logout(self) -> None:
        """End the session and delete the ticket. Raises: ClientError."""
        self._is_open = False
        await self.client.logout()

    async def open(
        self, call: Callable[[], AbstractAsyncContextManager[_T]], *, is_repeatable: bool
    ) -> _T:
        """The stream or socket of ``call``; the caller closes it.

        A lost session is resumed. The request is then sent again if nothing was sent before, or
        if it ``is_repeatable``. Raises: LoginNeeded, Interrupted, ClientError, ValueError.
        """
        if not self._is_open:
            raise LoginNeeded("there is no session: log in")
        seen = self._opened
        try:
            return await self._enter(call)
        except NotLoggedIn:
            was_sent = False
        except Refused as error:
            if error.code != "rejected":
                raise
            was_sent = True
        # The refusal is not sealed: the request may have been processed all the same.
        await self._resume(seen)
        if not self._is_open:
            raise LoginNeeded("the session has ended: log in again")
        if was_sent and not is_repeatable:
            raise Interrupted(
                "the session was lost and is open again. Check whether your request was "
                "processed before you send it again"
            )
        return await self._enter(call)

    async def _enter(self, call: Callable[[], AbstractAsyncContextManager[_T]]) -> _T:
        opened = await call().__aenter__()
        self.requests += 1
        return opened

    async def _resume(self, seen: int) -> None:
        """Open a new session with the ticket, once for all requests that lost the same one."""
        async with self._lock:
            if self._opened != seen:
                return
            self._is_open = False
            if not self._can_resume:
                return
            try:
                await self.client.resume()
            except NoAnswer:
                raise
            except ClientError:
                return
            self.logged_in()
