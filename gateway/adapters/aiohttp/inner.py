"""A request inside a sealed message as a request of aiohttp.

An ``InnerRequest`` is a complete request: match info, JSON, forms, multipart and streams work as
usual. It has no access to the network. What a handler writes is captured, also if the handler
streams, sends a file or sets headers in ``on_response_prepare``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.errors import BodyTooLarge
from gateway.pipeline.inner import captured_response, failed, headers_for
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse

from .private_api import BaseProtocol, RawRequestMessage, close_uploads

SESSION: web.RequestKey[Session] = web.RequestKey("certless_session", Session)
USER: web.RequestKey[str] = web.RequestKey("certless_user", str)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _CapturingWriter(AbstractStreamWriter):
    """Captures what a response would send, up to a size limit."""

    def __init__(self, max_bytes: int) -> None:
        self.body = bytearray()
        self.headers: CIMultiDict[str] = CIMultiDict()
        self._max_bytes = max_bytes
        self._uncompressed = False

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if len(self.body) + len(chunk) > self._max_bytes:
            raise BodyTooLarge(f"the response is larger than {self._max_bytes} bytes")
        self.body += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)

    async def drain(self) -> None:
        """There is no buffer to empty."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        # Not compressed: the length of the ciphertext would tell more about the plaintext.
        self._uncompressed = True

    def enable_chunking(self) -> None:
        """The whole body is captured."""

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        # A second response replaces one that failed before its end.
        self.body.clear()
        self.headers = headers.copy()
        if self._uncompressed:
            self.headers.popall(hdrs.CONTENT_ENCODING, None)


class InnerRequest(web.Request):
    """A request that came sealed. Without a transport nothing can bypass the seal."""

    # sendfile and WebSockets would write to the transport themselves.
    ATTRS = web.Request.ATTRS | frozenset(["captured"])

    captured: _CapturingWriter

    @property
    def transport(self) -> asyncio.Transport | None:
        return None


def inner_request(
    outer: web.Request, inside: HttpRequest, session: Session, max_bytes: int
) -> InnerRequest:
    """``inside`` as a request with the connection and state of ``outer``."""
    headers = headers_for(inside, outer.host)
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
    # A protocol without a connection: the body is complete, so there is no flow control.
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
    """The response of ``handler``, of any kind; 500 if it fails."""
    try:
        response = await _respond(handler, request)
        if isinstance(response, web.FileResponse) and not response.prepared:
            # Any setting for compression, also "none", keeps aiohttp from using sendfile.
            response.enable_compression(web.ContentCoding.identity)
        await response.prepare(request)
        await response.write_eof()
    except Exception as error:
        return failed(error)
    finally:
        close_uploads(request)
    captured = request.captured
    headers = ((name, _as_text(value)) for name, value in captured.headers.items())
    return captured_response(response.status, headers, bytes(captured.body))


def _as_text(value: str) -> str:
    """A header value as characters. aiohttp keeps bytes that are not UTF-8 as surrogates."""
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
