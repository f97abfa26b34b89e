"""Header fields of requests and responses, mapped between the browser and the site.

All functions are pure. Cookies are in ``cookies``.
"""

import re
from collections.abc import Iterable

from multidict import CIMultiDict

from .errors import NotForwarded
from .origins import Origins
from .policy import mapped_policy

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
# The length of the body frames it, and nothing else. Upgrade-Insecure-Requests asks for TLS.
_NOT_TO_SITE = frozenset(
    {
        *("accept-encoding", "certless-stream", "content-length", "cookie", "expect", "host"),
        "upgrade-insecure-requests",
    }
)
# Set-Cookie is in ``cookies``. The others name the real host, or make the browser load or send
# something without regard to any policy.
_NOT_TO_BROWSER = frozenset(
    {
        *("alt-svc", "content-length", "expect-ct", "nel", "referrer-policy", "report-to"),
        *("reporting-endpoints", "server", "set-cookie", "set-cookie2", "speculation-rules"),
        "strict-transport-security",
    }
)
_ADDRESSES_TO_SITE = frozenset({"destination", "origin", "referer"})
_ADDRESSES_TO_BROWSER = frozenset(
    {"access-control-allow-origin", "content-location", "location", "sourcemap"}
)
_TEXTS_WITH_ADDRESSES = frozenset({"link", "refresh", "timing-allow-origin"})
_POLICIES = frozenset({"content-security-policy", "content-security-policy-report-only"})
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_Fields = Iterable[tuple[str, str]]


def to_site(fields: _Fields, origins: Origins, cookie: str | None) -> CIMultiDict[str]:
    """The fields of a request, as they go into the seal."""
    mapped = CIMultiDict({"Host": origins.host, "Accept-Encoding": "identity"})
    for name, value in _end_to_end(fields):
        known = name.lower()
        if known.startswith("sec-websocket-"):
            continue
        if known in _ADDRESSES_TO_SITE:
            mapped.add(name, origins.url_to_site(value))
        elif known not in _NOT_TO_SITE:
            mapped.add(name, value)
    if cookie:
        mapped["Cookie"] = cookie
    return mapped


def to_browser(
    fields: _Fields, origins: Origins, cookies: Iterable[str], policy: str
) -> CIMultiDict[str]:
    """The fields of a response, with our ``policy``. ``cookies`` are mapped already.

    Raises: NotForwarded.
    """
    mapped: CIMultiDict[str] = CIMultiDict()
    for name, value in _end_to_end(fields):
        known = name.lower()
        if known in _ADDRESSES_TO_BROWSER:
            mapped.add(name, origins.url_to_own(value))
        elif known in _TEXTS_WITH_ADDRESSES:
            mapped.add(name, origins.to_own(value))
        elif known in _POLICIES:
            mapped.add(name, mapped_policy(value, origins))
        elif known == "referrer-policy" and origins.are_equal:
            mapped.add(name, _with_origin(value))
        elif known == "clear-site-data" and not origins.are_equal:
            # "cookies" would delete the cookie of the door.
            mapped.add(name, '"cache", "storage"')
        elif known not in _NOT_TO_BROWSER:
            mapped.add(name, value)
    for cookie in cookies:
        mapped.add("Set-Cookie", cookie)
    mapped.add("Content-Security-Policy", policy)
    if not origins.are_equal:
        # The address holds a secret label.
        mapped["Referrer-Policy"] = "same-origin"
    mapped["Server"] = "certless"
    for name, value in mapped.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise NotForwarded("the site sent a header field with control characters")
    return CIMultiDict((name, _encodable(value)) for name, value in mapped.items())


def _with_origin(policy: str) -> str:
    """With ``no-referrer``, forms name no Origin, and look like those of other sites."""
    names = (name.strip() for name in policy.split(","))
    return ", ".join("same-origin" if name.lower() == "no-referrer" else name for name in names)


def _encodable(value: str) -> str:
    """``value`` as aiohttp can write it: Latin-1 of old sites becomes UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _end_to_end(fields: _Fields) -> list[tuple[str, str]]:
    """``fields`` without those of the connection (RFC 9110 §7.6.1)."""
    listed = list(fields)
    dropped = set(_HOP_BY_HOP)
    for name, value in listed:
        if name.lower() == "connection":
            dropped |= {option.strip().lower() for option in value.split(",")}
    return [(name, value) for name, value in listed if name.lower() not in dropped]
