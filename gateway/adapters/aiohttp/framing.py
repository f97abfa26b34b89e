"""Requests that are refused for their frame or their target, as aiohttp has them."""

from collections.abc import Callable

from aiohttp import hdrs, web
from yarl import URL

from gateway.pipeline.framing import fault
from gateway.pipeline.request_headers import is_host

from .private_api import wrap_request_factory

_BAD_TARGET: web.RequestKey[bool] = web.RequestKey("certless_bad_target", bool)


def refusal_of(request: web.Request) -> web.Response | None:
    """The answer to a request that must not go on, after which the connection is closed."""
    version = f"{request.version.major}.{request.version.minor}"
    transfer = request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    found = fault(version, transfer, request.headers.getall(hdrs.CONTENT_LENGTH, []))
    if request.get(_BAD_TARGET):
        found = 400, "the request target is none"
    elif request.method == hdrs.METH_CONNECT:
        found = 501, "this is no proxy for CONNECT"
    if found is None:
        return None
    status, text = found
    response = web.Response(status=status, text=f"{status}: {text}\n")
    response.force_close()
    return response


def guard(server: web.Server) -> None:
    """Have ``server``, before it listens, answer 400 to targets of which no request can be made."""
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
    """Whether an absolute target, or the authority of CONNECT, names a host as it should."""
    try:
        return url.scheme in ("", "http", "https") and is_host(url.raw_authority) and bool(url.host)
    except ValueError:
        # What idna refuses is a UnicodeError, which is one.
        return False
