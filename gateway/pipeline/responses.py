"""Errors as responses: the only module where an error becomes a status (PROTOCOL §9)."""

import logging

from gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    BrokenBody,
    ForeignOrigin,
    LoginRequired,
    NoHost,
    RateLimited,
    StoreUnavailable,
    TooManyBodies,
    UnsupportedContentEncoding,
)
from protocol.common.envelopes import serialize_members
from protocol.common.errors import RejectedMessage, RemoteProtocolError

from .hardened_routes import format_of, packed
from .inner import log_failure
from .outer import OuterRequest, Reply

_log = logging.getLogger("certless")


def error_reply(request: OuterRequest, status: int, code: str, text: str) -> Reply:
    """An error outside a seal, in the format of the request."""
    body = serialize_members(format_of(request), {"error": code, "message": text})
    return packed(request, body, status)


def status_and_text(error: Exception) -> tuple[int, str, str]:
    """Status, public code and text of what went wrong. A rejection has one of each."""
    match error:
        case RejectedMessage():
            return 403, error.public_code, "not accepted; if this lasts, log in again"
        case RemoteProtocolError():
            return 400, error.public_code, str(error)
        case LoginRequired():
            return 401, "login_required", str(error)
        case BodyTooLarge():
            return 413, "too_large", str(error)
        case BodyTooSlow():
            return 408, "too_slow", str(error)
        case TooManyBodies():
            return 503, "unavailable", str(error)
        case BrokenBody() | NoHost():
            return 400, "malformed", str(error)
        case UnsupportedContentEncoding():
            return 415, "content_encoding", str(error)
        case ForeignOrigin():
            return 403, "foreign_origin", str(error)
        case RateLimited():
            return 429, "too_many", str(error)
        case StoreUnavailable():
            # In words of our own, which hold no secret.
            _log.error("%s", error)
            return 503, "unavailable", "not accepted; try again in a moment"
        case _:
            log_failure("gateway", error)
            return 500, "internal", "the gateway failed"
