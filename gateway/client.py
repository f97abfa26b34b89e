"""The Python client: log in with a code from the mail, then call the API as if in plain HTTP.

::

    async with Client("http://127.0.0.1:8440") as client:
        await client.login("ann@example.org", code=ask)
        response = await client.post("/orders", json={"item": "tea"})
        print(response.status, await response.json())

Every request goes as ``{prefix}/message``: method, path, headers and body are all sealed.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from yarl import URL

from protocol.dialects import DEFAULT_DIALECT, Dialect
from protocol.messages import HttpRequest

from .client_classic import ClassicConversation
from .client_conversation import CodeEntry, CodeSource, Conversation
from .client_errors import (
    AnswerNotTrusted,
    ClientError,
    ClockNotAccepted,
    CodeMistyped,
    CodeNotAccepted,
    NoGateway,
    NotLoggedIn,
    Refused,
    SuiteNotAccepted,
    TicketNotAccepted,
    TicketNotKept,
)
from .client_request import http_request
from .client_response import RequestContext, Response
from .client_transport import Transport
from .config import DEFAULT_PREFIX, find_dialect, http_url, system_clock
from .sessions import Clock

__all__ = [
    "AnswerNotTrusted",
    "Client",
    "ClientError",
    "ClockNotAccepted",
    "CodeMistyped",
    "CodeNotAccepted",
    "NoGateway",
    "NotLoggedIn",
    "Refused",
    "Response",
    "SuiteNotAccepted",
    "TicketNotAccepted",
    "TicketNotKept",
]


class Client:
    """One user's session with one gateway."""

    def __init__(
        self,
        url: str,
        *,
        dialect: str | Dialect = DEFAULT_DIALECT,
        prefix: str = DEFAULT_PREFIX,
        timeout_s: float = 60,
        clock: Clock = system_clock,
    ) -> None:
        parsed = http_url(url)
        if parsed is None:
            raise ValueError("url must be like http://127.0.0.1:8440")
        self._url = parsed
        self._transport = Transport(parsed, prefix, timeout_s)
        spoken = find_dialect(dialect) if isinstance(dialect, str) else dialect
        self._conversation: Conversation = ClassicConversation(self._transport, spoken, clock)

    async def __aenter__(self) -> Self:
        self._transport.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections. The session on the server lives on until it expires."""
        await self._transport.close()

    async def login(
        self,
        username: str,
        *,
        code: CodeSource,
        password: str | None = None,
        attempts: int = 1,
    ) -> None:
        """Name the user, get the code, open the session.

        ``code`` is asked once the mail is on its way: a function or coroutine function without
        arguments, or the code itself; white space and case do not matter. A function is asked
        up to ``attempts`` times (a code stands 5) while the gateway does not accept what it gives.
        Raises: ClientError, aiohttp.ClientError.
        """
        await self._conversation.login(username, CodeEntry(code, attempts), password)

    async def logout(self) -> None:
        """End the session on the server. Raises: ClientError, aiohttp.ClientError."""
        await self._conversation.logout()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, str] | None = None,
    ) -> RequestContext:
        """One sealed request; a response of any status.

        ``json`` and ``data`` as in aiohttp: text, bytes, or a mapping for a form.
        Raises: ClientError, aiohttp.ClientError.
        """
        inside = http_request(method, path, params=params, headers=headers, json=json, data=data)
        return RequestContext(self._send(inside))

    def get(self, path: str, **options: Any) -> RequestContext:
        """``request("GET", path, ...)``."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> RequestContext:
        """``request("POST", path, ...)``."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> RequestContext:
        """``request("PUT", path, ...)``."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> RequestContext:
        """``request("PATCH", path, ...)``."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> RequestContext:
        """``request("DELETE", path, ...)``."""
        return self.request("DELETE", path, **options)

    async def _send(self, inside: HttpRequest) -> Response:
        response = await self._conversation.send(inside)
        return Response(inside.method, self._url.join(URL(inside.target, encoded=True)), response)
