"""Errors around the protocol. ``pipeline/responses.py`` turns them into statuses.

::

    GatewayError
    |- LoginRequired               plaintext for a protected route
    |- BodyTooLarge                the body is above the size limit
    |- BrokenBody                  the connection broke before the end of the body
    |- BodyTooSlow                 the body did not arrive in time
    |- TooManyBodies               the memory for all bodies is used up
    |- NoHost                      no Host, more than one, or an invalid one
    |- UnsupportedContentEncoding  a request with a Content-Encoding
    |- ForeignOrigin               a page of another site asks for a login
    |- StoreUnavailable            the store did not answer; nothing was accepted
    |- SessionChanged              a session has another record now, or has ended
    |- RateLimited                 a rate limit is reached
    |- ExporterUnavailable         the session of a handler exports no values
    |- MailNotSent                 one attempt to send a mail failed
    |- MailOutcomeUnknown          one attempt, with an unknown result
    |- UpstreamFailed              no response, or none that can be passed on
    `- ConfigError                 at start: one line for the operator
"""


class GatewayError(Exception):
    """Any failure of the gateway. Its text says what to do next and holds no secret."""


class LoginRequired(GatewayError):
    """A request for a protected route came in plaintext."""


class BodyTooLarge(GatewayError):
    """A body is larger than the configured limit."""


class BrokenBody(GatewayError):
    """The connection broke before the end of the body."""


class BodyTooSlow(GatewayError):
    """A body did not arrive in time."""


class TooManyBodies(GatewayError):
    """All bodies together would need too much memory, so this one was dropped unused."""

    def __init__(self) -> None:
        super().__init__("too many large bodies at this moment; send it again in a moment")


class NoHost(GatewayError):
    """A request has no valid header Host, or more than one."""


class UnsupportedContentEncoding(GatewayError):
    """A body came with a Content-Encoding."""


class ForeignOrigin(GatewayError):
    """A page of another site lets the user's browser ask for a login."""


class StoreUnavailable(GatewayError):
    """The store did not answer. Nothing was accepted."""


class SessionChanged(GatewayError):
    """A session has another record than the caller has opened, or has ended.

    Nothing was claimed. Load the session, and begin again at the seal of the message.
    """


class RateLimited(GatewayError):
    """A rate limit is reached, for ``retry_after_s`` more seconds (at least 1).

    ``limit`` is the name of the setting. ``user_tag`` is the tag of the user, for a limit per user.
    """

    def __init__(self, reason: str, retry_after_s: int, limit: str, user_tag: bytes = b"") -> None:
        super().__init__(reason)
        self.retry_after_s = max(1, retry_after_s)
        self.limit = limit
        self.user_tag = user_tag


class ExporterUnavailable(GatewayError):
    """This session exports no values: its suite is classic, or an earlier version opened it."""


class MailNotSent(GatewayError):
    """A mail could not be sent. If ``final`` is set, another attempt cannot succeed."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class MailOutcomeUnknown(GatewayError):
    """A mail was sent completely, but no answer came. The server may have accepted it."""


class UpstreamFailed(GatewayError):
    """The upstream gave no response that can be passed on. ``timed_out``: it was too slow.

    ``is_full``: it was not called, because too many requests wait for it.
    """

    def __init__(self, reason: str, *, timed_out: bool = False, is_full: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.is_full = is_full


class ConfigError(GatewayError):
    """A setting is wrong. The text is one line and says how to correct it."""
