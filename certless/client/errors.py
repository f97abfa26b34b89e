"""What can go wrong for the Python client. Each text says what to do next and holds no secret.

::

    ClientError
    |- NotLoggedIn             there is no session, or it has ended: nothing was sent
    |- TicketNotKept           the ticket's place does not work
    |- CodeMistyped            nothing was sent, and no attempt was spent
    |- ClockNotAccepted        the message was too old or too new; it may have been handled before
    |- NoAnswer                no whole answer came, or not in time; it may have been handled
    |- AnswerNotTrusted        an answer that the gateway cannot have made
    `- Refused                 the gateway's words: ``status`` and ``code``
       |- NoGateway
       |- SuiteNotAccepted
       |- CodeNotAccepted
       |- PasswordNotAccepted
       `- TicketNotAccepted
"""

from collections.abc import Iterator
from contextlib import contextmanager

from protocol.common.errors import MalformedMessage, RemoteProtocolError

_THEN = "A code stands 5 attempts; then ask for a new one"


class ClientError(Exception):
    """The gateway did not do what was asked; the text says what to do next."""


class NotLoggedIn(ClientError):
    """There is no session, and nothing was sent."""


class TicketNotKept(ClientError):
    """The place that ``tickets`` names cannot be read, written or locked."""


class CodeMistyped(ClientError):
    """What was given cannot be a code; it was not sent, and cost no attempt."""


class ClockNotAccepted(ClientError):
    """The gateway refused the message for its time, and it was not sent once more."""


class NoAnswer(ClientError):
    """No whole answer came, or not in time. What was sent may have been handled all the same."""

    def __init__(self, reason: str, then: str = "is the gateway running there?") -> None:
        super().__init__(f"no answer: {reason}; {then}")


class AnswerNotTrusted(ClientError):
    """An answer came that the gateway cannot have sealed for this request."""


class Refused(ClientError):
    """The gateway refused; ``status`` and ``code`` are its words (PROTOCOL §9).

    They came without a seal, so they prove nothing: also what was refused may have been handled.
    ``retry_after_s`` where the gateway says when to come again (429), and None elsewhere.
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
    """Something else answers there."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "no_gateway", "there is no Certless gateway at this URL")


class SuiteNotAccepted(Refused):
    """The gateway does not take the suite. The client tries no other by itself."""

    def __init__(self, status: int, suite: str) -> None:
        super().__init__(
            status,
            "unsupported_suite",
            f"this gateway does not take {suite}: ask who runs it which suite to use (ecdh-gcm, "
            "rsa-gcm or classic), and name it with suite= (--suite)",
        )


class CodeNotAccepted(Refused):
    """The gateway did not accept the login; it says no more than that."""

    def __init__(self, status: int, code: str, agreed: str, then: str = _THEN) -> None:
        """``agreed``: what else both sides must have alike. ``then``: what to do next."""
        super().__init__(
            status,
            code,
            "the code was not accepted: is it from the newest mail, not older than 10 minutes, "
            f"and the {agreed} the gateway's? {then}. A user gets 3 mails in 15 minutes, "
            "and then none until that time is over",
        )


class PasswordNotAccepted(Refused):
    """The code was right and is spent, and the password was not."""

    def __init__(self, status: int) -> None:
        super().__init__(
            status, "rejected", "the password was not accepted, and the code is spent: log in again"
        )


class TicketNotAccepted(Refused):
    """The gateway did not accept the ticket; it is kept, for this may have been said by another."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(
            status, code, "the ticket was not accepted: if this lasts, log in with a code"
        )


@contextmanager
def answers_checked() -> Iterator[None]:
    """Raises AnswerNotTrusted for whatever an answer inside lacks."""
    try:
        yield
    except MalformedMessage as error:
        raise AnswerNotTrusted(f"this is no answer of a gateway: {error}") from None
    except RemoteProtocolError as error:
        raise AnswerNotTrusted(f"the answer is not ours: {error.code}") from None
