"""The request inside a sealed message, and the response of the application to it.

An adapter makes a complete request of its framework from it, without access to the network. What a
handler writes is captured, to be sealed.
"""

import logging
import traceback
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

from gateway.errors import BodyTooLarge
from protocol.common.messages import MAX_HEADER_CHARS, MAX_HEADERS, HttpRequest, HttpResponse
from protocol.streams.opening import OFFER_FIELD

from .request_headers import folded, is_field_value, passes_inside

# RFC 9110 §7.6.1, and headers that are only for the outer connection.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SAME_SITE = frozenset({"same-origin", "none"})
# Responses with these statuses have no body, whatever a handler writes.
BODILESS = frozenset({204, 304})
# A longer response is streamed, to a client that takes streams.
WHOLE_BYTES = 64 * 1024
_TEXT = (("Content-Type", "text/plain"),)
FAILED = HttpResponse(500, _TEXT, b"500 Internal Server Error")
_log = logging.getLogger("certless")


def is_to_be_streamed(method: str, status: int, headers: Mapping[str, str]) -> bool:
    """Whether a response is long, or its length unknown, so that it is not kept whole."""
    if method == "HEAD" or status in BODILESS:
        return False
    length = headers.get("Content-Length", "")
    return not (length.isascii() and length.isdigit() and int(length[:20]) <= WHOLE_BYTES)


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """``headers`` without hop-by-hop ones and those that Connection names (RFC 9110 §7.6.1)."""
    kept, named = [], set[str]()
    for pair in headers:
        known = folded(pair[0])
        if known not in _HOP_BY_HOP:
            kept.append(pair)
        elif known == "connection":
            named.update(folded(option.strip()) for option in pair[1].split(","))
    return [pair for pair in kept if folded(pair[0]) not in named] if named else kept


def headers_for(
    inside: HttpRequest, host: str, *, takes_streams: bool = False
) -> list[tuple[str, str]]:
    """The headers for the application. ``host`` is used if those inside have no Host.

    No reverse proxy has seen them, so headers that only a reverse proxy sets are removed. Clients
    that take streams, or offer it, can also decode what an application has compressed.
    """
    headers = [pair for pair in end_to_end(inside.headers) if passes_inside(pair[0])]
    names = {folded(name) for name, _ in headers}
    if "host" not in names:
        headers.append(("Host", host))
    if "accept-encoding" in names:
        takes_streams |= any(name.lower() == OFFER_FIELD for name, _ in inside.headers)
        if not takes_streams or _is_of_another_site(CIMultiDict(headers)):
            headers = [pair for pair in headers if folded(pair[0]) != "accept-encoding"]
    if inside.body:
        headers.append(("Content-Length", str(len(inside.body))))
    return headers


def _is_of_another_site(headers: CIMultiDict[str]) -> bool:
    """Whether a page of another site may have caused the request.

    Its author chooses a part of the request. If the response repeats that part and is compressed,
    its length tells how much of a secret in it they have guessed (BREACH; decision 81).
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.strip().lower() not in _SAME_SITE
    # Browsers do not send it over plain HTTP.
    page = headers.get("Origin") or headers.get("Referer")
    if page is None:
        return False
    return page.partition("://")[2].partition("/")[0].lower() != headers["Host"].lower()


def as_text(value: str) -> str:
    """A header value of one character a byte as text: UTF-8, otherwise Latin-1."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def captured_response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResponse:
    """The response of the application, to be sealed. 500, if a client would not accept it."""
    return checked_response(status, end_to_end(headers), body)


def checked_response(status: int, headers: list[tuple[str, str]], body: bytes) -> HttpResponse:
    """As ``captured_response``, for headers without hop-by-hop ones."""
    kept = tuple(headers)
    values = "".join([value for _, value in kept])
    chars = len(values) + sum([len(name) for name, _ in kept])
    fits = len(kept) <= MAX_HEADERS and chars <= MAX_HEADER_CHARS and 200 <= status <= 599
    if not fits or not is_field_value(values):
        # The client would take it for a broken seal.
        _log.error(
            "handler failed: status %d with %d headers of %d characters", status, len(kept), chars
        )
        return FAILED
    return HttpResponse(status, kept, body)


def failed(error: BaseException) -> HttpResponse:
    """The response for an application that raised ``error``. The error is logged."""
    log_failure("handler", error)
    # Our own texts hold no secret. A text of the application can quote the plaintext.
    if isinstance(error, BodyTooLarge):
        return HttpResponse(500, _TEXT, f"500: {error}".encode())
    return FAILED


def log_failure(what: str, error: BaseException) -> None:
    """Log where ``error`` came from, but not its text, which can quote the plaintext."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
    _log.error("%s failed: %s at %s", what, type(error).__name__, where)
