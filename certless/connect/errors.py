"""Errors of ``connect``. Each text names the next step."""

from certless.client import ClientError


class CannotStart(ClientError):
    """``connect`` cannot start, for instance because its port is taken."""


class NothingPassed(ClientError):
    """The command ended well, but none of its requests went through ``connect``."""


class LoginNeeded(ClientError):
    """There is no session: the user must log in."""


class Interrupted(ClientError):
    """The session was lost during a request that cannot be sent again without a risk."""


class NotForwarded(ClientError):
    """The site sent something that must not be passed on."""
