"""Certless in front of an aiohttp application."""

import traceback
from collections.abc import Callable, Iterable, Sequence

from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict

from gateway.build import Assembly
from gateway.errors import BrokenBody, ConfigError
from gateway.pipeline.inner_application import InnerApplication
from gateway.pipeline.memory_release import FREED
from gateway.pipeline.outer import OuterRequest, Reply, ReplyRecords, format_of
from gateway.pipeline.request_headers import is_host, is_one_host
from gateway.policy.client_address import UNKNOWN, ClientAddresses
from gateway.policy.forwarded import ForwardedHeaders

from .application import AiohttpApplication
from .body import free_broken_body, read_body
from .framing import refusal_of
from .inner import PORT, Handler, as_aiohttp_reads
from .private_api import (
    WholeResponse,
    handle_before_routes,
    handler_behind,
    keep_field_bytes,
    routes_with_expect_handler,
    set_asked,
)
from .raw_targets import escaped, raw_target
from .sockets import INNER_REQUESTS, AiohttpConnection, outer_socket

ASSEMBLY: web.AppKey[Assembly] = web.AppKey("certless_assembly", Assembly)
OUTCOME: web.RequestKey[str] = web.RequestKey("certless_outcome", str)


def install(
    app: web.Application,
    assembly: Assembly,
    application_of: Callable[[web.Request], InnerApplication] | None = None,
) -> None:
    """Put ``assembly`` in front of every route of ``app``, before ``app`` starts.

    ``application_of`` returns what runs the requests inside sealed messages, if not ``app``.
    """
    settings = assembly.settings
    limits = (settings.max_body_bytes, settings.max_stream_bytes)

    def own_application(outer: web.Request) -> InnerApplication:
        return AiohttpApplication(run_routes, outer, *limits)

    run_routes = handler_behind(app)
    # The reverse proxy has a signal of its own, which changes responses of the upstream only.
    own_signals = 0 if application_of is None else 1
    inner_of = application_of or own_application
    middleware = assembly.middleware
    client_addresses = ClientAddresses(settings.trusted_proxies)
    forwarded = ForwardedHeaders(settings.trusted_headers, client_addresses)
    keep_field_bytes()

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        # An abstract base class would make ``isinstance`` slow.
        if type(request) in INNER_REQUESTS:
            return await handler(request)
        return await handle_outer(request, handler)

    async def handle_own(request: web.Request) -> web.StreamResponse:
        return await handle_outer(request, _not_found)

    async def handle_outer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await answer(request, handler)
        finally:
            free_broken_body(request)

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if refusal := refusal_of(request):
            request[OUTCOME] = "framing"
            return await _sent(request, refusal)
        _behind_proxy(request, forwarded)
        is_old = request.version < HttpVersion11
        has_one_host = is_one_host(request.headers.getall(hdrs.HOST, ()), may_be_none=is_old)
        if has_one_host and middleware.is_public(request.method, request.rel_url.raw_path):
            response = await handler(request)
            # aiohttp replies to a handler that returns something else.
            is_response = isinstance(response, web.StreamResponse)
            return await _sent(request, response) if is_response else response
        outer = _AiohttpRequest(request, has_one_host, inner_of)
        reply = await middleware.answer(outer)
        if reply.opens_socket:
            socket = outer_socket()
            await socket.prepare(request)
            connection = AiohttpConnection(socket)
            request[OUTCOME] = await middleware.serve_socket(outer, connection)
            return socket
        request[OUTCOME] = reply.outcome
        if _is_simple(request, reply, own_signals):
            headers = _as_aiohttp_reads(reply.headers)
            if application_of is not None:
                headers[hdrs.SERVER] = "certless"
            return await _sent(request, WholeResponse(request, 200, headers, reply.body))
        return await _sent(request, _response(reply))

    app[ASSEMBLY] = assembly
    app.middlewares.insert(0, handle)
    for path in middleware.protocol_paths:
        # The middleware replies before these. Without them aiohttp would make a 404 each time.
        app.router.add_route("*", path, _not_found)
    handle_before_routes(app, frozenset(middleware.protocol_paths), handle_own)
    app.on_startup.insert(0, _refuse_expect_handlers)
    app.cleanup_ctx.append(lambda _: assembly.lifespan())

    async def stopping(_: web.Application) -> None:
        if assembly.admin:
            assembly.admin.stop()

    app.on_shutdown.append(stopping)


