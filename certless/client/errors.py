"""Errors of the Python client. Each text says what to do next and contains no secret.

::

    ClientError
    |- NotLoggedIn             there is no session, or it has ended: nothing was sent
    |- TicketNotKept           the ticket cannot be read, written or locked
    |- CookiesNotKept          the file of cookies cannot be read or written
    |- CodeMistyped            nothing was sent, and no attempt was used
    |- ClockNotAccepted        the message was too old or too new; it may have been processed
    |- NoAnswer                no complete response in time; the request may have been processed
    |- AnswerNotTrusted        a response that the gateway cannot have made
    |- BodyNotDecoded          a body that is not in its Content-Encoding, or too large when decoded
    |- OutcomeUnknown          a success was answered to a part of the request's body
    |- StreamBroken            a body was cut off or changed on its way
    |- StreamAborted           the gateway ended a stream early
    `- Refused                 an error response: ``status`` and ``code``
       |- NoGateway
       |- SuiteNotAccepted
       |- StreamsNotAccepted
       |- SocketsNotAccepted
       |- SocketRefused
       |- CodeNotAccepted
       |- PasswordNotAccepted
       `- TicketNotAccepted
"""

from collections.abc import Iterator
from contextlib import contextmanager

from protocol.common.errors import MalformedMessage, RemoteProtocolError

_ABORTED = {
    1: "it was cancelled",
    2: "the application or the upstream failed",
    3: "it is too large",
    4: "the session has ended: log in again",
    5: "it took too long",
    6: "what was sent did not arrive whole",
}
_THEN = "A code allows at most 5 attempts; after that, ask for a new one"


class ClientError(Exception):
    """The request failed; the text says what to do next."""


class NotLoggedIn(ClientError):
    """There is no session; nothing was sent."""


class TicketNotKept(ClientError):
    """The file of ``tickets`` cannot be read, written or locked."""


class CookiesNotKept(ClientError):
    """The file of ``cookies`` cannot be read or written, or it is of another origin."""


class CodeMistyped(ClientError):
    """The text contains no code. It was not sent and used no attempt."""


class ClockNotAccepted(ClientError):
    """The gateway refused the time of the message, and the client did not send it again."""


class NoAnswer(ClientError):
    """No complete response came in time. The gateway may have processed the request."""

    def __init__(self, reason: str, then: str = "is the gateway running there?") -> None:
        super().__init__(f"no response: {reason}; {then}")


class AnswerNotTrusted(ClientError):
    """A response that the gateway cannot have sealed for this request."""


class BodyNotDecoded(ClientError):
    """The body of a response is not in its Content-Encoding, or it is too large when decoded."""


class OutcomeUnknown(ClientError):
    """The response has a status below 400, but the gateway did not receive the whole body.

    The request may have been processed. Check that before you send it again.
    """


class StreamBroken(ClientError):
    """A body was cut off or changed on its way. The part before is genuine but incomplete."""


class StreamAborted(ClientError):
    """The gateway ended the stream before its end."""

    def __init__(self, reason: int) -> None:
        text = _ABORTED.get(reason, "for a reason that this version does not know")
        super().__init__(f"the gateway ended the stream: {text}")
        self.reason = reason


class Refused(ClientError):
    """The gateway refused the request with ``status`` and ``code`` (PROTOCOL §5.4).

    The response is not sealed, so it proves nothing: the request may have been processed.
    ``retry_after_s`` is set if the gateway says when to try again (429), else None.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after_s: int | None = None
    ) -> None:
        later = "" if retry_after_s is None else f"; try again in {retry_after_s} s"
        super().__init__(f"{status} {code}: {message}{later}")
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class NoGateway(Refused):
    """Another server answered."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "no_gateway", "there is no Certless gateway at this URL")


class SuiteNotAccepted(Refused):
    """The gateway does not accept the suite. The client does not try another one."""

    def __init__(self, status: int, suite: str) -> None:
        super().__init__(
            status,
            "unsupported_suite",
            f"this gateway does not accept {suite}: ask its operator which suite to use (ecdh-gcm, "
            "rsa-gcm or classic), and set it with suite= (--suite)",
        )


class StreamsNotAccepted(Refused):
    """The gateway accepts no streams. The client does not send the body in another way."""

    def __init__(self, status: int) -> None:
        super().__init__(
            status,
            "no_streams",
            "this gateway takes no streams (it is older than 0.3.0): send a body that fits into "
            "one message by post() or put()",
        )


class SocketsNotAccepted(Refused):
    """The gateway takes no WebSockets. The client opens none without a seal instead."""

    def __init__(self, status: int) -> None:
        super().__init__(
            status,
            "no_sockets",
            "this gateway takes no WebSockets (it is older than 0.3.0), or a reverse proxy before "
            "it does not pass the upgrade on",
        )


class SocketRefused(Refused):
    """The application, or a policy of the gateway, has refused a WebSocket.

    The response came sealed: ``status``, ``headers`` and ``body``.
    """

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        super().__init__(status, "socket_refused", "the application opens no WebSocket there")
        self.headers = headers
        self.body = body


class CodeNotAccepted(Refused):
    """The gateway did not accept the login. It does not say why."""

    def __init__(self, status: int, code: str, agreed: str, then: str = _THEN) -> None:
        """``agreed``: the option that both sides must set alike. ``then``: what to do next."""
        super().__init__(
            status,
            code,
            "the code was not accepted: is it from the newest mail, at most 10 minutes old, and is "
            f"the {agreed} the same as the gateway's? {then}. A user gets at most 3 mails in 15 "
            "minutes",
        )


class PasswordNotAccepted(Refused):
    """The code was right and is used up, but the password was wrong."""

    def __init__(self, status: int) -> None:
        super().__init__(
            status,
            "rejected",
            "the password was not accepted, and the code is used up: log in again",
        )


class TicketNotAccepted(Refused):
    """The gateway did not accept the ticket. It is kept, because the response is not sealed."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(
            status, code, "the ticket was not accepted: if this repeats, log in with a code"
        )


@contextmanager
def answers_checked() -> Iterator[None]:
    """Raises: AnswerNotTrusted, instead of the protocol errors raised inside."""
    try:
        yield
    except MalformedMessage as error:
        raise AnswerNotTrusted(f"this is not a response of a gateway: {error}") from None
    except RemoteProtocolError as error:
        raise AnswerNotTrusted(f"the response is not for this request: {error.code}") from None
