"""An application of aiohttp as the inner application: it runs the requests of sealed messages."""

from aiohttp import web

from gateway.pipeline.inner_application import InnerApplication
from gateway.pipeline.pipe import StreamedRequest, StreamedResponse
from gateway.pipeline.socket_ends import AppSocket
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse

from .inner import Handler, inner_request, run, run_streamed, streamed_request
from .sockets import open_socket, socket_request


class AiohttpApplication(InnerApplication):
    """``handler`` is that of the whole application: it finds the route and runs the middlewares."""

    __slots__ = ("_handler", "_max_bytes", "_max_stream_bytes", "_outer")

    def __init__(
        self, handler: Handler, outer: web.Request, max_bytes: int, max_stream_bytes: int
    ) -> None:
        self._handler = handler
        self._outer = outer
        self._max_bytes = max_bytes
        self._max_stream_bytes = max_stream_bytes

    async def run(
        self, inside: HttpRequest, session: Session, *, field_bytes: bool = False
    ) -> HttpResponse:
        values = (inside, session, self._max_bytes)
        request = inner_request(self._outer, *values, field_bytes=field_bytes)
        return await run(self._handler, request, field_bytes=field_bytes)

    async def run_streamed(
        self, inside: StreamedRequest, session: Session
    ) -> HttpResponse | StreamedResponse:
        limits = (self._max_bytes, self._max_stream_bytes)
        request = streamed_request(self._outer, inside, session, *limits)
        return await run_streamed(self._handler, request)

    async def run_socket(
        self, inside: HttpRequest, protocols: tuple[str, ...], session: Session
    ) -> HttpResponse | AppSocket:
        request = socket_request(self._outer, inside, protocols, session, self._max_bytes)
        return await open_socket(self._handler, request)
