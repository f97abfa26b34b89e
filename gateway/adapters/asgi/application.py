"""An application of ASGI as the inner application: it runs the requests of sealed messages."""

import asyncio

from gateway.pipeline.inner_application import InnerApplication
from gateway.pipeline.pipe import StreamedRequest, StreamedResponse
from gateway.pipeline.responses import sealed_error
from gateway.pipeline.socket_ends import AppSocket
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse

from .inner import (
    ASGIApp,
    InnerExchange,
    Receive,
    Scope,
    StreamedExchange,
    inner_scope,
    is_below_root,
)
from .sockets import AppCall, socket_scope


class AsgiApplication(InnerApplication):
    """Calls ``app`` in tasks of ``group``, with the connection of ``scope``."""

    __slots__ = ("_app", "_group", "_host", "_max_bytes", "_max_stream_bytes", "_receive", "_scope")

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        host: str,
        group: asyncio.TaskGroup,
        max_bytes: int,
        max_stream_bytes: int,
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._host = host
        self._group = group
        self._max_bytes = max_bytes
        self._max_stream_bytes = max_stream_bytes

    async def run(
        self, inside: HttpRequest, session: Session, *, field_bytes: bool = False
    ) -> HttpResponse:
        if refused := self._not_below_root(inside):
            return refused
        exchange = InnerExchange(inside, self._receive, self._max_bytes, field_bytes=field_bytes)
        scope = inner_scope(self._scope, inside, session, self._host, field_bytes=field_bytes)
        self._group.create_task(exchange.call(self._app, scope))
        return await exchange.answer

    async def run_streamed(
        self, inside: StreamedRequest, session: Session
    ) -> HttpResponse | StreamedResponse:
        if refused := self._not_below_root(inside.whole):
            return refused
        limits = (self._max_bytes, self._max_stream_bytes)
        exchange = StreamedExchange(inside, self._receive, *limits)
        scope = inner_scope(self._scope, inside.whole, session, self._host, takes_streams=True)
        scope["headers"] += exchange.headers()
        self._group.create_task(exchange.call(self._app, scope))
        return await exchange.response

    async def run_socket(
        self, inside: HttpRequest, protocols: tuple[str, ...], session: Session
    ) -> HttpResponse | AppSocket:
        if refused := self._not_below_root(inside):
            return refused
        scope = inner_scope(self._scope, inside, session, self._host)
        call = AppCall()
        self._group.create_task(call.call(self._app, socket_scope(scope, protocols)))
        return await call.answer

    def _not_below_root(self, inside: HttpRequest) -> HttpResponse | None:
        """The refusal of a path outside of the path where the application is mounted."""
        if is_below_root(self._scope, inside.target.partition("?")[0]):
            return None
        root = self._scope.get("root_path") or "/"
        return sealed_error(404, "not_found", f"only what is below {root} can be reached here")
