"""The former place of ``certless.client``."""

import warnings

from certless.client import (
    AnswerNotTrusted,
    Client,
    ClientError,
    ClockNotAccepted,
    CodeMistyped,
    CodeNotAccepted,
    NoAnswer,
    NoGateway,
    NotLoggedIn,
    PasswordNotAccepted,
    Refused,
    Response,
    RsaDecrypter,
    SuiteNotAccepted,
    TicketFile,
    TicketNotAccepted,
    TicketNotKept,
    Tickets,
)

__all__ = [
    "AnswerNotTrusted",
    "Client",
    "ClientError",
    "ClockNotAccepted",
    "CodeMistyped",
    "CodeNotAccepted",
    "NoAnswer",
    "NoGateway",
    "NotLoggedIn",
    "PasswordNotAccepted",
    "Refused",
    "Response",
    "RsaDecrypter",
    "SuiteNotAccepted",
    "TicketFile",
    "TicketNotAccepted",
    "TicketNotKept",
    "Tickets",
]

warnings.warn(
    "gateway.client is now certless.client: import that", DeprecationWarning, stacklevel=2
)
