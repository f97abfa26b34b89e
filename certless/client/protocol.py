"""What a suite is to the client: a way to log in, to send, and to log out.

``client_classic`` and ``client_hardened`` each have one; ``client.Client`` speaks through it and
does not know which it is.
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

CodeSource: TypeAlias = str | Callable[[], str | Awaitable[str]]

_T = TypeVar("_T")


def given_code(found: Code | NoCode, absent: str) -> Code:
    """The code that was found; ``absent`` says what to do where there is none.

    Raises: CodeMistyped.
    """
    match found:
        case NoCode.ABSENT:
            raise CodeMistyped(absent)
        case NoCode.TWO:
            raise CodeMistyped("there are two different codes here: give the newest one alone")
    return found


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """Where the code comes from, and how often it may be asked for."""

    source: CodeSource
    attempts: int

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be 1 or more")

    async def enter(
        self, read: Callable[[str], Code], attempt: Callable[[Code], Awaitable[_T]]
    ) -> _T:
        """What ``attempt`` gives for the first code that is accepted.

        ``read`` raises CodeMistyped. Raises: CodeMistyped, CodeNotAccepted, and what ``attempt``
        raises.
        """
        refused: set[str] = set()
        for left in reversed(range(self.attempts)):
            try:
                code = read(await self._given())
                if code.text in refused:
                    # In classic, two payloads under one code would share a key stream
                    # (PROTOCOL §4.4); elsewhere it would cost an attempt.
                    raise CodeMistyped("this code was not accepted before: ask for a new one")
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
    async def login(self, username: str, entry: CodeEntry, password: str | None) -> None:
        """Open a session. One that fails leaves the session that was there as it was.

        Raises: ClientError.
        """

    @abstractmethod
    async def resume(self) -> None:
        """Open a session with the ticket that is kept. Raises: ClientError."""

    @abstractmethod
    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to one sealed request. Raises: ClientError."""

    @abstractmethod
    async def logout(self) -> None:
        """End the session on the server. Raises: ClientError."""
