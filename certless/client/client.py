"""The Python client: log in with a code from the mail, then call the API as if in plain HTTP.

::

    async with Client("http://127.0.0.1:8440") as client:
        await client.login("ann@example.org", code=ask)
        response = await client.post("/orders", json={"item": "tea"})
        print(response.status, await response.json())

Every request goes as ``{prefix}/message``: method, path, headers and body are all sealed.

A client speaks one suite, ``ecdh-gcm`` unless told otherwise, and never falls back to another by
itself. Who names a ``dialect`` means ``classic``.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, Unpack, get_args

from aiohttp import FormData
from yarl import URL

from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX, DIALECTS, Dialect
from protocol.common.envelopes import Format
from protocol.common.messages import HttpRequest
from protocol.hardened.suites import (
    DEFAULT_REALM,
    FRESHNESS,
    HARDENED_SUITES,
    RSA_GCM,
    Freshness,
)

from .classic import ClassicClientProtocol
from .clock import Clock, steady_clock, system_clock
from .handshake import Choices
from .hardened import HardenedClientProtocol
from .protocol import ClientProtocol, CodeEntry, CodeSource
from .request import Data, FormRequest, RequestOptions, form_request, http_request
from .response import RequestContext, Response
from .rsa_key import ExternalKey, RsaDecrypter
from .tickets import TicketFile, Tickets
from .transport import Transport

Suite: TypeAlias = Literal["ecdh-gcm", "rsa-gcm", "classic"]

SUITES: tuple[Suite, ...] = get_args(Suite)
DEFAULT_SUITE: Suite = "ecdh-gcm"
CLASSIC: Suite = "classic"


class Client:
    """One user's session with one gateway."""

    def __init__(
        self,
        url: str,
        *,
        suite: Suite | None = None,
        fresh: Freshness = "clock",
        envelope: Format = "msgpack",
        realm: str = DEFAULT_REALM,
        tickets: str | Path | Tickets | None = None,
        rsa_key: RsaDecrypter | None = None,
        dialect: str | Dialect | None = None,
        prefix: str = DEFAULT_PREFIX,
        timeout_s: float = 60,
        clock: Clock = system_clock,
        steady: Clock = steady_clock,
    ) -> None:
        """
        ``suite``     ``ecdh-gcm``, ``rsa-gcm`` or ``classic``; without it ``ecdh-gcm``, or
                      ``classic`` where a dialect is named
        ``fresh``     ``clock``, or ``counter`` for a device without one
        ``envelope``  ``msgpack`` or ``json``: how messages are written outside the seal
        ``realm``     the gateway's
        ``tickets``   where to keep what ``resume`` needs: the path of a file, or Tickets
        ``rsa_key``   rsa-gcm only: a key that is not here, as in hardware, instead of a new one
                      for each session
        ``dialect``   classic only: a name from PROTOCOL §2, or a Dialect of your own
        ``timeout_s`` how long one exchange may take, to the last byte of its answer: NoAnswer;
                      ``rsa_key`` has as long again

        Raises: ValueError, for an unknown dialect and for what does not go together.
        """
        self._url = _http_url(url)
        self._transport = Transport(self._url, prefix, timeout_s)
        spoken = suite or (DEFAULT_SUITE if dialect is None else CLASSIC)
        _check(spoken, fresh, envelope)
        if rsa_key is not None and spoken != RSA_GCM.name:
            raise ValueError(f"rsa_key is for rsa-gcm, not for {spoken}: give suite='rsa-gcm'")
        external = None if rsa_key is None else ExternalKey(rsa_key, timeout_s)
        self._protocol: ClientProtocol
        if spoken == CLASSIC:
            if tickets is not None or fresh != "clock":
                raise ValueError("classic has neither tickets nor counters: choose another suite")
            chosen = DEFAULT_DIALECT if dialect is None else dialect
            chosen = _dialect_by_name(chosen) if isinstance(chosen, str) else chosen
            self._protocol = ClassicClientProtocol(self._transport, chosen, clock)
        else:
            if dialect is not None:
                raise ValueError(f"{spoken} has no dialects: name a suite or a dialect, not both")
            choices = Choices(HARDENED_SUITES[spoken], fresh, envelope, realm, external)
            kept = TicketFile(tickets) if isinstance(tickets, str | Path) else tickets
            self._protocol = HardenedClientProtocol(self._transport, choices, kept, clock, steady)

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
        arguments, or the code itself; white space, hyphens and case do not matter. A function is
        asked up to ``attempts`` times (a code stands 5) while the gateway does not accept what it
        gives.
        Raises: ClientError.
        """
        await self._protocol.login(username, CodeEntry(code, attempts), password)

    async def resume(self) -> None:
        """Open a new session without a code, by the ticket that ``tickets`` keeps.

        Where the answer is lost the ticket is still good: call it again.
        Raises: NotLoggedIn (no ticket is kept), ClientError.
        """
        await self._protocol.resume()

    async def logout(self) -> None:
        """End the session on the server, and forget the ticket.

        Raises: ClientError.
        """
        await self._protocol.logout()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Data | None = None,
    ) -> RequestContext:
        """One sealed request; a response of any status.

        ``path`` is sent as it is written. ``json`` and ``data`` as in aiohttp: text, bytes, a
        mapping for a form, or a FormData.
        Raises: ClientError.
        """
        if isinstance(data, FormData):
            if json is not None:
                raise ValueError("give json or data, not both")
            form = form_request(method, path, data, params=params, headers=headers)
            return RequestContext(self._send_form(form))
        inside = http_request(method, path, params=params, headers=headers, json=json, data=data)
        return RequestContext(self._send(inside))

    def get(self, path: str, **options: Unpack[RequestOptions]) -> RequestContext:
        """``request("GET", path, ...)``."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Unpack[RequestOptions]) -> RequestContext:
        """``request("POST", path, ...)``."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Unpack[RequestOptions]) -> RequestContext:
        """``request("PUT", path, ...)``."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Unpack[RequestOptions]) -> RequestContext:
        """``request("PATCH", path, ...)``."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack[RequestOptions]) -> RequestContext:
        """``request("DELETE", path, ...)``."""
        return self.request("DELETE", path, **options)

    async def _send(self, inside: HttpRequest) -> Response:
        response = await self._protocol.send(inside)
        url = URL(f"{self._url.origin()}{inside.target}", encoded=True)
        return Response(inside.method, url, response)

    async def _send_form(self, form: FormRequest) -> Response:
        return await self._send(await form.whole())


def _check(suite: str, fresh: str, envelope: str) -> None:
    """What a type checker would have said."""
    for name, given, known in (
        ("suite", suite, SUITES),
        ("fresh", fresh, tuple(FRESHNESS)),
        ("envelope", envelope, get_args(Format)),
    ):
        if given not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}")


def _http_url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("url must be like http://127.0.0.1:8440")
    return url


def _dialect_by_name(name: str) -> Dialect:
    if name not in DIALECTS:
        raise ValueError(f"no dialect {name!r}; there are: {', '.join(DIALECTS)}")
    return DIALECTS[name]
