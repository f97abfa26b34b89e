"""Rules for request headers: their names, Host, Content-Encoding, and Origin.

Programs behind CGI (PHP, WSGI, Rack) replace each character of a name that is no letter or digit
with ``_``, so they read ``Content_Encoding`` and ``Content-Encoding`` as one header. Therefore
names are compared folded.

A request names one Host, as ``name``, ``name:port`` or ``[address]:port``. Applications and
upstreams build links and choose sites by it. RFC 3986 allows more characters in a name than DNS
and local networks use. The others are refused: a comma would make two values of one where headers
are lists.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TypeVar

from gateway.errors import NoHost, UnsupportedContentEncoding
from protocol.common.envelopes import CONTENT_TYPES

from .outer import OuterRequest

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")
# Some programs read from these the client's name, address, host or scheme, the path (which would
# not be the path that was checked), or a file to send. ``Proxy`` becomes HTTP_PROXY, the proxy for
# the requests that the program sends.
_OF_A_PROXY = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "forwarded",
        "proxy",
        "script-name",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded",
        "x-host",
        "x-http-host-override",
        "x-scheme",
        "x-script-name",
        "x-sendfile-type",
    }
)
_BEGINNINGS = (
    "remote-",
    "ssl-client-",
    "x-accel-",
    "x-auth-request-",
    "x-certless-",
    "x-forwarded-",
    "x-original-",
    "x-real-",
    "x-remote-",
    "x-rewrite-",
    "x-ssl-client-",
)
# The body is complete: its length is known.
_NOT_INSIDE = frozenset({"certless-stream", "content-length", "expect"})
_MOST_NAMES, _LONGEST_NAME = 1024, 64
_T = TypeVar("_T")
_NO_ENCODING = "send the body without a Content-Encoding"
_FIELD_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_LONGEST_HOST = 261  # a name of 255 characters, a colon and a port
_HOST = re.compile(r"(?:[A-Za-z0-9_~.-]+|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{0,5})?")


def _remembered(decide: Callable[[str], _T]) -> Callable[[str], _T]:
    """``decide`` with a cache for the names in use, because each header is looked at many times."""
    cached = lru_cache(maxsize=_MOST_NAMES)(decide)

    def of_name(name: str) -> _T:
        # The cache must not keep long names.
        return cached(name) if len(name) <= _LONGEST_NAME else decide(name)

    return of_name


@_remembered
def folded(name: str) -> str:
    """``name`` in one form for all spellings that CGI reads as the same header."""
    return _NOT_ALPHANUMERIC.sub("-", name.lower())


@_remembered
def passes_inside(name: str) -> bool:
    """Whether a request for an application or an upstream can have that header of its client.

    Headers that programs trust, because reverse proxies set them, and those of the body do not
    pass.
    """
    known = folded(name)
    is_of_a_proxy = known in _OF_A_PROXY or known.startswith(_BEGINNINGS)
    return not is_of_a_proxy and known not in _NOT_INSIDE


def is_field_value(text: str) -> bool:
    """Whether ``text`` has no control character except tabs."""
    # No printable character is a control character, and this is the quicker check.
    return text.isprintable() or _FIELD_VALUE.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether ``text`` is a host, with or without a port."""
    found = _HOST.fullmatch(text)
    if found is None or len(text) > _LONGEST_HOST:
        return False
    try:
        return found[1] is None or bool(IPv6Address(found[1]))
    except ValueError:
        return False


def is_one_host(values: Sequence[str], *, may_be_none: bool = False) -> bool:
    """Whether ``values``, the headers Host of a request, are one valid host.

    ``may_be_none`` is for HTTP/1.0 and for the request inside a message.
    """
    return is_host(values[0]) if len(values) == 1 else may_be_none and not values


def check_no_content_encoding(names: Iterable[str]) -> None:
    """Raises: UnsupportedContentEncoding, if ``names`` has that header in any spelling."""
    for name in names:
        if folded(name) == "content-encoding":
            raise UnsupportedContentEncoding(_NO_ENCODING)


def check_inside(headers: Sequence[tuple[str, str]]) -> None:
    """Check the headers of a request inside a message.

    Raises: UnsupportedContentEncoding, NoHost.
    """
    hosts = []
    for name, value in headers:
        known = folded(name)
        if known == "content-encoding":
            raise UnsupportedContentEncoding(_NO_ENCODING)
        if known == "host":
            hosts.append(value)
    if not is_one_host(hosts, may_be_none=True):
        raise NoHost("send one header Host inside, like example.org, or none")


def is_cross_site(request: OuterRequest) -> bool:
    """Whether a page of another site may have sent ``request``.

    A page can send to another site without a preflight only what a form can send, and the browser
    adds the page's Origin. JSON and msgpack need a preflight (OPTIONS), which the gateway does not
    grant. So their Origin is not compared, and it does not matter if a proxy changes Host.
    """
    origin = request.headers.get("Origin")
    if origin is None or request.content_type in CONTENT_TYPES:
        return False
    return origin.partition("://")[2].lower() != request.host.lower()
