"""The Python client. It loads nothing of the gateway."""

from .client import CLASSIC, DEFAULT_SUITE, SUITES, Client, Suite
from .errors import (
    AnswerNotTrusted,
    ClientError,
    ClockNotAccepted,
    CodeMistyped,
    CodeNotAccepted,
    NoAnswer,
    NoGateway,
    NotLoggedIn,
    PasswordNotAccepted,
    Refused,
    StreamAborted,
    StreamBroken,
    StreamsNotAccepted,
    SuiteNotAccepted,
    TicketNotAccepted,
    TicketNotKept,
)
from .event_stream import ServerEvent
from .events import Events
from .response import Response
from .rsa_key import RsaDecrypter
from .streams import Body, StreamResponse
from .tickets import TicketFile, Tickets

__all__ = [
    "CLASSIC",
    "DEFAULT_SUITE",
    "SUITES",
    "AnswerNotTrusted",
    "Body",
    "Client",
    "ClientError",
    "ClockNotAccepted",
    "CodeMistyped",
    "CodeNotAccepted",
    "Events",
    "NoAnswer",
    "NoGateway",
    "NotLoggedIn",
    "PasswordNotAccepted",
    "Refused",
    "Response",
    "RsaDecrypter",
    "ServerEvent",
    "StreamAborted",
    "StreamBroken",
    "StreamResponse",
    "StreamsNotAccepted",
    "Suite",
    "SuiteNotAccepted",
    "TicketFile",
    "TicketNotAccepted",
    "TicketNotKept",
    "Tickets",
]
