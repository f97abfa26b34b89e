"""The Python client: log in with a code from the mail, then call the API as if in plain HTTP.

::

    async with Client("http://127.0.0.1:8440") as client:
        await client.login("ann@example.org", code=ask)
        response = await client.post("/orders", json={"item": "tea"})
        print(response.status, await response.json())

Every request is sent to ``{prefix}/message``: method, path, headers and body are sealed.

A client uses one suite, by default ``ecdh-gcm``, and never falls back to another one. With a
``dialect`` it uses ``classic``.

The module is long because it is the whole interface. The work is in the modules beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from protocol.streams.opening import SocketRequest, StreamRequest

from .classic import ClassicClientProtocol
from .clock import Clock, steady_clock, system_clock
from .cookies import Cookies
from .events import Events
from .handshake import Choices
from .hardened import HardenedClientProtocol
from .protocol import ClientProtocol, CodeEntry, CodeSource
from .request import (
    Data,
    FieldLines,
    FormRequest,
    RequestOptions,
    as_bytes,
    event_headers,
    form_request,
    http_request,
    socket_request,
    stream_request,
    with_defaults,
)
from .response import RequestContext, Response
from .rsa_key import ExternalKey, RsaDecrypter
from .sockets import SocketCall, WebSocket, WebSocketContext
from .stream_body import Progress, StreamData, body_of
from .streams import StreamCall, StreamContext, StreamResponse
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
        cookies: bool | str | Path = True,
        prefix: str = DEFAULT_PREFIX,
        timeout_s: float = 60,
        clock: Clock = system_clock,
        steady: Clock = steady_clock,
    ) -> None:
        """
        ``suite``     ``ecdh-gcm``, ``rsa-gcm`` or ``classic``; default ``ecdh-gcm``, or
                      ``classic`` if a dialect is given
        ``fresh``     ``clock``, or ``counter`` for a device without a clock
        ``envelope``  ``msgpack`` or ``json``: the encoding of messages outside the seal
        ``realm``     the realm of the gateway
        ``tickets``   where to store the ticket for ``resume``: the path of a file, or Tickets
        ``rsa_key``   rsa-gcm only: an external key, for instance in hardware, instead of a new
                      one for each session
        ``dialect``   classic only: a name from PROTOCOL §3.2, or a Dialect of your own
        ``cookies``   keep cookies: for this client, or in the file of this path; False for none
        ``timeout_s`` time limit for one request and its complete response, else NoAnswer;
                      ``rsa_key`` has the same limit again

        Raises: ValueError, for an unknown dialect or options that exclude each other.
        """
        self._url = _http_url(url)
        self._transport = Transport(self._url, prefix, timeout_s)
        path = None if isinstance(cookies, bool) else Path(cookies)
        self._cookies = None if cookies is False else Cookies(self._url, path)
        chosen_suite = suite or (DEFAULT_SUITE if dialect is None else CLASSIC)
        _check(chosen_suite, fresh, envelope)
        if rsa_key is not None and chosen_suite != RSA_GCM.name:
            raise ValueError(f"rsa_key needs rsa-gcm, not {chosen_suite}: set suite='rsa-gcm'")
        external = None if rsa_key is None else ExternalKey(rsa_key, timeout_s)
        self._protocol: ClientProtocol
        if chosen_suite == CLASSIC:
            if tickets is not None or fresh != "clock":
                raise ValueError("classic has no tickets and no counters: choose another suite")
            chosen = DEFAULT_DIALECT if dialect is None else dialect
            chosen = _dialect_by_name(chosen) if isinstance(chosen, str) else chosen
            self._protocol = ClassicClientProtocol(self._transport, chosen, clock)
        else:
            if dialect is not None:
                raise ValueError(
                    f"{chosen_suite} has no dialects: set a suite or a dialect, not both"
                )
            choices = Choices(HARDENED_SUITES[chosen_suite], fresh, envelope, realm, external)
            storage = TicketFile(tickets) if isinstance(tickets, str | Path) else tickets
            self._protocol = HardenedClientProtocol(
                self._transport, choices, storage, clock, steady
            )

    @property
    def cookies(self) -> Cookies:
        """The cookies of this client, for its one origin.

        Raises: ValueError, with ``cookies=False``.
        """
        if self._cookies is None:
            raise ValueError("this client keeps no cookies: remove cookies=False")
        return self._cookies

    async def __aenter__(self) -> Self:
        if self._cookies is not None:
            await self._cookies.load()
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
        """Close the connections. The session on the server stays open until it expires."""
        await self._transport.close()

    async def login(
        self,
        username: str,
        *,
        code: CodeSource,
        password: str | None = None,
        attempts: int = 1,
        device: str | None = None,
    ) -> None:
        """Request a code for the user, and open the session with it.

        ``code`` is the code, or a function or coroutine function without arguments that returns
        it; the function is called after the gateway has sent the mail. White space, hyphens and
        case do not matter. If the gateway does not accept the code, the function is called again,
        up to ``attempts`` times in all (a code allows at most 5). ``device`` is the name of the
        device that an operator has issued the code for; then the gateway sends no mail.
        Raises: ClientError; ValueError, for a name that no device can have.
        """
        await self._protocol.login(username, CodeEntry(code, attempts), password, device)
        if self._cookies is not None:
            await self._cookies.begin(username)

    async def resume(self) -> None:
        """Open a new session with the stored ticket, without a code.

        If the response is lost, the ticket is still valid: call it again.
        Raises: NotLoggedIn (there is no ticket), ClientError.
        """
        await self._protocol.resume()
        if self._cookies is not None:
            self._cookies.resumed()

    def export(self, label: str, context: bytes = b"", length: int = 32) -> bytes:
        """A secret value that only this client and the gateway can compute in this session.

        A handler gets the same value from ``request[certless.SESSION].export``. ``label`` names the
        purpose, for instance ``shop.example device``: 1 to 128 printable ASCII characters.
        ``context`` has at most 65,535 bytes, and ``length`` is 16 to 8160. The value is the same in
        the whole session, and another one after each ``login`` and ``resume``. Hardened suites
        only. Raises: NotLoggedIn; ValueError, for classic and for an argument outside of its
        limits.
        """
        return self._protocol.export(label, context, length)

    async def logout(self) -> None:
        """End the session on the server, and delete the ticket.

        If the session has ended already, only delete the ticket. Raises: ClientError.
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
        """Send one sealed request; return the response, whatever its status.

        ``path`` is sent unchanged. ``json`` and ``data`` are those of aiohttp: text, bytes, a
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

    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: StreamData | None = None,
        progress: Progress | None = None,
    ) -> StreamContext:
        """One sealed request whose body, and whose response, may be of any length.

        ``async with client.stream("PUT", "/backup", data=Path("disk.img")) as response``. ``data``
        is bytes, text, a ``Path``, a binary file or an async iterable of bytes, or a ``Body``: an
        object with a ``length`` and ``pieces()``. It is sent once.
        ``progress(sent, length)`` is called for each piece of it. Hardened suites only.
        Raises: ClientError; ValueError, for what the gateway would refuse.
        """
        request = stream_request(method, path, params, headers)
        return StreamContext(self._stream(request, data, progress))

    async def _stream(
        self, request: StreamRequest, data: StreamData | None, progress: Progress | None
    ) -> StreamResponse:
        body = None if data is None else body_of(data)
        if body is not None:
            request = replace(request, length=body.length)
        headers, generation = self._with_defaults(request.headers, request.target, as_bytes)
        request = replace(request, headers=headers)
        call = StreamCall(self._url_of(request.target), request, body, progress)
        response = await self._protocol.stream(call)
        try:
            await self._keep_cookies(response, request.target, generation)
        except BaseException:
            response.close()
            raise
        return response

    def events(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        last_event_id: str = "",
    ) -> Events:
        """Server-Sent Events: ``async for event in client.events("/clock")``.

        An event has ``type``, ``data``, ``id`` and ``retry``. After a broken connection the client
        sends a new request with ``Last-Event-ID``. A sealed 204 ends the iteration. Hardened
        suites only.
        """

        def opener(last_event_id: str) -> StreamContext:
            asked = event_headers(headers, last_event_id)
            return self.stream("GET", path, params=params, headers=asked)

        return Events(opener, last_event_id)

    def ws(
        self,
        path: str,
        *,
        protocols: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        max_msg_size: int = 4 * 1024 * 1024,
    ) -> WebSocketContext:
        """Open a WebSocket: ``async with client.ws("/chat") as ws``.

        ``max_msg_size`` is the longest message that is received; 0 for no limit. Hardened suites
        only. Raises: SocketRefused, ClientError; ValueError, for what the gateway would refuse.
        """
        request = socket_request(path, params, headers, protocols)
        return WebSocketContext(self._ws(request, max_msg_size))

    async def _ws(self, request: SocketRequest, max_msg_size: int) -> WebSocket:
        headers, generation = self._with_defaults(request.headers, request.target, as_bytes)
        call = SocketCall(replace(request, headers=headers), max_msg_size)
        socket = await self._protocol.socket(call)
        try:
            await self._keep_cookies(socket, request.target, generation)
        except BaseException:
            await socket.close()
            raise
        return socket

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
        headers, generation = self._with_defaults(inside.headers, inside.target, str)
        answer = await self._protocol.send(replace(inside, headers=headers))
        response = Response(inside.method, self._url_of(inside.target), answer)
        await self._keep_cookies(response, inside.target, generation)
        return response

    def _with_defaults(
        self, headers: FieldLines, target: str, written: Callable[[str], str]
    ) -> tuple[FieldLines, int]:
        """``headers`` and what the caller has not set, and the generation of the cookies.

        ``written`` is how this kind of message writes values.
        """
        host = self._url.host_port_subcomponent or ""
        if self._cookies is None:
            return with_defaults(headers, host, None), 0
        cookie = self._cookies.header_for(target)
        written_cookie = None if cookie is None else written(cookie)
        return with_defaults(headers, host, written_cookie), self._cookies.generation

    async def _keep_cookies(
        self, response: Response | StreamResponse | WebSocket, target: str, generation: int
    ) -> None:
        lines = response.headers.getall("Set-Cookie", [])
        if self._cookies is not None and self._cookies.take(lines, target, generation):
            await self._cookies.save()

    def _url_of(self, target: str) -> URL:
        return URL(f"{self._url.origin()}{target}", encoded=True)

    async def _send_form(self, form: FormRequest) -> Response:
        return await self._send(await form.whole())


def _check(suite: str, fresh: str, envelope: str) -> None:
    """The checks of a type checker, for programs that do not use one."""
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
        raise ValueError(f"no dialect {name!r}; the dialects are: {', '.join(DIALECTS)}")
    return DIALECTS[name]
