"""Storage of a Python client's ticket, which opens a session without a code (PROTOCOL §2.8).

A ticket replaces the login. A thief can act as the user with it until it is revoked.
"""

import asyncio
import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from .errors import TicketNotKept
from .private_files import ReadableByOthers, delete_private, read_private, write_private


class Tickets(ABC):
    """Storage for one ticket, as bytes."""

    @abstractmethod
    async def load(self) -> bytes | None:
        """The ticket that was stored last, or None. Raises: TicketNotKept."""

    @abstractmethod
    async def keep(self, ticket: bytes) -> None:
        """Replace the stored ticket by ``ticket``; it is on the disk when this returns.

        Raises: TicketNotKept; the previous ticket is then still stored.
        """

    @abstractmethod
    async def forget(self) -> None:
        """Delete the stored ticket. Raises: TicketNotKept."""

    @abstractmethod
    def resuming(self) -> AbstractAsyncContextManager[None]:
        """A lock while a client resumes; a second client gets TicketNotKept."""


class TicketFile(Tickets):
    """A ticket in a file with mode 0600; ``PATH.lock`` is its lock file."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    async def load(self) -> bytes | None:
        return await asyncio.to_thread(self._load)

    def _load(self) -> bytes | None:
        try:
            return read_private(self._path)
        except ReadableByOthers:
            raise TicketNotKept(
                f"other users can read the ticket {self._path}: chmod 600 {self._path}"
            ) from None
        except OSError as error:
            raise TicketNotKept(f"ticket {self._path}: {error.strerror}") from None

    async def keep(self, ticket: bytes) -> None:
        await asyncio.to_thread(self._keep, ticket)

    def _keep(self, ticket: bytes) -> None:
        try:
            write_private(self._path, ticket)
        except OSError as error:
            raise TicketNotKept(f"ticket {self._path}: {error.strerror}") from None

    async def forget(self) -> None:
        try:
            delete_private(self._path)
        except OSError as error:
            raise TicketNotKept(f"ticket {self._path}: {error.strerror}") from None

    @asynccontextmanager
    async def resuming(self) -> AsyncIterator[None]:
        handle = self._lock()
        try:
            yield
        finally:
            os.close(handle)

    def _lock(self) -> int:
        """A lock that the system also releases if this process is killed."""
        path = self._path.with_name(self._path.name + ".lock")
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise TicketNotKept(f"ticket {path}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise TicketNotKept(
                f"another client is resuming with {self._path}: use one file for each client"
            ) from None
        return handle
