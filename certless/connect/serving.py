"""A server of ours on sockets that are open already."""

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

_FIELD_BYTES = 64 * 1024
_SHUTDOWN_S = 1
# A connection that sends no complete request for this long is closed.
IDLE_S = 75.0


@asynccontextmanager
async def serving(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    sockets: Sequence[socket.socket],
    idle_s: float = IDLE_S,
) -> AsyncIterator[None]:
    """``handler`` answers on ``sockets``, which are closed at the end.

    A handler is cancelled when its browser leaves. Bodies are passed on as they are encoded.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            # A handler can write to a connection that the browser has just closed.
            if request.transport is None or request.transport.is_closing():
                return web.Response()
            raise

    server = web.Server(
        answer,
        handler_cancellation=True,
        auto_decompress=False,
        keepalive_timeout=idle_s,
        logger=_log(),
        max_line_size=_FIELD_BYTES,
        max_field_size=_FIELD_BYTES,
        access_log=None,
    )
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        for opened in sockets:
            await web.SockSite(runner, opened).start()
        yield
    finally:
        await runner.cleanup()
        for opened in sockets:
            opened.close()


async def last(request: web.BaseRequest, refused: web.Response) -> web.StreamResponse:
    """Answer, and end the connection: bytes that follow were for a tunnel and are no request."""
    await refused.prepare(request)
    await refused.write_eof()
    if request.transport is not None:
        request.transport.close()
    return refused


def _log() -> logging.Logger:
    """Without malformed requests: any program of the machine can send them."""
    log = logging.getLogger(__name__)
    log.addFilter(_is_fault)
    return log


def _is_fault(record: logging.LogRecord) -> bool:
    """The errors of aiohttp about malformed requests have the status as ``code``."""
    error = record.exc_info[1] if record.exc_info else None
    return getattr(error, "code", 500) >= 500
