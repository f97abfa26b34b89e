"""Names of headers as CGI writes them, and those by which only a reverse proxy speaks.

What follows CGI (PHP, WSGI, Rack) makes one character of whatever is no letter or digit, so that
``Content_Encoding`` and ``Content-Encoding`` are one header there. So names are compared folded.
"""

import re

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")
# Some programs take these for the visitor's name, address, host or scheme, for the path (which
# would not be the one that was decided on), or for a file to send. ``Proxy`` becomes HTTP_PROXY,
# through which programs then send requests of their own.
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


def folded(name: str) -> str:
    """``name`` as all spellings share it that CGI takes for one."""
    return _NOT_ALPHANUMERIC.sub("-", name.lower())


def is_of_a_proxy(folded_name: str) -> bool:
    """Whether programs believe that header because they take it for a reverse proxy's."""
    return folded_name in _OF_A_PROXY or folded_name.startswith(_BEGINNINGS)
