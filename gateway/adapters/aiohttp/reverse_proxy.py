"""The reverse proxy: Certless in front of an upstream by URL.

The headers ``X-Certless-User`` and ``X-Certless-Session`` tell the upstream the user and the
session. The proxy drops such headers of a client, in any spelling, and other headers that upstreams
trust because reverse proxies set them (``request_headers``).

``Proxy.forward`` is the handler of the public routes. ``upstream_application`` runs the requests of
sealed messages.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack

from aiohttp import hdrs, web

from gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    BrokenBody,
    TooManyBodies,
    UpstreamFailed,
)
from gateway.pipeline.body_memory import BODIES
from gateway.pipeline.inner import end_to_end
from gateway.pipeline.memory_release import FREED
from gateway.pipeline.request_headers import passes_inside
from gateway.policy.client_address import UNKNOWN, block_of
from gateway.policy.routes import RoutePatterns

from .body import read_body
from .inner import PORT, as_aiohttp_reads, as_field_bytes
from .private_api import SERVER_SOFTWARE
from .public_slots import PublicSlots
from .raw_targets import raw_target
from .read_rate import ReadRate
from .uploads import Upload
from .upstream import Origin, ProxiedRequest, Upstream
from .upstream_application import Forwarding, UpstreamApplication
from .upstream_client import UpstreamClient
from .upstream_errors import FAILURES, logged_failure, status_of, text_of

_UNTYPED: web.ResponseKey[bool] = web.ResponseKey("certless_untyped", bool)
# Requests without a session can use this many connections, so others are left for users.
_PUBLIC_REQUESTS = 64
# One client address can use this many of them. A browser opens 6.
_PUBLIC_SHARE = 16
_CONNECTIONS = 256
# How often the proxy checks whether the client of a request without a session is still there.
_CHECK_S = 1
# The safe methods (RFC 9110 §9.2.1).
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# The status in the access log for a client that left, as in nginx.
_CLIENT_LEFT = 499
_KINDS: dict[int, type[web.HTTPError]] = {
    400: web.HTTPBadRequest,
    408: web.HTTPRequestTimeout,
    502: web.HTTPBadGateway,
    503: web.HTTPServiceUnavailable,
    504: web.HTTPGatewayTimeout,
}


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
        max_stream_bytes: int,
        timeout_s: float = 60,
    ) -> None:
        self._upstream = Upstream(upstream, upstream_host)
        if targets is None and self._upstream.has_base:
            targets = ("/", "/*")
        self._targets = None if targets is None else RoutePatterns(targets)
        self._max_body_bytes = max_body_bytes
        self._timeout_s = timeout_s
        self._client = UpstreamClient(self._upstream, _CONNECTIONS, timeout_s)
        limits = (max_body_bytes, max_stream_bytes, timeout_s)
        self._forwarding = Forwarding(self._upstream, self._client, self._targets, *limits)
        self._public = PublicSlots(_PUBLIC_REQUESTS, _PUBLIC_SHARE)

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """A cleanup context: connections to the upstream are kept until the application ends."""
        async with self._client.running():
            yield

    def application(self, outer: web.Request) -> UpstreamApplication:
        """What runs the request inside a sealed message that came in ``outer``."""
        return UpstreamApplication(self._forwarding, outer.host, _origin(outer))

    @staticmethod
    async def clean_headers(_: web.Request, response: web.StreamResponse) -> None:
        """Remove versions, and a Content-Type that the upstream did not set."""
        if response.headers.get(hdrs.SERVER) == SERVER_SOFTWARE:
            response.headers[hdrs.SERVER] = "certless"
        if response.get(_UNTYPED):
            response.headers.popall(hdrs.CONTENT_TYPE, None)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """The response of the upstream. A handler for every method and path."""
        if self._targets and not self._targets.match(request.rel_url.raw_path):
            raise web.HTTPNotFound(text="this path is not passed on\n")
        try:
            upload = Upload(await read_body(request, self._max_body_bytes))
            return await self._until_client_leaves(request, upload)
        except BodyTooLarge:
            raise web.HTTPRequestEntityTooLarge(self._max_body_bytes) from None
        except (BodyTooSlow, BrokenBody, TooManyBodies, UpstreamFailed) as error:
            raise _KINDS[status_of(error)](text=text_of(error)) from None

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

    async def _exchange(self, request: web.Request, upload: Upload) -> web.StreamResponse:
        asked = _asked(request, upload.length)
        # The time counts while the upstream is awaited, not while the client reads.
        end_s = asyncio.get_running_loop().time() + self._timeout_s
        response: web.StreamResponse | None = None
        try:
            async with asyncio.timeout_at(end_s):
                answer = await self._client.begin(asked, upload)
            try:
                response = self._begun(asked, answer.status, answer.reason, answer.headers)
                await response.prepare(request)
                while True:
                    async with asyncio.timeout_at(end_s):
                        chunk = await answer.content.readany()
                    if not chunk:
                        break
                    FREED.add(len(chunk))
                    await response.write(chunk)
                await response.write_eof()
                return response
            finally:
                answer.close()
        except FAILURES as error:
            # The stream of the response holds the error, and the error would hold the frames.
            error.__traceback__ = None
            if _client_left(request):
                return response or web.Response(status=_CLIENT_LEFT)
            failure = logged_failure(error, self._upstream.url, self._max_body_bytes)
            if response is not None and response.prepared and request.transport is not None:
                # A part of the response was sent, so only a broken connection can show the error.
                request.transport.abort()
                return response
            raise failure from None

    def _begun(
        self, asked: ProxiedRequest, status: int, reason: str, headers: list[tuple[str, str]]
    ) -> web.StreamResponse:
        """The response for the client, without its body. Raises: UpstreamFailed."""
        response = web.StreamResponse(status=status, reason=reason)
        for name, value in self._upstream.response_headers(asked, headers):
            response.headers.add(name, as_aiohttp_reads(value))
        response[_UNTYPED] = hdrs.CONTENT_TYPE not in response.headers
        return response


def _asked(request: web.Request, length: int) -> ProxiedRequest:
    lines = (
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers
    )
    return ProxiedRequest(
        request.method,
        as_field_bytes(raw_target(request)),
        [(name, value) for name, value in end_to_end(lines) if passes_inside(name)],
        request.host if hdrs.HOST in request.headers else "",
        _origin(request),
        None,
        length,
    )


def _origin(request: web.Request) -> Origin:
    return Origin(request.remote, request.scheme, request.get(PORT))


def _client_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
