"""The two ends between which the gateway carries a socket: a connection, and the application."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from protocol.streams.records import RecordType
from protocol.streams.sockets import Closed, Fragment, SocketHead


class Connection(ABC):
    """The WebSocket between client and gateway. It carries binary messages only."""

    @abstractmethod
    async def receive(self) -> bytes | None:
        """The next message, or None at the end. Raises: BrokenBody (another kind of message)."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Raises: ConnectionError."""

    @abstractmethod
    async def close(self, code: int, reason: str) -> None:
        """The first call counts."""


@dataclass(frozen=True, slots=True)
class SocketMessage:
    """A whole message of the application."""

    type: RecordType
    data: bytes


class AppSocket(Protocol):
    """A socket that the application has opened."""

    head: SocketHead

    async def deliver(self, fragment: Fragment) -> None:
        """Give a fragment to the application; waits while it does not read.

        Raises: BodyTooLarge. A fragment for an application that has ended is dropped.
        """

    async def receive(self) -> SocketMessage | Closed:
        """What the application sends next. Raises: BodyFailed (it has failed)."""

    async def closed(self, code: int, reason: str) -> None:
        """The client has closed."""

    async def lost(self, code: int) -> None:
        """The socket has ended without a close of the client. A later call does nothing."""
