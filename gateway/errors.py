"""What can go wrong around the protocol. The middleware alone turns these into statuses.

::

    GatewayError
    |- LoginRequired       plaintext to a protected route
    |- BodyTooLarge        above the cap, found before buffering
    |- BrokenBody          it broke off
    |- BodyTooSlow         it came too slowly
    |- TooManyBodies              others send as well, and there is no room for this body
    |- NoHost              no Host, more than one, or none that is a host
    |- UnsupportedContentEncoding       a Content-Encoding on the way in
    |- ForeignOrigin       a page of another site asks for a mail
    |- StoreUnavailable    nothing was accepted
    |- RateLimited             a limit is reached
    |- MailNotSent         one try at one address
    |- MailOutcomeUnknown  one try, of which nobody knows how it ended
    |- UpstreamFailed      no answer, or none that can be passed on
    `- ConfigError         start-up: one line for the person at the console
"""


class GatewayError(Exception):
    """Any failure of the gateway; its text says what to do next and holds no secret."""


class LoginRequired(GatewayError):
    """A protected route was asked for in plaintext."""


class BodyTooLarge(GatewayError):
    """A body is larger than the configured cap."""


class BrokenBody(GatewayError):
    """A body broke off."""


class BodyTooSlow(GatewayError):
    """A body did not come in time."""


class TooManyBodies(GatewayError):
    """All bodies together are more than may be held; nothing was done with this one."""

    def __init__(self) -> None:
        super().__init__("too many large bodies at this moment; send it again in a moment")


class NoHost(GatewayError):
    """A request does not say once, and as it should, which host it is for."""


class UnsupportedContentEncoding(GatewayError):
    """A body came with a Content-Encoding."""


class ForeignOrigin(GatewayError):
    """A page of another site has its visitor's browser ask for a mail."""


class StoreUnavailable(GatewayError):
    """The store did not answer; nothing was accepted."""


class RateLimited(GatewayError):
    """A limit is reached, for ``retry_after_s`` seconds more (1 at least).

    ``limit`` is the name of the setting, ``user_tag`` that of the user, where it is one's own.
    """

    def __init__(self, reason: str, retry_after_s: int, limit: str, user_tag: bytes = b"") -> None:
        super().__init__(reason)
        self.retry_after_s = max(1, retry_after_s)
        self.limit = limit
        self.user_tag = user_tag


class MailNotSent(GatewayError):
    """A message could not be handed over; ``final`` where another try is of no use."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class MailOutcomeUnknown(GatewayError):
    """A message may have been accepted: it was sent whole, and no answer came."""


class UpstreamFailed(GatewayError):
    """The upstream gave no answer that can be passed on; ``timed_out`` where it was too slow.

    ``is_full`` where it was not asked, since others were before.
    """

    def __init__(self, reason: str, *, timed_out: bool = False, is_full: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.is_full = is_full


class ConfigError(GatewayError):
    """A setting is wrong; the text is one line and says how to put it right."""
