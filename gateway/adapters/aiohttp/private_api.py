"""All private and undocumented API of aiohttp that the gateway uses, with the reason for each.

No other module uses any of it. ``tests/gateway/adapters/test_private_api.py`` tests each function
with a real server and fails if a new version of aiohttp changes what it relies on.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from aiohttp import http_writer, web, web_response

# No public constructor makes a request from parts: these are the parts that the server uses.
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import SERVER_SOFTWARE, RawRequestMessage
from aiohttp.web_urldispatcher import _default_expect_handler
from multidict import CIMultiDict

_as_aiohttp_does = http_writer._serialize_headers

__all__ = [
    "SERVER_SOFTWARE",
    "BaseProtocol",
    "RawRequestMessage",
    "UploadProtocol",
    "close_uploads",
    "handler_of",
    "hide_server_version",
    "keep_field_bytes",
    "listening_sockets",
    "routes_with_expect_handler",
    "send_once",
    "set_asked",
    "wrap_request_factory",
]


class UploadProtocol(BaseProtocol):
    """The protocol of a body that does not come from a connection.

    ``StreamReader`` tells its protocol when it holds enough, by ``pause_reading``, and asks it
    whether it is paused, by ``_reading_paused``. ``may_feed`` is set while it is not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.may_feed = asyncio.Event()
        self.may_feed.set()

    @property
    def connected(self) -> bool:
        """``StreamReader`` waits for data only if this is so."""
        return True

    def pause_reading(self) -> None:
        self._reading_paused = True
        self.may_feed.clear()

    def resume_reading(self, resume_parser: bool = True) -> None:
        self._reading_paused = False
        self.may_feed.set()


def set_asked(request: web.Request, **known: str) -> None:
    """Set ``request.remote``, ``request.scheme`` or ``request.host``, behind a reverse proxy.

    The public way is ``request.clone(remote=...)``. The clone would reach the handlers, but the
    access log would still see the address of the proxy.
    """
    request._cache.update(known)


def keep_field_bytes() -> None:
    """Let aiohttp send header values as the bytes that it received.

    It reads a byte that is not UTF-8 as a surrogate, and drops surrogates when it writes. Neither
    the server nor the client has an option for it. It is one function for the whole process.
    """
    http_writer._serialize_headers = _serialized


def _serialized(status_line: str, headers: "CIMultiDict[str]") -> bytes:
    # This also refuses line ends in a value.
    written = _as_aiohttp_does(status_line, headers)
    lines = [status_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    whole = "\r\n".join(lines)
    return written if whole.isascii() else whole.encode("utf-8", "surrogateescape")


def routes_with_expect_handler(app: web.Application) -> list[str]:
    """The routes of ``app`` with an ``expect_handler`` of their own, as ``METHOD /path``.

    aiohttp has no public way to see it, and runs it before every middleware.
    """
    return [
        f"{route.method} {route.resource.canonical if route.resource else ''}"
        for route in app.router.routes()
        if route._expect_handler is not _default_expect_handler
    ]


def handler_of(app: web.Application) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What the server calls for each request: it finds the route and runs the middlewares.

    The request inside a sealed message is handled by it. The public way to call it is over a
    connection, and such a request has none.
    """
    return app._handle


def close_uploads(request: web.BaseRequest) -> None:
    """Close the temporary files of a multipart form.

    The server does this for the requests that it makes. A request inside a message is not one.
    """
    request._finish()


def send_once(session: aiohttp.ClientSession) -> None:
    """Do not send a request again if a kept connection breaks.

    aiohttp sends PUT, DELETE and other idempotent methods again and has no option against it. The
    upstream may have run the request, and a message must not run twice (PROTOCOL §3.6.3).
    """
    session._retry_connection = False


def listening_sockets(site: web.TCPSite) -> Sequence[socket.socket]:
    """The sockets of ``site``, which has started, to set options on them.

    ``TCPSite`` has no argument for socket options.
    """
    server = site._server
    return server.sockets if isinstance(server, asyncio.Server) else ()


def wrap_request_factory(
    server: web.Server, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace the function that makes a request of what was parsed, before ``server`` listens.

    Nothing else of ours runs before it, and it raises an error for some request targets. Then
    aiohttp sends no response and leaves the connection open.
    """
    server.request_factory = wrap(server.request_factory)


def hide_server_version() -> None:
    """Responses that aiohttp makes itself (400 to invalid HTTP) name a server without a version.

    Neither the server nor the runner has an option for it. It is one name for the whole process.
    """
    web_response.SERVER_SOFTWARE = "certless"  # type: ignore[attr-defined]
