"""Refuse requests of aiohttp with an ambiguous end or an invalid target."""

from collections.abc import Callable

from aiohttp import hdrs, web
from yarl import URL

from gateway.pipeline.framing import fault
from gateway.pipeline.request_headers import is_host

from .private_api import wrap_request_factory

_BAD_TARGET: web.RequestKey[bool] = web.RequestKey("certless_bad_target", bool)


def refusal_of(request: web.Request) -> web.Response | None:
    """The response that refuses ``request``, or None. It closes the connection."""
    version = f"{request.version.major}.{request.version.minor}"
    transfer = request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    found = fault(version, transfer, request.headers.getall(hdrs.CONTENT_LENGTH, []))
    if request.get(_BAD_TARGET):
        found = 400, "the request target is invalid"
    elif request.method == hdrs.METH_CONNECT:
        found = 501, "CONNECT is not supported"
    if found is None:
        return None
    status, text = found
    response = web.Response(status=status, text=f"{status}: {text}\n")
    response.force_close()
    return response


def guard(server: web.Server) -> None:
    """Let ``server`` send 400 for targets from which aiohttp cannot make a request."""
    wrap_request_factory(server, _guarded)


def _guarded(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]
        if message.url.absolute and not _is_of_http(message.url):
            message = message._replace(url=URL("/"), path="/")
            request = make(message, payload, protocol, writer, task)
            request[_BAD_TARGET] = True
            return request
        return make(message, payload, protocol, writer, task)

    return make_request


def _is_of_http(url: URL) -> bool:
    """Whether an absolute target, or the authority of CONNECT, names a valid host."""
    try:
        return url.scheme in ("", "http", "https") and is_host(url.raw_authority) and bool(url.host)
    except ValueError:
        # A name that idna refuses raises a UnicodeError, which is a ValueError.
        return False
