"""The Python client. It loads nothing of the gateway."""

from .client import CLASSIC, DEFAULT_SUITE, SUITES, Client, Suite
from .cookies import Cookies
from .errors import (
    AnswerNotTrusted,
    BodyNotDecoded,
    ClientError,
    ClockNotAccepted,
    CodeMistyped,
    CodeNotAccepted,
    CookiesNotKept,
    NoAnswer,
    NoGateway,
    NotLoggedIn,
    OutcomeUnknown,
    PasswordNotAccepted,
    Refused,
    SocketRefused,
    SocketsNotAccepted,
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
from .sockets import WebSocket
from .stream_body import Body
from .streams import StreamResponse
from .tickets import TicketFile, Tickets

__all__ = [
    "CLASSIC",
    "DEFAULT_SUITE",
    "SUITES",
    "AnswerNotTrusted",
    "Body",
    "BodyNotDecoded",
    "Client",
    "ClientError",
    "ClockNotAccepted",
    "CodeMistyped",
    "CodeNotAccepted",
    "Cookies",
    "CookiesNotKept",
    "Events",
    "NoAnswer",
    "NoGateway",
    "NotLoggedIn",
    "OutcomeUnknown",
    "PasswordNotAccepted",
    "Refused",
    "Response",
    "RsaDecrypter",
    "ServerEvent",
    "SocketRefused",
    "SocketsNotAccepted",
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
    "WebSocket",
]
