"""The request inside a sealed message, which runs as if it had come in plain, and its answer.

An adapter makes of it a whole request of its framework whose way back to the network is cut: what
a handler writes is captured, to be sealed.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Set
from typing import TypeAlias

from multidict import CIMultiDict

from gateway.errors import BodyTooLarge
from gateway.sessions.session import Session
from protocol.common.codec import JsonValue, serialize_json
from protocol.common.messages import MAX_HEADER_CHARS, MAX_HEADERS, HttpRequest, HttpResponse

from .header_names import folded, is_of_a_proxy
from .outer import OuterRequest

# The request that it came in, what was inside of the message, and whose it is.
Dispatch: TypeAlias = Callable[[OuterRequest, HttpRequest, Session], Awaitable[HttpResponse]]

# RFC 9110 §7.6.1, and what only makes sense on the connection that was left behind.
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
# The body inside is whole and is sent as it is: its length is known, nothing is negotiated.
_NOT_INSIDE = frozenset({"accept-encoding", "content-length", "expect"})
_TEXT = (("Content-Type", "text/plain"),)
_FAILED = HttpResponse(500, _TEXT, b"500 Internal Server Error")
_log = logging.getLogger("certless")


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """``headers`` without hop-by-hop ones and those that Connection names (RFC 9110 §7.6.1)."""
    known = [(folded(name), name, value) for name, value in headers]
    dropped: Set[str] = _HOP_BY_HOP
    for known_name, _, value in known:
        if known_name == "connection":
            dropped = dropped | {folded(option.strip()) for option in value.split(",")}
    return [(name, value) for known_name, name, value in known if known_name not in dropped]


def headers_for(inside: HttpRequest, host: str) -> CIMultiDict[str]:
    """The headers that the application sees: those inside, which need name no ``host``.

    No reverse proxy has seen them, so none can have set what only a reverse proxy sets.
    """
    headers = CIMultiDict(
        (name, value)
        for name, value in end_to_end(inside.headers)
        if (known := folded(name)) not in _NOT_INSIDE and not is_of_a_proxy(known)
    )
    headers.setdefault("Host", host)
    if inside.body:
        headers["Content-Length"] = str(len(inside.body))
    return headers


def captured_response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResponse:
    """What the application answered, to be sealed; 500 where no client would open it."""
    kept = tuple(end_to_end(headers))
    chars = sum(len(name) + len(value) for name, value in kept)
    if len(kept) > MAX_HEADERS or chars > MAX_HEADER_CHARS or not 200 <= status <= 599:
        # It would believe that the seal was broken.
        _log.error(
            "handler failed: status %d with %d headers of %d characters", status, len(kept), chars
        )
        return _FAILED
    return HttpResponse(status, kept, body)


def failed(error: BaseException) -> HttpResponse:
    """The answer of an application that raised ``error``, which is logged."""
    log_failure("handler", error)
    # Our own words may be read; those of the application may quote what it was given.
    if isinstance(error, BodyTooLarge):
        return HttpResponse(500, _TEXT, f"500: {error}".encode())
    return _FAILED


def json_inside(status: int, value: JsonValue) -> HttpResponse:
    """An answer of the gateway's own, to be sealed."""
    headers = (("Content-Type", "application/json"),)
    return HttpResponse(status, headers, serialize_json(value))


def sealed_error(status: int, code: str, text: str, **more: JsonValue) -> HttpResponse:
    """An error of the gateway's own, to be sealed."""
    return json_inside(status, {"error": code, "message": text, **more})


def log_failure(what: str, error: BaseException) -> None:
    """Log where ``error`` came from, but not its text, which may quote the plaintext."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
    _log.error("%s failed: %s at %s", what, type(error).__name__, where)
