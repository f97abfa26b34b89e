"""Why the upstream gave no response: the cause in words, for the log and for the client."""

import logging
import ssl

import aiohttp
from yarl import URL

from gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    BrokenBody,
    GatewayError,
    TooManyBodies,
    UpstreamFailed,
)

from .private_api import HttpProcessingError

# The text that aiohttp has for a line or header beyond its limit.
_TOO_LONG = "Got more than"
# What an exchange with the upstream raises if it fails.
FAILURES = (
    *(aiohttp.ClientError, HttpProcessingError, ConnectionError, TimeoutError),
    *(BodyTooLarge, UpstreamFailed),
)
_log = logging.getLogger("certless")


def logged_failure(error: Exception, url: URL, max_body_bytes: int) -> UpstreamFailed:
    """``error`` of a request to the upstream at ``url`` as one with its cause, which is logged."""
    failure = failure_of(error, max_body_bytes)
    _log.warning("%s: %s", failure, url)
    return failure


def status_of(error: GatewayError) -> int:
    """The status of the response to a request that could not be passed on."""
    match error:
        case BrokenBody():
            return 400
        case BodyTooSlow():
            return 408
        case TooManyBodies() | UpstreamFailed(is_full=True):
            return 503
        case UpstreamFailed(timed_out=True):
            return 504
        case _:
            return 502


def text_of(error: GatewayError) -> str:
    """The body of that response."""
    return f"{status_of(error)}: {error}\n"


def failure_of(error: Exception, max_body_bytes: int) -> UpstreamFailed:
    """``error`` of a request to the upstream as one with its cause."""
    match error:
        case UpstreamFailed():
            return error
        case BodyTooLarge():
            text = f"the response of the upstream is larger than {max_body_bytes} bytes"
            return UpstreamFailed(text)
        case aiohttp.ConnectionTimeoutError():
            return UpstreamFailed(
                "the upstream did not accept a connection in time", timed_out=True
            )
        case TimeoutError():
            return UpstreamFailed("the upstream did not answer in time", timed_out=True)
        case _:
            return UpstreamFailed(f"the upstream {_cause(error)}")


def _cause(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "cannot be found: its name has no address"
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return "has a certificate that is not accepted"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "does not speak TLS as expected"
        case aiohttp.ClientConnectorError():
            is_refused = isinstance(error.os_error, ConnectionRefusedError)
            return "refused the connection" if is_refused else "cannot be reached"
        case HttpProcessingError() | aiohttp.ClientResponseError():
            if _TOO_LONG in error.message:
                return "sent headers that are too large"
            return "sent a response that is not valid HTTP"
        case aiohttp.ClientPayloadError():
            return "closed the connection before the end of its response"
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            return "closed the connection without a response"
        case _:
            return "failed"
