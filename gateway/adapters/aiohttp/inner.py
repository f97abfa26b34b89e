"""A request inside a sealed message as a request of aiohttp.

An ``InnerRequest`` is a complete request: match info, JSON, forms, multipart and streams work as
usual. It has no access to the network. What a handler writes is captured, also if the handler
streams, sends a file or sets headers in ``on_response_prepare``.

The module is long because request, writer and response share their state until the handler ends.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar, cast

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.errors import BodyTooLarge
from gateway.pipeline.inner import (
    BODILESS,
    FAILED,
    WHOLE_BYTES,
    as_text,
    captured_response,
    failed,
    headers_for,
    is_to_be_streamed,
)
from gateway.pipeline.pipe import BodyFailed, Pipe, RequestBody, StreamedRequest, StreamedResponse
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.streams.bodies import AbortReason

from .private_api import (
    RawRequestMessage,
    SocketProtocol,
    UploadProtocol,
    WholeRequest,
    close_uploads,
    finished,
)

SESSION: web.RequestKey[Session] = web.RequestKey("certless_session", Session)
USER: web.RequestKey[str] = web.RequestKey("certless_user", str)
# The port that a trusted reverse proxy names.
PORT: web.RequestKey[int] = web.RequestKey("certless_port", int)

# The URL of a longer path is not kept.
_LONGEST_KEPT = 128
# A handler is fed so much of a body ahead of what it has read.
_FED_BYTES = 64 * 1024
# Handlers that go on writing.
_RUNNING: set[asyncio.Task[HttpResponse]] = set()

_NO_HEADERS: CIMultiDict[str] = CIMultiDict()

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Head: TypeAlias = tuple[CIMultiDict[str], tuple[tuple[bytes, bytes], ...]]


class CapturingWriter(AbstractStreamWriter):
    """Captures what a response would send, up to a size limit."""

    def __init__(self, max_bytes: int) -> None:
        self.status = 0
        self.headers: CIMultiDict[str] = _NO_HEADERS
        self._chunks: list[bytes] = []
        self._size = 0
        self._max_bytes = max_bytes
        self._uncompressed = False

    @property
    def body(self) -> bytes:
        """What was written."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    @property
    def most_whole_bytes(self) -> int:
        """A body of this size can be kept at once."""
        return self._max_bytes

    def keep(self, status: int, headers: "CIMultiDict[str]", body: bytes) -> None:
        """A response that is complete. A second one replaces one that failed before its end."""
        self.status, self.headers, self._chunks = status, headers, [body]

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise BodyTooLarge(f"the response is larger than {self._max_bytes} bytes")
        # The handler can change what is not bytes.
        self._chunks.append(chunk if type(chunk) is bytes else bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        if chunk:
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
        self._chunks, self._size = [], 0
        self.headers = headers.copy()
        if self._uncompressed:
            self.headers.popall(hdrs.CONTENT_ENCODING, None)


class _StreamingWriter(CapturingWriter):
    """Gives a response that is long, or of unknown length, to a pipe as it is written."""

    def __init__(self, method: str, max_bytes: int, max_stream_bytes: int) -> None:
        super().__init__(max_bytes)
        self.pipe: Pipe | None = None
        # The response is streamed, and its head is known.
        self.begun = asyncio.Event()
        self._method = method
        self._left = max_stream_bytes

    @property
    def most_whole_bytes(self) -> int:
        return min(self._max_bytes, 0 if self.pipe else WHOLE_BYTES)

    @property
    def declared_length(self) -> int | None:
        """The declared length of the body."""
        declared = self.headers.get(hdrs.CONTENT_LENGTH)
        return None if declared is None else int(declared)

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if self.pipe is None:
            await super().write(chunk)
            return
        self._left -= len(chunk)
        if self._left < 0:
            raise BodyTooLarge("the answer is larger than max_stream_bytes")
        await self.pipe.write(chunk)

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        if self.pipe is not None:
            raise RuntimeError("a response was begun already")
        await super().write_headers(status_line, headers)
        self.status = int(status_line.split(" ", 2)[1])
        if is_to_be_streamed(self._method, self.status, self.headers):
            self.pipe = Pipe()
            self.begun.set()


class InnerRequest(WholeRequest):
    """A request that came sealed. Without a transport nothing can bypass the seal."""

    # sendfile and WebSockets would write to the transport themselves.
    ATTRS = WholeRequest.ATTRS | frozenset(["captured"])

    captured: CapturingWriter

    @property
    def transport(self) -> asyncio.Transport | None:
        return None


_Inner = TypeVar("_Inner", bound=InnerRequest)


def inner_request(
    outer: web.Request,
    inside: HttpRequest,
    session: Session,
    max_bytes: int,
    *,
    field_bytes: bool = False,
) -> InnerRequest:
    """``inside`` as a request with the connection and state of ``outer``.

    ``field_bytes`` as in ``InnerApplication.run``.
    """
    head = _head(headers_for(inside, outer.host), field_bytes=field_bytes)
    writer = CapturingWriter(max_bytes)
    request = _inner_request(InnerRequest, outer, inside, head, None, session, writer, max_bytes)
    request.whole = inside.body
    return request


@dataclass(frozen=True, slots=True)
class StreamedInner:
    """A request whose response is given as it is written.

    ``feeding`` is the task that feeds its body, if that is still coming.
    """

    request: InnerRequest
    writer: _StreamingWriter
    feeding: asyncio.Task[None] | None


def streamed_request(
    outer: web.Request,
    inside: StreamedRequest,
    session: Session,
    max_bytes: int,
    max_stream_bytes: int,
) -> StreamedInner:
    """``inside`` likewise."""
    whole, body = inside.whole, inside.body
    headers = CIMultiDict(headers_for(whole, outer.host, takes_streams=True))
    if body is not None:
        if body.length is None:
            headers[hdrs.TRANSFER_ENCODING] = "chunked"
        else:
            headers[hdrs.CONTENT_LENGTH] = str(body.length)
    loop = outer.task.get_loop()
    protocol = UploadProtocol(loop)
    payload = StreamReader(protocol, limit=_FED_BYTES, loop=loop)
    writer = _StreamingWriter(whole.method, max_bytes, max_stream_bytes)
    request = make_inner(InnerRequest, outer, whole, headers, payload, session, writer, max_bytes)
    if body is not None:
        feeding = asyncio.create_task(_feed(body, payload, protocol))
        return StreamedInner(request, writer, feeding)
    payload.feed_data(whole.body)
    payload.feed_eof()
    return StreamedInner(request, writer, None)


async def _feed(body: RequestBody, payload: StreamReader, protocol: UploadProtocol) -> None:
    try:
        while data := await body.read():
            payload.feed_data(data)
            await protocol.may_feed.wait()
        payload.feed_eof()
    except Exception as error:
        payload.set_exception(web.RequestPayloadError(str(error)))


def make_inner(
    kind: type[_Inner],
    outer: web.Request,
    inside: HttpRequest,
    headers: CIMultiDict[str],
    payload: StreamReader,
    session: Session,
    writer: CapturingWriter,
    max_bytes: int,
    protocol: SocketProtocol | None = None,
) -> _Inner:
    """A request of ``kind``. Values of ``headers`` are text of one character for each byte.

    ``protocol`` is that of a WebSocket, which writes itself.
    """
    head = _head(headers.items(), field_bytes=True)
    return _inner_request(kind, outer, inside, head, payload, session, writer, max_bytes, protocol)


def _head(headers: Iterable[tuple[str, str]], *, field_bytes: bool) -> _Head:
    """Headers as aiohttp's own parser decodes them, and their bytes."""
    encoding = "latin-1" if field_bytes else "utf-8"
    raw = tuple([(name.encode(), value.encode(encoding)) for name, value in headers])
    read = as_aiohttp_reads if field_bytes else str
    return CIMultiDict([(name, read(value)) for name, value in headers]), raw


def as_aiohttp_reads(value: str) -> str:
    """A header value of one character a byte as aiohttp's own parser decodes it."""
    if value.isascii():
        return value
    return value.encode("latin-1").decode("utf-8", "surrogateescape")


def as_field_bytes(value: str) -> str:
    """The reverse of ``as_aiohttp_reads``."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def _inner_request(
    kind: type[_Inner],
    outer: web.Request,
    inside: HttpRequest,
    head: _Head,
    payload: StreamReader | None,
    session: Session,
    writer: CapturingWriter,
    max_bytes: int,
    protocol: SocketProtocol | None = None,
) -> _Inner:
    headers, raw_headers = head
    target = inside.target
    is_usual = len(target) <= _LONGEST_KEPT and "?" not in target
    message = RawRequestMessage(
        method=inside.method,
        path=inside.target,
        version=outer.version,
        headers=CIMultiDictProxy(headers),
        raw_headers=raw_headers,
        should_close=False,
        compression=None,
        upgrade=protocol is not None,
        chunked=hdrs.TRANSFER_ENCODING in headers,
        url=_kept_url(target) if is_usual else _url(target),
    )
    request = kind(
        message,
        # Without a stream, the request makes one if its handler wants one.
        cast(StreamReader, payload),
        # The type that aiohttp names is the protocol of a connection.
        cast(web.RequestHandler, protocol or outer.protocol),
        writer,
        outer.task,
        asyncio.get_running_loop(),
        client_max_size=max_bytes,
        state={**(dict(outer) if len(outer) else {}), SESSION: session, USER: session.user},
        scheme=outer.scheme,
        host=headers[hdrs.HOST],
        remote=outer.remote,
    )
    request.captured = writer
    return request


def _url(target: str) -> URL:
    path, _, query = target.partition("?")
    return URL.build(path=path, query_string=query, encoded=True)


# A URL remembers its parts, so to keep those in use saves the work of finding them.
_kept_url = lru_cache(maxsize=256)(_url)


async def run(
    handler: Handler,
    request: InnerRequest,
    *,
    field_bytes: bool = False,
) -> HttpResponse:
    """The response of ``handler``, of any kind; 500 if it fails.

    ``field_bytes`` as in ``InnerApplication.run``.
    """
    try:
        response = await run_to_end(handler, request)
    except Exception as error:
        return failed(error)
    headers = captured_fields(request.captured)
    if not field_bytes:
        headers = [(name, as_text(value)) for name, value in headers]
    return _checked(request, response.status, headers)


async def started(
    running: Coroutine[Any, Any, HttpResponse], begun: asyncio.Event
) -> asyncio.Task[HttpResponse]:
    """``running`` as a task, once ``begun`` is set or the task has ended. The task goes on."""
    task = asyncio.create_task(running)
    # The loop keeps tasks only weakly.
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    waiting = asyncio.create_task(begun.wait())
    try:
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        waiting.cancel()
    return task


async def run_streamed(handler: Handler, inner: StreamedInner) -> HttpResponse | StreamedResponse:
    """The same, but a long response is given while ``handler`` goes on writing it."""
    writer = inner.writer
    task = await started(_complete(handler, inner), writer.begun)
    if writer.pipe is None:
        return await task
    headers = captured_fields(writer)
    checked = captured_response(writer.status, headers, b"")
    if checked.status != writer.status:
        writer.pipe.abandon()
        return checked
    return StreamedResponse(checked.status, checked.headers, writer.declared_length, writer.pipe)


async def _complete(handler: Handler, inner: StreamedInner) -> HttpResponse:
    """Run ``handler`` to its end; the response, if it was not streamed."""
    writer = inner.writer
    failure: BodyFailed | None = BodyFailed(AbortReason.FAILED)
    try:
        response = await run_to_end(handler, inner.request)
        failure = None
        if writer.pipe is not None:
            return captured_response(response.status, (), b"")
        return _checked(inner.request, response.status, captured_fields(writer))
    except Exception as error:
        if isinstance(error, BodyTooLarge):
            failure = BodyFailed(AbortReason.TOO_LARGE)
        has_left = writer.pipe is not None and writer.pipe.is_abandoned
        return FAILED if has_left and isinstance(error, ConnectionError) else failed(error)
    finally:
        if inner.feeding is not None:
            inner.feeding.cancel()
        if writer.pipe is not None:
            writer.pipe.end(failure)


async def run_to_end(handler: Handler, request: InnerRequest) -> web.StreamResponse:
    """The response of ``handler``, after it was written to its end."""
    try:
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            response = refusal
        is_plain = type(response) is web.Response
        if not is_plain and isinstance(response, web.FileResponse) and not response.prepared:
            # Any setting for compression, also "none", keeps aiohttp from using sendfile.
            response.enable_compression(web.ContentCoding.identity)
        writer = request.captured
        whole = finished(request, response, writer.most_whole_bytes)
        if whole is not None:
            writer.keep(response.status, *whole)
            return response
        await response.prepare(request)
        await response.write_eof()
        return response
    finally:
        close_uploads(request)


def _checked(
    request: InnerRequest, status: int, headers: Iterable[tuple[str, str]]
) -> HttpResponse:
    """The response. 500 if its body is not as long as it says: a server would abort it."""
    writer = request.captured
    declared = writer.headers.get(hdrs.CONTENT_LENGTH)
    body = writer.body
    has_body = request.method != hdrs.METH_HEAD and status not in BODILESS
    if has_body and declared is not None and declared != str(len(body)):
        return failed(RuntimeError("the response is not as long as it says"))
    return captured_response(status, headers, body)


def captured_fields(writer: CapturingWriter) -> list[tuple[str, str]]:
    """The captured headers with values of one character a byte."""
    return [(name, as_field_bytes(value)) for name, value in writer.headers.items()]
