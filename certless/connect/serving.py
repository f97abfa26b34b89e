"""A server of ours on sockets that are open already."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

_FIELD_BYTES = 64 * 1024
_SHUTDOWN_S = 1


@asynccontextmanager
async def serving(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    sockets: Sequence[socket.socket],
) -> AsyncIterator[None]:
    """``handler`` answers on ``sockets``, which are closed at the end.

    A handler is cancelled when its browser leaves. Bodies are passed on as they are encoded.
    """
    server = web.Server(
        handler,
        handler_cancellation=True,
        auto_decompress=False,
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
