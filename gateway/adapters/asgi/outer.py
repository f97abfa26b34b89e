"""A request of ASGI for the pipeline, and the reply to it."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote

from multidict import CIMultiDict

from gateway.errors import BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies
from gateway.pipeline.inner_application import InnerApplication
from gateway.pipeline.outer import OuterRequest, Reply, ReplyRecords, format_of
from gateway.pipeline.request_body import collect
from gateway.pipeline.request_headers import is_host, is_one_host
from gateway.policy.client_address import UNKNOWN, address_of
from gateway.policy.forwarded import ForwardedHeaders

from .application import AsgiApplication
from .inner import ASGIApp, Receive, Scope, Send, to_bytes

# A client can send the rest of a refused body for this long. If the connection were closed at once,
# the client might not receive the refusal.
_LINGER_S = 2
_ASCII = "".join(map(chr, range(0x80)))
_SAFE_IN_A_PATH = "/!$&'()*+,;=:@"


class AsgiRequest(OuterRequest):
    """A request of HTTP, or for a WebSocket, which begins as a GET."""

    __slots__ = (
        "_app",
        "_group",
        "_is_cut",
        "_is_read",
        "_max_bytes",
        "_max_stream_bytes",
        "_receive",
        "_scope",
    )

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        raw_path: str,
        group: asyncio.TaskGroup,
        max_bytes: int,
        max_stream_bytes: int,
    ) -> None:
        self.method = scope.get("method", "GET")
        self.raw_path = raw_path
        self.headers = CIMultiDict(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        )
        self.content_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.format = format_of(self.content_type)
        self.has_one_host = has_one_host(scope)
        self.remote = address_of(scope["client"][0] if scope.get("client") else None)
        self._app = app
        self._scope = scope
        self._receive = receive
        self._group = group
        self._max_bytes = max_bytes
        self._max_stream_bytes = max_stream_bytes
        self._is_read = False
        self._is_cut = False

    @property
    def raw_target(self) -> str:
        query = self._scope.get("query_string", b"").decode("latin-1")
        return f"{self.raw_path}?{query}" if query else self.raw_path

    @property
    def host(self) -> str:
        return self.headers.get("Host", "")

    @property
    def is_handshake(self) -> bool:
        return bool(self._scope["type"] == "websocket")

    async def read(self, max_bytes: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit() and int(length) > max_bytes:
            raise BodyTooLarge
        try:
            return await collect(
                self._next_chunk, max_bytes, self.remote, is_whole=lambda: self._is_read
            )
        except (BodyTooSlow, BrokenBody, TooManyBodies):
            self._is_cut = True
            raise

    async def _next_chunk(self) -> bytes:
        while not self._is_read:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BrokenBody("the body did not come whole")
            self._is_read = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                return bytes(chunk)
        return b""

    async def next_chunk(self) -> bytes:
        return await self._next_chunk()

    @property
    def application(self) -> InnerApplication:
        limits = (self._max_bytes, self._max_stream_bytes)
        parts = (self._app, self._scope, self._receive, self.host, self._group)
        return AsgiApplication(*parts, *limits)

    async def send(self, reply: Reply, send: Send) -> None:
        """Send ``reply``, and close the connection if needed."""
        if reply.records is not None:
            await self._send_records(reply, reply.records, send)
            return
        closes = (reply.closes or self._is_cut) and self._scope["http_version"] in ("1.0", "1.1")
        headers = to_bytes(reply.headers.items())
        headers.append((b"content-length", str(len(reply.body)).encode()))
        if closes:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": closes})
        if closes:
            with contextlib.suppress(TimeoutError, BrokenBody):
                async with asyncio.timeout(_LINGER_S):
                    while await self._next_chunk():
                        """Ignore it."""
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_records(self, reply: Reply, records: ReplyRecords, send: Send) -> None:
        headers = to_bytes(reply.headers.items())
        async with records.sending() as pieces:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def has_one_host(scope: Scope) -> bool:
    """Whether the request names one valid Host. HTTP/2 has it in ``:authority``."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return is_one_host(hosts, may_be_none=scope.get("http_version") == "1.0")


def behind_proxy(scope: Scope, forwarded: ForwardedHeaders) -> Scope:
    """``scope`` with what a trusted proxy says: the client's address, the scheme and the host."""

    def values_of(name: str) -> list[str]:
        key = name.lower().encode()
        return [value.decode("latin-1") for known, value in scope["headers"] if known == key]

    peer = scope["client"][0] if scope.get("client") else None
    asked = forwarded.asked(peer, values_of, is_host)
    told: dict[str, Any] = {}
    if asked.address not in (peer, UNKNOWN):
        told["client"] = (asked.address, 0)
    if asked.scheme:
        is_socket = scope["type"] == "websocket"
        told["scheme"] = asked.scheme.replace("http", "ws") if is_socket else asked.scheme
    if asked.host:
        host = (b"host", asked.host.encode())
        told["headers"] = [host, *(pair for pair in scope["headers"] if pair[0] != b"host")]
    return {**scope, **told} if told else scope


def escaped_path(raw_path: bytes) -> str:
    """The path in ``raw_path``, with bytes beyond ASCII percent-encoded."""
    path = raw_path.partition(b"?")[0]
    return path.decode() if path.isascii() else quote_from_bytes(path, safe=_ASCII)


def raw_path_of(scope: Scope) -> str:
    """The path that the application will use, in the form of a request line.

    It is the path of the request line, unless the server does not give it or the path was changed.
    """
    path: str = scope["path"]
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is not None:
        given = escaped_path(raw_path)
        if unquote(given) == path:
            return given
    return quote(path, safe=_SAFE_IN_A_PATH, errors="backslashreplace")
