"""The request inside a sealed message, run through the application as if it had come in plain.

An ``InnerRequest`` is a whole aiohttp request: match info, JSON, forms, multipart and streams work
as ever. Its way back to the network is cut: what a handler writes is captured, to be sealed, also
where it streams, sends a file or sets headers in ``on_response_prepare``.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Set
from typing import TypeAlias

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from protocol.codec import JsonValue, serialize_json
from protocol.messages import MAX_HEADERS, HttpRequest, HttpResponse

from .errors import BodyTooLarge
from .sessions import Session

OUTCOME: web.RequestKey[str] = web.RequestKey("certless_outcome", str)
SESSION: web.RequestKey[Session] = web.RequestKey("certless_session", Session)
USER: web.RequestKey[str] = web.RequestKey("certless_user", str)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The connection's request, what was inside of the message, and whose it is.
Dispatch: TypeAlias = Callable[[web.Request, HttpRequest, Session], Awaitable[HttpResponse]]

# RFC 9110 §7.6.1, and what only makes sense on the connection that was left behind.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The body inside is whole and is sent as it is: its length is known, nothing is negotiated.
_NOT_INSIDE = frozenset({"accept-encoding", "content-length", "expect"})
_TEXT = ((hdrs.CONTENT_TYPE, "text/plain"),)
_FAILED = HttpResponse(500, _TEXT, b"500 Internal Server Error")
_log = logging.getLogger("certless")


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """``headers`` without hop-by-hop ones and those that Connection names (RFC 9110 §7.6.1)."""
    lowered = [(name.lower(), name, value) for name, value in headers]
    dropped: Set[str] = _HOP_BY_HOP
    for lower, _, value in lowered:
        if lower == "connection":
            dropped = dropped | {option.strip().lower() for option in value.split(",")}
    return [(name, value) for lower, name, value in lowered if lower not in dropped]


class _CapturingWriter(AbstractStreamWriter):
    """Takes what a response would send, up to a cap."""

    def __init__(self, max_bytes: int) -> None:
        self.body = bytearray()
        self.headers: CIMultiDict[str] = CIMultiDict()
        self._max_bytes = max_bytes
        self._uncompressed = False

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if len(self.body) + len(chunk) > self._max_bytes:
            raise BodyTooLarge(f"the answer is larger than {self._max_bytes} bytes")
        self.body += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)

    async def drain(self) -> None:
        """Nothing is under way."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        # A streamed answer asks its writer to compress. Ciphertext length tells enough as it is.
        self._uncompressed = True

    def enable_chunking(self) -> None:
        """The body is collected whole."""

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        # A second response takes the place of one that failed half way.
        self.body.clear()
        self.headers = headers.copy()
        if self._uncompressed:
            self.headers.popall(hdrs.CONTENT_ENCODING, None)


class InnerRequest(web.Request):
    """A request that came sealed. It has no transport: nothing can be written past the seal."""

    # sendfile and WebSockets would write to the transport themselves.
    ATTRS = web.Request.ATTRS | frozenset(["captured"])

    captured: _CapturingWriter

    def finish(self) -> None:
        """Let go of uploaded files, as the server does for requests of its own."""
        self._finish()

    @property
    def transport(self) -> asyncio.Transport | None:
        return None


def inner_request(
    outer: web.Request, inside: HttpRequest, session: Session, max_bytes: int
) -> InnerRequest:
    """``inside`` as a request of the connection and state of ``outer``."""
    headers = CIMultiDict(
        (name, value)
        for name, value in end_to_end(inside.headers)
        if name.lower() not in _NOT_INSIDE
    )
    headers.setdefault(hdrs.HOST, outer.host)
    if inside.body:
        headers[hdrs.CONTENT_LENGTH] = str(len(inside.body))
    path, _, query = inside.target.partition("?")
    message = RawRequestMessage(
        method=inside.method,
        path=inside.target,
        version=outer.version,
        headers=CIMultiDictProxy(headers),
        raw_headers=tuple((name.encode(), value.encode()) for name, value in headers.items()),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=URL.build(path=path, query_string=query, encoded=True),
    )
    loop = outer.task.get_loop()
    # A protocol without a connection: flow control has nothing to hold up, the body is here.
    payload = StreamReader(BaseProtocol(loop), limit=max_bytes, loop=loop)
    payload.feed_data(inside.body)
    payload.feed_eof()
    writer = _CapturingWriter(max_bytes)
    request = InnerRequest(
        message,
        payload,
        outer.protocol,
        writer,
        outer.task,
        loop,
        client_max_size=max_bytes,
        state={**dict(outer), SESSION: session, USER: session.user},
        scheme=outer.scheme,
        host=headers[hdrs.HOST],
        remote=outer.remote,
    )
    request.captured = writer
    return request


async def run(handler: Handler, request: InnerRequest) -> HttpResponse:
    """What ``handler`` answers, whatever kind of response that is; 500 where it fails."""
    try:
        response = await _respond(handler, request)
        if isinstance(response, web.FileResponse) and not response.prepared:
            # Any setting for compression, also "none", keeps aiohttp from using sendfile.
            response.enable_compression(web.ContentCoding.identity)
        await response.prepare(request)
        await response.write_eof()
    except Exception as error:
        log_failure("handler", error)
        # Our own words may be read; those of the application may quote what it was given.
        if isinstance(error, BodyTooLarge):
            return HttpResponse(500, _TEXT, f"500: {error}".encode())
        return _FAILED
    finally:
        request.finish()
    captured = request.captured
    headers = tuple((name, _as_text(value)) for name, value in end_to_end(captured.headers.items()))
    if len(headers) > MAX_HEADERS or not 200 <= response.status <= 599:
        # No client would open it, and would then believe that the seal was broken.
        _log.error("handler failed: status %d with %d headers", response.status, len(headers))
        return _FAILED
    return HttpResponse(response.status, headers, bytes(captured.body))


def json_inside(status: int, value: JsonValue) -> HttpResponse:
    """An answer of the gateway's own, to be sealed."""
    headers = ((hdrs.CONTENT_TYPE, "application/json"),)
    return HttpResponse(status, headers, serialize_json(value))


def told_inside(status: int, code: str, text: str, **more: JsonValue) -> HttpResponse:
    """An error of the gateway's own, to be sealed."""
    return json_inside(status, {"error": code, "message": text, **more})


def _as_text(value: str) -> str:
    """A header value as characters: aiohttp keeps bytes that are no UTF-8 as half surrogates."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


async def _respond(handler: Handler, request: InnerRequest) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as response:
        return response


def log_failure(what: str, error: BaseException) -> None:
    """Log where ``error`` came from, but not its text, which may quote the plaintext."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
    _log.error("%s failed: %s at %s", what, type(error).__name__, where)
