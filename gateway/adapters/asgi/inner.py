"""A request inside a sealed message as a request of ASGI.

The application gets its own scope, ``receive`` and ``send``, without access to the network. What it
sends is captured. The scope has no extension that lets a server send something itself (a path, a
file, hints, pushes, trailers).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from gateway.errors import BodyTooLarge, BrokenBody
from gateway.pipeline.inner import (
    as_text,
    captured_response,
    end_to_end,
    failed,
    headers_for,
    is_to_be_streamed,
    log_failure,
)
from gateway.pipeline.pipe import BodyFailed, Pipe, StreamedRequest, StreamedResponse
from gateway.sessions.session import Session
from protocol.common.errors import MalformedMessage
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.streams.bodies import AbortReason

SESSION = "certless.session"
USER = "certless.user"

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# Responses with these statuses have no body, even if a handler writes one.
_BODILESS = frozenset({204, 304})
_DISCONNECT = "http.disconnect"


def inner_scope(
    outer: Scope,
    inside: HttpRequest,
    session: Session,
    host: str,
    *,
    takes_streams: bool = False,
    field_bytes: bool = True,
) -> Scope:
    """``inside`` as a request with the connection and state of ``outer``.

    ``field_bytes`` as in ``InnerApplication.run``.
    """
    path, _, query = inside.target.partition("?")
    headers = headers_for(inside, host, takes_streams=takes_streams)
    scope = {
        **outer,
        "method": inside.method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": to_bytes(headers, "latin-1" if field_bytes else "utf-8"),
        SESSION: session,
        USER: session.user,
    }
    scope.pop("extensions", None)
    if "state" in outer:
        scope["state"] = dict(outer["state"])
    return scope


def is_below_root(scope: Scope, raw_path: str) -> bool:
    """Whether ``raw_path`` is a path of the application, which can be mounted below a path."""
    path, root = unquote(raw_path), scope.get("root_path", "").rstrip("/")
    return path == root or path.startswith(root + "/")


class InnerExchange:
    """One call of an application, and its response.

    ``answer`` is set as soon as the response is complete. The call can continue with background
    tasks.
    """

    def __init__(
        self,
        inside: HttpRequest,
        outer_receive: Receive,
        max_bytes: int,
        *,
        field_bytes: bool = False,
    ) -> None:
        """``field_bytes`` as in ``InnerApplication.run``."""
        self.answer: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self._inside = inside
        self._outer_receive = outer_receive
        self._max_bytes = max_bytes
        self._is_received = False
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._field_bytes = field_bytes
        self._gone: asyncio.Task[None] | None = None

    async def call(self, app: ASGIApp, scope: Scope) -> None:
        """Call ``app``. If it raises, ``answer`` is 500, unless it was set before."""
        try:
            await app(scope, self._receive, self._send)
            if not self.answer.done():
                raise RuntimeError("the application returned without a complete response")
        except BaseException as error:
            if self._size > self._max_bytes:
                # The application may have replaced the error.
                error = self._too_large().with_traceback(error.__traceback__)
            if not self.answer.done():
                self.answer.set_result(failed(error))
            elif not isinstance(error, asyncio.CancelledError):
                log_failure("handler", error)
            # A handler that calls sys.exit() must not end the server.
            if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
                raise
        finally:
            if self._gone:
                self._gone.cancel()

    async def _receive(self) -> Message:
        """The body, then a disconnect once the response is complete or the client has left."""
        if not self._is_received:
            self._is_received = True
            return {"type": "http.request", "body": self._inside.body, "more_body": False}
        # A framework that polls for a disconnect cancels this at once and calls it again later.
        self._gone = self._gone or asyncio.create_task(self._disconnected())
        if not (self._gone.done() or self.answer.done()):
            await asyncio.wait((self._gone, self.answer), return_when=asyncio.FIRST_COMPLETED)
        return {"type": _DISCONNECT}

    async def _disconnected(self) -> None:
        while (await self._outer_receive())["type"] != _DISCONNECT:
            """The message itself was already read."""

    async def _send(self, message: Message) -> None:
        kind, is_started = message["type"], self._status > 0
        if self.answer.done():
            raise RuntimeError(f"{kind} came after the response was complete")
        if kind == "http.response.start" and not is_started:
            self._status = int(message["status"])
            self._headers = list(message.get("headers", ()))
        elif kind == "http.response.body" and is_started:
            self._add(message.get("body", b""))
            if not message.get("more_body", False):
                self.answer.set_result(self._whole())
        else:
            raise RuntimeError(f"{kind} cannot be sealed, or not at this point")

    def _add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise self._too_large()
        self._chunks.append(chunk)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the response is larger than {self._max_bytes} bytes")

    def _whole(self) -> HttpResponse:
        """The response to seal. 500 if a server would abort it or a client would not accept it."""
        headers = end_to_end(self._text_of(self._headers))
        if not self._field_bytes:
            headers = [(name, as_text(value)) for name, value in headers]
        # If the application has written it at once, it is not copied.
        body = b"".join(self._chunks)
        if self._inside.method == "HEAD" or self._status in _BODILESS:
            body = b""
        else:
            for name, value in headers:
                if name.lower() == "content-length" and value != str(len(body)):
                    return failed(RuntimeError("the response does not have its Content-Length"))
        try:
            return HttpResponse.parse_array(
                [self._status, [[name, value] for name, value in headers], body]
            )
        except MalformedMessage as error:
            return failed(error)

    @staticmethod
    def _text_of(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        """Names and values of one character for each byte."""
        return [
            (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
            for name, value in headers
        ]


class StreamedExchange(InnerExchange):
    """The same of a client that takes a stream.

    ``response`` is there as soon as it is whole, or its head says that it is to be streamed.
    """

    def __init__(
        self,
        inside: StreamedRequest,
        outer_receive: Receive,
        max_bytes: int,
        max_stream_bytes: int,
    ) -> None:
        # Such a client takes header values as bytes.
        super().__init__(inside.whole, outer_receive, max_bytes, field_bytes=True)
        loop = asyncio.get_running_loop()
        self.response: asyncio.Future[HttpResponse | StreamedResponse] = loop.create_future()
        self.answer.add_done_callback(self._answered)
        self._request_body = inside.body
        self._pipe: Pipe | None = None
        self._left = max_stream_bytes

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What says how long the body is that is still coming."""
        if self._request_body is None:
            return []
        length = self._request_body.length
        if length is None:
            return [(b"transfer-encoding", b"chunked")]
        return [(b"content-length", str(length).encode())]

    def _answered(self, answer: asyncio.Future[HttpResponse]) -> None:
        if self._pipe is not None:
            # It is over, whether it was whole or not: what was whole has ended it before.
            self._pipe.end(BodyFailed(AbortReason.FAILED))
        elif not answer.cancelled() and not self.response.done():
            self.response.set_result(answer.result())

    async def _receive(self) -> Message:
        if self._request_body is None or self._is_received:
            return await super()._receive()
        try:
            data = await self._request_body.read()
        except BrokenBody:
            self._is_received = True
            return {"type": _DISCONNECT}
        self._is_received = not data
        return {"type": "http.request", "body": data, "more_body": bool(data)}

    async def _send(self, message: Message) -> None:
        if self._pipe is None:
            await super()._send(message)
            if message["type"] == "http.response.start":
                self._begin()
        elif message["type"] == "http.response.body" and not self.answer.done():
            await self._write(self._pipe, message)
        else:
            raise RuntimeError(f"{message['type']} cannot be sealed, or not at this point")

    def _begin(self) -> None:
        headers = end_to_end(self._text_of(self._headers))
        lengths = {name.title(): value for name, value in headers}
        if not is_to_be_streamed(self._inside.method, self._status, lengths):
            return
        checked = captured_response(self._status, headers, b"")
        if checked.status != self._status:
            raise RuntimeError("a response that no client would open")
        self._pipe = Pipe()
        declared = lengths.get("Content-Length")
        length = int(declared) if declared is not None and declared.isdigit() else None
        self.response.set_result(
            StreamedResponse(self._status, checked.headers, length, self._pipe)
        )

    async def _write(self, pipe: Pipe, message: Message) -> None:
        chunk = message.get("body", b"")
        self._left -= len(chunk)
        if self._left < 0:
            pipe.end(BodyFailed(AbortReason.TOO_LARGE))
            raise BodyTooLarge("the answer is larger than max_stream_bytes")
        # As servers do: what is sent to a client that has gone is dropped.
        with contextlib.suppress(ConnectionError):
            await pipe.write(chunk)
        if pipe.is_abandoned:
            # An application that never waits must be stopped here.
            await asyncio.sleep(0)
        if not message.get("more_body", False):
            pipe.end()
            self.answer.set_result(HttpResponse(self._status, (), b""))


def to_bytes(
    headers: Iterable[tuple[str, str]], encoding: str = "latin-1"
) -> list[tuple[bytes, bytes]]:
    """Headers in the form of ASGI. By default a value has one character for each byte."""
    return [(name.lower().encode("latin-1"), value.encode(encoding)) for name, value in headers]
