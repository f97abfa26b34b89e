"""The interface of a suite in the client: log in, send, log out.

``classic`` and ``hardened`` implement it; ``Client`` uses it for every suite.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from protocol.common.codes import Code
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.typed_codes import NoCode

from .errors import CodeMistyped, CodeNotAccepted
from .sockets import SocketCall, WebSocket
from .streams import StreamCall, StreamResponse

CodeSource: TypeAlias = str | Callable[[], str | Awaitable[str]]

_T = TypeVar("_T")


def given_code(found: Code | NoCode, absent: str) -> Code:
    """The code that was found; ``absent`` is the error text if there is none.

    Raises: CodeMistyped.
    """
    match found:
        case NoCode.ABSENT:
            raise CodeMistyped(absent)
        case NoCode.TWO:
            raise CodeMistyped("there are two different codes: enter only the newest one")
    return found


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """The source of the code, and how often to ask it."""

    source: CodeSource
    attempts: int

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be 1 or more")

    async def enter(
        self, read: Callable[[str], Code], attempt: Callable[[Code], Awaitable[_T]]
    ) -> _T:
        """The result of ``attempt`` for the first accepted code.

        ``read`` raises CodeMistyped. Raises: CodeMistyped, CodeNotAccepted, and what ``attempt``
        raises.
        """
        refused: set[str] = set()
        for left in reversed(range(self.attempts)):
            try:
                code = read(await self._given())
                if code.text in refused:
                    # In classic, two payloads with one code would share a key stream
                    # (PROTOCOL §3.3.3); in the other suites it would use up an attempt.
                    raise CodeMistyped("this code was refused before: ask for a new one")
                refused.add(code.text)
                return await attempt(code)
            except (CodeNotAccepted, CodeMistyped):
                if not left or isinstance(self.source, str):
                    raise
        raise AssertionError("attempts are 1 or more")

    async def _given(self) -> str:
        given = self.source if isinstance(self.source, str) else self.source()
        return await given if inspect.isawaitable(given) else given


class ClientProtocol(ABC):
    """One user's session with one gateway, in one suite."""

    @abstractmethod
    async def login(
        self, username: str, entry: CodeEntry, password: str | None, device: str | None
    ) -> None:
        """Open a session. If this fails, an earlier session stays open.

        Raises: ClientError, ValueError (the suite has no devices, or this is no name of one).
        """

    @abstractmethod
    async def resume(self) -> None:
        """Open a session with the stored ticket. Raises: ClientError."""

    @abstractmethod
    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one sealed request; return its response. Raises: ClientError."""

    @abstractmethod
    async def stream(self, call: StreamCall) -> StreamResponse:
        """The answer to a request whose body, and answer, may be of any length.

        Raises: ClientError, ValueError (the suite has no streams).
        """

    @abstractmethod
    async def socket(self, call: SocketCall) -> WebSocket:
        """An open WebSocket. Raises: ClientError, ValueError (the suite has none)."""

    @abstractmethod
    def export(self, label: str, context: bytes, length: int) -> bytes:
        """A value of the exporter. Raises: NotLoggedIn, ValueError (the suite has none)."""

    @abstractmethod
    async def logout(self) -> None:
        """End the session on the server. Raises: ClientError."""
