"""Exchanges with the upstream: one request and its response, over kept connections.

The pool, TLS, the parser and the flow control are those of aiohttp's client. Requests are written
directly, because ``ClientSession.request`` takes more time than all of the rest (decision 103). A
request is never sent again: the upstream may have run it (PROTOCOL §3.6.3).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import StreamReader, hdrs

from gateway.errors import BodyTooLarge, BrokenBody, UpstreamFailed
from gateway.pipeline.memory_release import FREED

from .private_api import ClientExchange, KeptConnections, send_once
from .uploads import CHUNK_BYTES, StreamedUpload, Upload
from .upstream import ProxiedRequest, Upstream

# Shorter than the idle timeout of servers (often 2 to 5 s). A connection that the server closes
# at the next use costs that request an error.
_KEEPALIVE_S = 1.5
CONNECT_TIMEOUT_S = 10
_CONNECT_TIMEOUT = aiohttp.ClientTimeout(connect=CONNECT_TIMEOUT_S)
# The longest header of a response: as much as a sealed response can have in all.
_HEADER_BYTES = 64 * 1024
_SWITCHING_PROTOCOLS = 101


class UpstreamClient:
    """Requests to ``upstream``, with at most ``connections`` at a time.

    An upstream that does not read a streamed request for ``timeout_s`` fails the exchange.
    """

    def __init__(self, upstream: Upstream, connections: int, timeout_s: float) -> None:
        self._upstream = upstream
        self._limit = connections
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._connections: KeptConnections | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connections are kept until the end."""
        connector = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=_KEEPALIVE_S)
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            connector=connector,
            timeout=_CONNECT_TIMEOUT,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        ) as session:
            send_once(session)
            self._session = session
            self._connections = KeptConnections(connector, self._upstream.url)
            yield

    @property
    def session(self) -> aiohttp.ClientSession:
        """For WebSockets, with the same connections. Raises: UpstreamFailed."""
        if self._session is None:
            raise UpstreamFailed("the proxy is not running")
        return self._session

    async def begin(
        self,
        request: ProxiedRequest,
        upload: Upload | StreamedUpload,
        read_timeout_s: float | None = None,
    ) -> "Answer":
        """Send ``request`` with the body of ``upload``; the response, once its head has come.

        ``read_timeout_s`` limits the time without any byte of the response. Raises: ClientError,
        ConnectionError, HttpProcessingError, TimeoutError, UpstreamFailed.
        """
        head = self._upstream.head(request)
        if self._connections is None:
            raise UpstreamFailed("the proxy is not running")
        connection = await self._connections.connect(_CONNECT_TIMEOUT)
        exchange = ClientExchange(
            connection,
            is_head=request.method == hdrs.METH_HEAD,
            read_timeout_s=read_timeout_s,
            header_bytes=_HEADER_BYTES,
        )
        answer = Answer(exchange)
        try:
            answer.send(head, upload, self._timeout_s)
            await answer.receive_head()
        except BaseException:
            answer.close()
            raise
        return answer


class Answer:
    """The response of the upstream. ``close`` it in every case.

    ``headers`` have values of one character for each byte.
    """

    __slots__ = ("_exchange", "_sending", "content", "headers", "reason", "status")

    def __init__(self, exchange: ClientExchange) -> None:
        self._exchange = exchange
        # The task that sends a body, if it is long or still coming.
        self._sending: asyncio.Task[None] | None = None
        self.status = 0
        self.reason = ""
        self.headers: list[tuple[str, str]] = []
        self.content: StreamReader

    def send(self, head: bytes, upload: Upload | StreamedUpload, stall_s: float) -> None:
        """Send the request. A long body follows in a task."""
        if isinstance(upload, Upload) and upload.length <= CHUNK_BYTES:
            self._exchange.write(head + upload.take())
            self._exchange.start_read_timeout()
            return
        self._exchange.write(head)
        # What is complete has the time limit of the exchange only.
        limit_s = stall_s if isinstance(upload, StreamedUpload) else None
        self._sending = asyncio.create_task(self._send_body(upload, limit_s))

    async def _send_body(self, upload: Upload | StreamedUpload, limit_s: float | None) -> None:
        writer = self._exchange.body_writer(chunked=upload.length is None)
        try:
            async for chunk in upload.chunks():
                async with asyncio.timeout(limit_s):
                    await writer.write(chunk)
            async with asyncio.timeout(limit_s):
                await writer.write_eof()
            self._exchange.start_read_timeout()
        except TimeoutError:
            text = "the upstream did not read the request in time"
            self._fail(UpstreamFailed(text, timed_out=True))
        except (BrokenBody, ConnectionError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._exchange.fail(error)
        if self.status:
            self.content.set_exception(error)

    async def receive_head(self) -> None:
        """Wait for the head of the response. Raises: as ``UpstreamClient.begin``."""
        message, self.content = await self._exchange.response()
        if message.code == _SWITCHING_PROTOCOLS:
            raise UpstreamFailed("the upstream sent a response that is not valid HTTP")
        self.status, self.reason = message.code, message.reason
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in message.raw_headers
        ]
        self.content.on_eof(self._end)

    def _end(self) -> None:
        """The response is complete. A connection with half a request on it is of no use."""
        if self._sending is None or self._sending.done():
            self._exchange.release()
        else:
            self.close()

    def value_of(self, known: str) -> str | None:
        """The first value of the header ``known``, a name in lower case."""
        return next((value for name, value in self.headers if name.lower() == known), None)

    def lift_read_timeout(self) -> None:
        """The body may be silent for any time."""
        self._exchange.lift_read_timeout()

    async def read(self, max_bytes: int) -> bytes:
        """The whole body. Raises: BodyTooLarge, and as ``UpstreamClient.begin``."""
        chunks, size = [], 0
        while chunk := await self.content.readany():
            size += len(chunk)
            FREED.add(len(chunk))
            if size > max_bytes:
                raise BodyTooLarge(f"the response is larger than {max_bytes} bytes")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        """End the exchange. The connection closes, unless the response was complete."""
        if self._sending is not None:
            self._sending.cancel()
        self._exchange.close()
