"""The hardened suites of the Python client: one session, and the ticket for the next one."""

from dataclasses import replace

from protocol.common.codec import serialize_json
from protocol.common.errors import LocalProtocolError, MalformedMessage
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.client_session import ClientTicket
from protocol.hardened.ticket_files import parse_ticket
from protocol.streams.opening import NO_STREAM, OFFER_FIELD

from .clock import Clock
from .errors import NotLoggedIn, PasswordNotAccepted, Refused, TicketNotKept
from .handshake import Choices, Enrolled, Handshake
from .messages import Messages
from .protocol import ClientProtocol, CodeEntry
from .request import as_bytes, from_bytes, with_values
from .sockets import SocketCall, WebSocket
from .streams import StreamCall, StreamResponse
from .tickets import Tickets
from .transport import Transport


class HardenedClientProtocol(ClientProtocol):
    """A session in the suite of ``choices``; ``tickets`` stores its ticket."""

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
        self._messages: Messages | None = None

    async def login(
        self, username: str, entry: CodeEntry, password: str | None, device: str | None
    ) -> None:
        enrolled = await self._handshake.login(username, entry, device)
        messages = self._messages_in(enrolled)
        if password is not None:
            # Sealed, so sent only after the gateway has proven its identity (PROTOCOL §2.4.7).
            fields = serialize_json({"password": password})
            checked = await messages.send(self._own_request("/session/authenticate", fields))
            if checked.status != 200:
                raise PasswordNotAccepted(checked.status)
        if self._tickets is not None and enrolled.ticket is None:
            # An old ticket would resume the session of the user who was logged in before.
            await self._tickets.forget()
        await self._keep(enrolled.ticket)
        self._messages = messages

    async def resume(self) -> None:
        if self._tickets is None:
            raise NotLoggedIn("no ticket is stored: set tickets=, or log in with a code")
        async with self._tickets.resuming():
            saved = await self._tickets.load()
            if saved is None:
                raise NotLoggedIn("there is no ticket yet: log in with a code")
            enrolled = await self._handshake.resume(self._ticket_in(saved))
            # Store the next ticket before the first message (PROTOCOL §2.8.3).
            await self._keep(enrolled.ticket)
            self._messages = self._messages_in(enrolled)

    def _ticket_in(self, saved: bytes) -> ClientTicket:
        try:
            # A ticket that an operator has made is text; the client stores its own tickets.
            is_text = saved.startswith(b"{")
            ticket = parse_ticket(saved) if is_text else ClientTicket.parse(saved)
        except (LocalProtocolError, MalformedMessage, TypeError):
            raise TicketNotKept("the stored data is not a ticket: log in with a code") from None
        if (ticket.suite, ticket.realm) != (self._choices.suite.name, self._choices.realm):
            raise TicketNotKept(
                f"the ticket is for {ticket.suite} in the realm {ticket.realm!r}: "
                "set the same suite= and realm=, or log in with a code"
            )
        return ticket

    async def _keep(self, ticket: ClientTicket | None) -> None:
        if self._tickets is not None and ticket is not None:
            await self._tickets.keep(ticket.serialize())

    def _messages_in(self, enrolled: Enrolled) -> Messages:
        return Messages(
            self._transport,
            self._choices.form,
            enrolled.session,
            enrolled.key,
            self._clock,
            self._steady,
        )

    async def send(self, request: HttpRequest) -> HttpResponse:
        if self._messages is None:
            raise NotLoggedIn("there is no session: call login first")
        # With an offer, header values are bytes in both directions (PROTOCOL §2.10.1).
        offer = (OFFER_FIELD, str(NO_STREAM))
        headers = (*with_values(request.headers, as_bytes), offer)
        response = await self._messages.send(replace(request, headers=headers))
        return replace(response, headers=with_values(response.headers, from_bytes))

    async def stream(self, call: StreamCall) -> StreamResponse:
        if self._messages is None:
            raise NotLoggedIn("there is no session: call login first")
        return await self._messages.stream(call)

    async def socket(self, call: SocketCall) -> WebSocket:
        if self._messages is None:
            raise NotLoggedIn("there is no session: call login first")
        return await self._messages.socket(call)

    def export(self, label: str, context: bytes, length: int) -> bytes:
        if self._messages is None:
            raise NotLoggedIn("there is no session: call login first")
        return self._messages.export(label, context, length)

    async def logout(self) -> None:
        try:
            ended = await self.send(self._own_request("/session/logout"))
            if ended.status != 200:
                raise Refused(ended.status, "logout", "the session was not ended")
        except Refused as error:
            # If the gateway does not know the session, it has ended already.
            if error.code != "rejected":
                raise
        self._messages = None
        if self._tickets is not None:
            await self._tickets.forget()

    def _own_request(self, path: str, body: bytes = b"") -> HttpRequest:
        """A sealed request to the gateway itself."""
        headers = (("Content-Type", "application/json"),) if body else ()
        return HttpRequest("POST", self._transport.prefix + path, headers, body)
