"""Refuse requests of aiohttp with an ambiguous end or an invalid target."""

from collections.abc import Callable

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from yarl import URL

from gateway.pipeline.framing import fault
from gateway.pipeline.request_headers import is_host

from .private_api import wrap_request_factory

# Stands for a target from which aiohttp cannot make a request. It is compared by identity.
_BAD_TARGET = URL.build(path="/", fragment="bad")
_VERSIONS = {HttpVersion11: "1.1", HttpVersion10: "1.0"}


def refusal_of(request: web.Request) -> web.Response | None:
    """The response that refuses ``request``, or None. It closes the connection."""
    version = _VERSIONS.get(request.version) or f"{request.version.major}.{request.version.minor}"
    transfer = request.headers.getall(hdrs.TRANSFER_ENCODING, ())
    found = fault(version, transfer, request.headers.getall(hdrs.CONTENT_LENGTH, ()))
    if request.rel_url is _BAD_TARGET:
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
            message = message._replace(url=_BAD_TARGET, path="/")
        return make(message, payload, protocol, writer, task)

    return make_request


def _is_of_http(url: URL) -> bool:
    """Whether an absolute target, or the authority of CONNECT, names a valid host."""
    try:
        return url.scheme in ("", "http", "https") and is_host(url.raw_authority) and bool(url.host)
    except ValueError:
        # A name that idna refuses raises a UnicodeError, which is a ValueError.
        return False
