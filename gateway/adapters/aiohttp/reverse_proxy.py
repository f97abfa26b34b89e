"""The reverse proxy: Certless in front of an upstream by URL.

The headers ``X-Certless-User`` and ``X-Certless-Session`` tell the upstream the user and the
session. The proxy drops such headers of a client, in any spelling, and other headers that upstreams
trust because reverse proxies set them (``request_headers``).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
from aiohttp import hdrs, web

from gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    BrokenBody,
    GatewayError,
    TooManyBodies,
    UpstreamFailed,
)
from gateway.pipeline.body_memory import BODIES
from gateway.pipeline.memory_release import FREED
from gateway.pipeline.request_headers import is_field_value
from gateway.policy.client_address import UNKNOWN, block_of
from gateway.policy.routes import RoutePatterns

from .body import read_body
from .inner import USER, InnerRequest
from .private_api import SERVER_SOFTWARE, lift_read_timeout, send_once
from .public_slots import PublicSlots
from .read_rate import ReadRate
from .sockets import SocketRequest
from .uploads import StreamedUpload, Upload
from .upstream import Upstream
from .upstream_errors import failure_of
from .upstream_sockets import forward_socket

_UNTYPED: web.ResponseKey[bool] = web.ResponseKey("certless_untyped", bool)
# Requests without a session can use this many connections, so others are left for users.
_PUBLIC_REQUESTS = 64
# One client address can use this many of them. A browser opens 6.
_PUBLIC_SHARE = 16
_CONNECTIONS = 256
# Shorter than the idle timeout of servers (often 2 to 5 s). A connection that the server closes
# at the next use costs that request an error.
_KEEPALIVE_S = 1.5
# aiohttp adds none of these, so the upstream gets only what the client sent.
_NOT_ADDED = (hdrs.USER_AGENT, hdrs.CONTENT_TYPE, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING)
_CONNECT_TIMEOUT_S = 10
# The longest header of a response: as much as a sealed response can have in all.
_HEADER_BYTES = 64 * 1024
# How often the proxy checks whether the client of a request without a session is still there.
_CHECK_S = 1
_EVENTS = "text/event-stream"
# The safe methods (RFC 9110 §9.2.1).
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# The status in the access log for a client that left, as in nginx.
_CLIENT_LEFT = 499
_FAILURES = (aiohttp.ClientError, ConnectionError, TimeoutError, BodyTooLarge, UpstreamFailed)
_log = logging.getLogger("certless")


class Proxy:
    """Forwards requests to one upstream.

    ``targets`` are patterns of the paths that are passed on. Without them, every path below the
    path of the upstream is passed on. ``..`` must not lead out of it. ``upstream_host`` is the Host
    for the upstream, if not the client's.
    """

    def __init__(
        self,
        upstream: str,
        *,
        targets: Iterable[str] | None = None,
        upstream_host: str | None = None,
        max_body_bytes: int,
        timeout_s: float = 60,
    ) -> None:
        self._upstream = Upstream(upstream, upstream_host)
        if targets is None and self._upstream.has_base:
            targets = ("/", "/*")
        self._targets = None if targets is None else RoutePatterns(targets)
        self._max_body_bytes = max_body_bytes
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=_CONNECT_TIMEOUT_S)
        self._timeout_s = timeout_s
        self._stream_timeout = aiohttp.ClientTimeout(
            total=None, connect=_CONNECT_TIMEOUT_S, sock_read=timeout_s
        )
        self._session: aiohttp.ClientSession | None = None
        self._public = PublicSlots(_PUBLIC_REQUESTS, _PUBLIC_SHARE)

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """A cleanup context: connections to the upstream are kept until the application ends."""
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_S),
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        ) as session:
            send_once(session)
            self._session = session
            yield

    @staticmethod
    async def clean_headers(_: web.Request, response: web.StreamResponse) -> None:
        """Remove versions, and a Content-Type that the upstream did not set."""
        if response.headers.get(hdrs.SERVER) == SERVER_SOFTWARE:
            response.headers[hdrs.SERVER] = "certless"
        if response.get(_UNTYPED):
            response.headers.popall(hdrs.CONTENT_TYPE, None)

    async def _body(self, request: web.Request) -> bytes:
        if isinstance(request, InnerRequest):
            return await request.read()
        return await read_body(request, self._max_body_bytes)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """The response of the upstream. A handler for every method and path."""
        if self._targets and not self._targets.match(request.rel_url.raw_path):
            raise web.HTTPNotFound(text="this path is not passed on\n")
        try:
            if isinstance(request, SocketRequest):
                return await self._socket(request)
            if isinstance(request, InnerRequest) and not request.content.is_eof():
                return await self._while_it_moves(request, StreamedUpload(request))
            upload = Upload(await self._body(request))
            if USER in request:
                return await self._exchange(request, upload)
            return await self._until_client_leaves(request, upload)
        except BodyTooLarge:
            raise web.HTTPRequestEntityTooLarge(self._max_body_bytes) from None
        except (BodyTooSlow, BrokenBody, TooManyBodies, UpstreamFailed) as error:
            kind = _kind_of(error)
            raise kind(text=f"{kind.status_code}: {error}\n") from None

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self._session is None:
            raise UpstreamFailed("the proxy is not running")
        timeout_s = self._timeout.total or _CONNECT_TIMEOUT_S
        url, headers = self._upstream.url_for(request), self._upstream.request_headers(request)
        mapped = partial(self._upstream.response_headers, request)
        try:
            return await forward_socket(self._session, url, request, headers, mapped, timeout_s)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            failure = failure_of(error, self._max_body_bytes)
            _log.warning("%s: %s", failure, self._upstream.url)
            raise failure from None

    async def _public_exchange(
        self, request: web.Request, upload: Upload, rate: ReadRate
    ) -> web.StreamResponse:
        address = block_of(request.remote or UNKNOWN)
        async with AsyncExitStack() as stack:
            async with BODIES.hold(address, self._max_body_bytes) as held:
                held.add(upload.length)
                await stack.enter_async_context(self._public.slot(address, rate))
            return await self._exchange(request, upload)

    async def _until_client_leaves(
        self, request: web.Request, upload: Upload
    ) -> web.StreamResponse:
        """Run the exchange of a request without a session until the client leaves.

        A client that leaves must not stop a POST that the upstream already runs. The exchange ends
        if the upstream does not have the whole request yet, or if the method is safe. It also ends
        if the client reads the response too slowly.
        """
        rate = ReadRate()
        task = asyncio.create_task(self._public_exchange(request, upload, rate))
        try:
            while not (await asyncio.wait((task,), timeout=_CHECK_S))[0]:
                if _client_left(request):
                    if not upload.is_sent or request.method in _SAFE:
                        return web.Response(status=_CLIENT_LEFT)
                elif request.transport is not None:
                    rate.sample(request.transport, time.monotonic())
                    if self._public.must_release(rate):
                        request.transport.abort()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            upload.forget()
            # Without this, an error of the task would hold this frame, and the frame the error.
            del task

    async def _while_it_moves(
        self, request: web.Request, upload: StreamedUpload
    ) -> web.StreamResponse:
        """The exchange of a body that is still coming.

        aiohttp waits for an upstream that does not read for as long as it likes.
        """
        task = asyncio.create_task(self._exchange(request, upload))
        try:
            while not (await asyncio.wait((task,), timeout=_CHECK_S))[0]:
                if upload.stalled_s > self._timeout_s:
                    text = "the upstream did not read the request in time"
                    raise UpstreamFailed(text, timed_out=True)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    async def _exchange(
        self, request: web.Request, upload: Upload | StreamedUpload
    ) -> web.StreamResponse:
        if self._session is None:
            raise UpstreamFailed("the proxy is not running")
        headers = self._upstream.request_headers(request)
        if upload.length or (upload.length == 0 and isinstance(upload, StreamedUpload)):
            headers[hdrs.CONTENT_LENGTH] = str(upload.length)
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                self._upstream.url_for(request),
                headers=headers,
                data=upload.begin(),
                allow_redirects=False,
                timeout=self._timeout_of(request),
                skip_auto_headers=_NOT_ADDED,
            ) as answer:
                response = self._begun(request, answer)
                if answer.content_type == _EVENTS:
                    # Silence is normal there. The watch of the session and the client end it.
                    lift_read_timeout(answer)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    FREED.add(len(chunk))
                    await response.write(chunk)
                await response.write_eof()
                return response
        except _FAILURES as error:
            # The stream of the response holds the error, and the error would hold the frames.
            error.__traceback__ = None
            if _client_left(request):
                return response or web.Response(status=_CLIENT_LEFT)
            if isinstance(upload, StreamedUpload) and upload.is_broken:
                raise BrokenBody("the body did not come whole") from None
            failure = failure_of(error, self._max_body_bytes)
            _log.warning("%s: %s", failure, self._upstream.url)
            if response is not None and response.prepared and request.transport is not None:
                # A part of the response was sent, so only a broken connection can show the error.
                request.transport.abort()
                return response
            raise failure from None

    def _begun(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """The response for the client, without its body. Raises: UpstreamFailed."""
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in self._upstream.response_headers(request, answer.headers):
            if not is_field_value(value):
                raise UpstreamFailed(f"the upstream sent control characters in the header {name}")
            response.headers.add(name, value)
        response[_UNTYPED] = hdrs.CONTENT_TYPE not in answer.headers
        return response

    def _timeout_of(self, request: web.Request) -> aiohttp.ClientTimeout:
        """A stream can last; only silence is too long."""
        is_streamed = isinstance(request, InnerRequest) and request.is_streamed
        return self._stream_timeout if is_streamed else self._timeout


def _kind_of(error: GatewayError) -> type[web.HTTPError]:
    """The response to a request that could not be passed on."""
    match error:
        case BrokenBody():
            return web.HTTPBadRequest
        case BodyTooSlow():
            return web.HTTPRequestTimeout
        case TooManyBodies() | UpstreamFailed(is_full=True):
            return web.HTTPServiceUnavailable
        case UpstreamFailed(timed_out=True):
            return web.HTTPGatewayTimeout
        case _:
            return web.HTTPBadGateway


def _client_left(request: web.Request) -> bool:
    if isinstance(request, InnerRequest):
        # A message was read completely, so it runs to its end.
        return request.has_left
    return request.transport is None or request.transport.is_closing()
