"""The hardened suites at the Python client: one session, and the ticket that leads to the next.

What a request needs beside itself is seen to here: a new epoch every 15 minutes, and a clock that
is put right after a refusal (PROTOCOL §17.6, §18).
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from protocol.client_session import (
    ClientSession,
    ClientTicket,
    ClockRefused,
    PendingMessage,
    seal_request,
)
from protocol.errors import LocalProtocolError
from protocol.messages import HttpRequest, HttpResponse
from protocol.sealed_messages import Envelope

from .client_conversation import CodeEntry, Conversation
from .client_errors import ClockNotAccepted, NotLoggedIn, Refused, TicketNotKept, answers_checked
from .client_handshake import Choices, Enrolled, Handshake
from .client_tickets import Tickets
from .client_transport import Transport
from .sessions import Clock

# Where there is one, a clock that goes on while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def steady_clock() -> int:
    """Milliseconds since some moment, by a clock that nobody sets."""
    now_ns = time.monotonic_ns() if _STEADY is None else time.clock_gettime_ns(_STEADY)
    return now_ns // 1_000_000


class HardenedConversation(Conversation):
    """A session in the suite of ``choices``; ``tickets`` is where its ticket is kept, if it is."""

    def __init__(
        self,
        transport: Transport,
        choices: Choices,
        tickets: Tickets | None,
        clock: Clock,
        steady: Clock,
    ) -> None:
        self._transport = transport
        self._choices = choices
        self._tickets = tickets
        self._clock = clock
        self._steady = steady
        self._handshake = Handshake(transport, choices, clock)
        self._enrolled: Enrolled | None = None

    async def login(self, username: str, entry: CodeEntry, password: str | None) -> None:
        enrolled = await self._handshake.login(username, entry)
        if self._tickets is not None and enrolled.ticket is None:
            # One that is left there would bring back whoever was logged in before.
            await self._tickets.forget()
        await self._adopt(enrolled)

    async def resume(self) -> None:
        if self._tickets is None:
            raise NotLoggedIn("no ticket is kept: name a place with tickets=, or log in")
        async with self._tickets.resuming():
            saved = await self._tickets.load()
            if saved is None:
                raise NotLoggedIn("no ticket is kept yet: log in with a code")
            await self._adopt(await self._handshake.resume(self._ticket_in(saved)))

    def _ticket_in(self, saved: bytes) -> ClientTicket:
        try:
            ticket = ClientTicket.parse(saved)
        except (LocalProtocolError, TypeError):
            raise TicketNotKept("what was kept is no ticket: log in with a code") from None
        if (ticket.suite, ticket.realm) != (self._choices.suite.name, self._choices.realm):
            raise TicketNotKept(
                f"the ticket is for {ticket.suite} in the realm {ticket.realm!r}: "
                "give suite= and realm= likewise, or log in with a code"
            )
        return ticket

    async def _adopt(self, enrolled: Enrolled) -> None:
        # A ticket's successor is kept before the first message (PROTOCOL §19.3).
        if self._tickets is not None and enrolled.ticket is not None:
            await self._tickets.keep(enrolled.ticket.serialize())
        self._enrolled = replace(enrolled, ticket=None)

    async def send(self, request: HttpRequest) -> HttpResponse:
        answer = await self._exchange(request)
        if isinstance(answer, ClockRefused) and answer.may_retry:
            answer = await self._exchange(request)
        if isinstance(answer, ClockRefused):
            raise ClockNotAccepted(
                "the gateway got the request too early or too late. The clock is put right now; "
                "before you send it again, look whether it was handled all the same"
            )
        return answer

    async def _exchange(self, request: HttpRequest) -> HttpResponse | ClockRefused:
        started_ms = self._steady()
        enrolled = self._current()
        envelope, pending, session = seal_request(
            enrolled.session, request, self._clock(), secrets.token_bytes, enrolled.pair
        )
        # Before anything is awaited: no other message may have the same number.
        self._enrolled = replace(enrolled, session=session)
        form = self._choices.form
        reply = await self._transport.post("/message", envelope.serialize(form), form)
        answer = self._open(pending, reply, self._steady() - started_ms)
        if isinstance(answer, ClockRefused):
            server_ms, now_ms = answer.server_ms, self._clock()
            self._learn(session, lambda known: known.corrected(server_ms, now_ms))
        else:
            self._learn(session, lambda known: known.answered(pending.epoch))
        return answer

    def _open(
        self, pending: PendingMessage, reply: bytes, elapsed_ms: int
    ) -> HttpResponse | ClockRefused:
        with answers_checked():
            try:
                return pending.open(Envelope.parse(self._choices.form, reply), elapsed_ms)
            except ClockRefused as refusal:
                return refusal

    def _learn(
        self, session: ClientSession, change: Callable[[ClientSession], ClientSession]
    ) -> None:
        """Change what is known of ``session``, unless another has taken its place meanwhile."""
        enrolled = self._enrolled
        if enrolled is not None and enrolled.session.session_id == session.session_id:
            self._enrolled = replace(enrolled, session=change(enrolled.session))

    def _current(self) -> Enrolled:
        if self._enrolled is None:
            raise NotLoggedIn("there is no session: call login first")
        if self._clock() >= self._enrolled.session.expires_ms:
            raise NotLoggedIn("the session has ended: call resume, or login")
        return self._enrolled

    async def logout(self) -> None:
        path = self._transport.prefix + "/session/logout"
        ended = await self.send(HttpRequest("POST", path, (), b""))
        if ended.status >= 400:
            raise Refused(ended.status, "logout", "the session was not ended")
        self._enrolled = None
        if self._tickets is not None:
            await self._tickets.forget()