async def _refuse_expect_handlers(app: web.Application) -> None:
    """aiohttp runs such a handler before every middleware, so it would see plaintext."""
    for route in routes_with_expect_handler(app):
        raise ConfigError(
            f"the route {route} has an expect_handler, which would run without a login: remove it"
        )


def _behind_proxy(request: web.Request, forwarded: ForwardedHeaders) -> None:
    """Set what a trusted proxy says about ``request``: the address, the scheme and the host."""

    def values_of(name: str) -> Sequence[str]:
        return request.headers.getall(name, ())

    asked = forwarded.asked(request.remote, values_of, is_host)
    if asked.address not in (request.remote, UNKNOWN):
        set_asked(request, remote=asked.address)
    if asked.scheme:
        set_asked(request, scheme=asked.scheme)
    if asked.host:
        set_asked(request, host=asked.host)
    if asked.port:
        request[PORT] = asked.port


class _AiohttpRequest(OuterRequest):
    """A request of ``app``."""

    __slots__ = ("_application_of", "_request")

    def __init__(
        self,
        request: web.Request,
        has_one_host: bool,
        application_of: Callable[[web.Request], InnerApplication],
    ) -> None:
        self.method = request.method
        self.raw_path = request.rel_url.raw_path
        self.headers = request.headers
        self.content_type = request.content_type
        self.format = format_of(self.content_type)
        self.has_one_host = has_one_host
        self.remote = request.remote or UNKNOWN
        self._request = request
        self._application_of = application_of

    @property
    def raw_target(self) -> str:
        return escaped(raw_target(self._request))

    @property
    def host(self) -> str:
        return self._request.host

    @property
    def is_handshake(self) -> bool:
        return outer_socket().can_prepare(self._request).ok

    @property
    def field_lines(self) -> Iterable[tuple[str, str]]:
        lines = self._request.raw_headers
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines)

    async def read(self, max_bytes: int) -> bytes:
        return await read_body(self._request, max_bytes)

    async def next_chunk(self) -> bytes:
        try:
            return await self._request.content.readany()
        except web.RequestPayloadError:
            raise BrokenBody("the body did not come whole") from None

    @property
    def application(self) -> InnerApplication:
        return self._application_of(self._request)


async def _sent(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Send the response here, because aiohttp keeps all of it in memory if the client leaves.

    The future that waits for the buffer of the connection holds the error, the traceback of the
    error holds the frame that waited, and the frame holds the future. Such a cycle stays in memory
    until the next garbage collection.
    """
    try:
        if isinstance(response, _Records):
            await response.send(request)
        else:
            await response.prepare(request)
            await response.write_eof()
    except ConnectionError as error:
        traceback.clear_frames(error.__traceback__)
        FREED.add(request.writer.output_size)
    return response


class _Records(web.StreamResponse):
    """A reply that is a stream."""

    def __init__(self, reply: Reply, records: ReplyRecords) -> None:
        super().__init__(status=reply.status, headers=reply.headers)
        self._records = records

    async def send(self, request: web.Request) -> None:
        try:
            async with self._records.sending() as pieces:
                await self.prepare(request)
                async for piece in pieces:
                    await self.write(piece)
                await self.write_eof()
        except ConnectionError:
            # The records end without FINAL; the client must not take the end for their end.
            if request.transport is not None:
                request.transport.abort()
            raise


def _is_simple(request: web.Request, reply: Reply, own_signals: int) -> bool:
    """Whether the reply to a sealed message needs nothing but its bytes."""
    is_usual = reply.status == 200 and reply.records is None and not reply.closes
    if not is_usual or request.method != hdrs.METH_POST or request.version != HttpVersion11:
        return False
    # The application can be a part of others, which have signals of their own.
    return sum(len(one.on_response_prepare) for one in request.match_info.apps) <= own_signals


def _as_aiohttp_reads(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    return CIMultiDict([(name, as_aiohttp_reads(value)) for name, value in headers.items()])


def _response(reply: Reply) -> web.StreamResponse:
    if reply.records is not None:
        return _Records(reply, reply.records)
    headers = _as_aiohttp_reads(reply.headers)
    response = web.Response(status=reply.status, headers=headers, body=reply.body or None)
    if reply.closes:
        response.force_close()
    return response


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
