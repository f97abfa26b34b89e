"""The errors of the signer, with their names and statuses on the wire."""


class IssuingError(Exception):
    """A request got no certificate. The message has no part of the request."""

    code: str
    status: int


class Malformed(IssuingError):
    """The request is not one that is accepted. The message says what to change."""

    code, status = "malformed", 400


class SuiteRequired(IssuingError):
    """The session is of no hardened suite."""

    code, status = "suite_required", 403


class Busy(IssuingError):
    """The signer has too many requests at the same time."""

    code, status = "busy", 503


class NotSigned(IssuingError):
    """The signer gave no certificate. The client gets the same answer for every reason."""

    code, status = "not_signed", 502
