"""The same in front of an upstream by URL.

The upstream learns user and session from ``X-Certless-User`` and ``X-Certless-Session``, and from
nobody else: whatever a client sends under such a name is dropped, in any spelling, and so is what
else upstreams believe because a reverse proxy would have set it (``request_headers``).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from gateway.config.settings import http_url
from gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    BrokenBody,
    ConfigError,
    GatewayError,
    TooManyBodies,
    UpstreamFailed,
)
from gateway.pipeline.freed_memory import FREED
from gateway.pipeline.held_bodies import BODIES
from gateway.pipeline.inner import end_to_end
from gateway.pipeline.request_headers import folded, is_of_a_proxy
from gateway.policy.client_address import UNKNOWN, block_of
from gateway.policy.routes import RoutePatterns

from .body import read_body
from .inner import SESSION, USER, InnerRequest
from .private_api import SERVER_SOFTWARE, send_once
from .reading import Reading
from .uploads import Upload
from .upstream_slots import UpstreamSlots

USER_HEADER = "X-Certless-User"
SESSION_HEADER = "X-Certless-Session"

_UNTYPED: web.ResponseKey[bool] = web.ResponseKey("certless_untyped", bool)
_SET_BY_US = frozenset({"content-length", "expect", "host"})
# Visitors without a session share this many connections, so that they cannot hold up users.
_PUBLIC_REQUESTS = 64
# Those of one address have this many of them. Browsers open 6.
_PUBLIC_SHARE = 16
_CONNECTIONS = 256
# Shorter than servers keep an idle connection (many 2 to 5 s), since one that breaks when it is
# used again costs its request an error.
_KEPT_S = 1.5
# The upstream gets what the client sent, and answers in a coding that the client asked for.
_NOT_ADDED = (hdrs.USER_AGENT, hdrs.CONTENT_TYPE, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING)
_CONNECT_TIMEOUT_S = 10
# So often a request without a session is asked whether its visitor is still there.
_LOOK_S = 1
# What asks for something and does nothing (RFC 9110 §9.2.1).
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# What the access log says of a visitor who has left, as that of nginx does.
_HAS_LEFT = 499
_log = logging.getLogger("certless")


class Proxy:
    """Forwards requests to one upstream.

    ``targets`` are patterns of the paths that may be asked for; without them every path below the
    upstream's own, which ``..`` must not leave.
    """

    def __init__(
        self,
        upstream: str,
        *,
        targets: Iterable[str] | None = None,
        max_body_bytes: int,
        timeout_s: float = 60,
    ) -> None:
        url = http_url(upstream)
        if url is None or url.query or url.fragment or url.user or url.password:
            raise ConfigError(
                "upstream must be a URL like http://127.0.0.1:9000, without user or query"
            )
        self._base = url
        if targets is None and url.raw_path != "/":
            targets = ("/", "/*")
        self._targets = None if targets is None else RoutePatterns(targets)
        self._max_body_bytes = max_body_bytes
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=_CONNECT_TIMEOUT_S)
        self._session: aiohttp.ClientSession | None = None
        self._public = UpstreamSlots(_PUBLIC_REQUESTS, _PUBLIC_SHARE)

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """A cleanup context: the connections to the upstream live as long as the application."""
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEPT_S),
        ) as session:
            send_once(session)
            self._session = session
            yield

    @staticmethod
    async def tidy(_: web.Request, response: web.StreamResponse) -> None:
        """Before an answer leaves: no Content-Type where the upstream gave none, no versions."""
        if response.headers.get(hdrs.SERVER) == SERVER_SOFTWARE:
            response.headers[hdrs.SERVER] = "certless"
        if response.get(_UNTYPED):
            response.headers.popall(hdrs.CONTENT_TYPE, None)

    def _url(self, request: web.Request) -> URL:
        raw_path = request.rel_url.raw_path
        base = self._base.raw_path.rstrip("/")
        return URL.build(
            scheme=self._base.scheme,
            host=self._base.raw_host or "",
            port=self._base.port,
            path=base + raw_path,
            query_string=request.rel_url.raw_query_string,
            encoded=True,
        )

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        headers = CIMultiDict(
            (name, value)
            for name, value in end_to_end(request.headers.items())
            if (known := folded(name)) not in _SET_BY_US and not is_of_a_proxy(known)
        )
        if host := request.headers.get(hdrs.HOST):
            headers["X-Forwarded-Host"] = host
        headers["X-Forwarded-Proto"] = request.scheme
        if request.remote:
            headers["X-Forwarded-For"] = request.remote
        if USER in request:
            headers[USER_HEADER] = quote(request[USER], safe="@+")
            headers[SESSION_HEADER] = request[SESSION].id
        return headers

    async def _body(self, request: web.Request) -> bytes:
        if isinstance(request, InnerRequest):
            return await request.read()
        return await read_body(request, self._max_body_bytes)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """The upstream's answer to ``request``. A handler for every method and path."""
        if self._targets and not self._targets.match(request.rel_url.raw_path):
            raise web.HTTPNotFound(text="this path is not passed on\n")
        try:
            upload = Upload(await self._body(request))
            if USER in request:
                return await self._exchange(request, upload)
            return await self._while_visited(request, upload)
        except BodyTooLarge:
            raise web.HTTPRequestEntityTooLarge(self._max_body_bytes) from None
        except (BodyTooSlow, BrokenBody, TooManyBodies, UpstreamFailed) as error:
            kind = _kind_of(error)
            raise kind(text=f"{kind.status_code}: {error}\n") from None

    async def _public_exchange(
        self, request: web.Request, upload: Upload, reading: Reading
    ) -> web.StreamResponse:
        address = block_of(request.remote or UNKNOWN)
        async with AsyncExitStack() as stack:
            async with BODIES.hold(address, self._max_body_bytes) as held:
                held.add(upload.length)
                await stack.enter_async_context(self._public.place(address, reading))
            return await self._exchange(request, upload)

    async def _while_visited(self, request: web.Request, upload: Upload) -> web.StreamResponse:
        """The exchange of a public request. It ends with the visit, unless the upstream is at work.

        Whoever cuts their line must not stop a POST half way. One that the upstream does not have
        whole, or that is only a question, ends. So does an answer that is read too slowly.
        """
        reading = Reading()
        task = asyncio.create_task(self._public_exchange(request, upload, reading))
        try:
            while not (await asyncio.wait((task,), timeout=_LOOK_S))[0]:
                if _has_left(request):
                    if not upload.is_sent or request.method in _SAFE:
                        return web.Response(status=_HAS_LEFT)
                elif request.transport is not None:
                    reading.look(request.transport, time.monotonic())
                    if self._public.has_to_go(reading):
                        request.transport.abort()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            upload.forget()
            # Else an error of it would keep this frame, and this frame the error.
            del task

    async def _exchange(self, request: web.Request, upload: Upload) -> web.StreamResponse:
        if self._session is None:
            raise UpstreamFailed("the proxy is not running")
        headers = self._headers(request)
        if upload.length:
            headers[hdrs.CONTENT_LENGTH] = str(upload.length)
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                self._url(request),
                headers=headers,
                data=upload.begin(),
                allow_redirects=False,
                skip_auto_headers=_NOT_ADDED,
            ) as answer:
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in end_to_end(answer.headers.items()):
                    response.headers.add(name, value)
                response[_UNTYPED] = hdrs.CONTENT_TYPE not in answer.headers
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    FREED.add(len(chunk))
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, ConnectionError, TimeoutError, BodyTooLarge) as error:
            # The answer's stream keeps the error, and this the frames with all that is in them.
            error.__traceback__ = None
            if _has_left(request):
                return response or web.Response(status=_HAS_LEFT)
            if response is not None and response.prepared and request.transport is not None:
                # Half of an answer has gone out in plain: only a broken connection can say so.
                request.transport.abort()
                return response
            if isinstance(error, BodyTooLarge):
                raise UpstreamFailed(
                    f"the upstream's answer is larger than {self._max_body_bytes} bytes"
                ) from None
            timed_out = isinstance(error, TimeoutError)
            reason = "did not answer in time" if timed_out else "cannot be reached"
            _log.warning("upstream %s: %s", self._base, type(error).__name__)
            raise UpstreamFailed(f"the upstream {reason}", timed_out=timed_out) from None


def _kind_of(error: GatewayError) -> type[web.HTTPError]:
    """The answer to a request that could not be passed on."""
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


def _has_left(request: web.Request) -> bool:
    if isinstance(request, InnerRequest):
        # Which was read to its end, and runs to its end.
        return False
    return request.transport is None or request.transport.is_closing()
