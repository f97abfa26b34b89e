"""Errors as responses: the only module that turns an error into a status (PROTOCOL §5.4)."""

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
from protocol.common.codec import JsonValue, serialize_json
from protocol.common.envelopes import serialize_members
from protocol.common.errors import RejectedMessage, RemoteProtocolError
from protocol.common.messages import HttpResponse

from .inner import log_failure
from .outer import OuterRequest, Reply, reply_in

_log = logging.getLogger("certless")


def error_reply(
    request: OuterRequest, status: int, code: str, text: str, outcome: str = ""
) -> Reply:
    """An error outside a seal, in the format of the request. ``outcome`` is ``code`` if empty."""
    form = request.format
    body = serialize_members(form, {"error": code, "message": text})
    return reply_in(form, body, outcome or code, status=status)


def json_inside(status: int, value: JsonValue) -> HttpResponse:
    """A response of the gateway itself, to be sealed."""
    headers = (("Content-Type", "application/json"),)
    return HttpResponse(status, headers, serialize_json(value))


def sealed_error(status: int, code: str, text: str, **more: JsonValue) -> HttpResponse:
    """An error of the gateway itself, to be sealed."""
    return json_inside(status, {"error": code, "message": text, **more})


def status_and_text(error: Exception) -> tuple[int, str, str]:
    """Status, public code and text of ``error``. All rejections have the same three."""
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
            # The text is ours and holds no secret.
            _log.error("%s", error)
            return 503, "unavailable", "not accepted; try again in a moment"
        case _:
            log_failure("gateway", error)
            return 500, "internal", "the gateway failed"
