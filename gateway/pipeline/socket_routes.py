"""The route of sockets: what opens one, before its messages flow (PROTOCOL §2.11.1)."""

import asyncio
import secrets
import time
from dataclasses import replace

from gateway.config.settings import Settings
from gateway.errors import BodyTooLarge, BodyTooSlow, BrokenBody
from gateway.events import Events, MessageServed
from gateway.sessions.hardened import HardenedSessions, LiveSession
from protocol.common.envelopes import Members
from protocol.common.errors import MalformedMessage
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.message_server import AcceptedMessage
from protocol.hardened.sealed_messages import Kind
from protocol.streams.opening import SocketRequest
from protocol.streams.records import (
    MOST_RECORD_BYTES,
    Direction,
    RecordReader,
    RecordWriter,
)
from protocol.streams.sockets import MAX_OPENING_BYTES, NOT_CLOSED, Socket

from .dispatch import Dispatcher
from .hardened_routes import HardenedRoutes
from .outer import OuterRequest, Reply
from .responses import sealed_error
from .session_watch import SessionWatch, steady_ms
from .socket_ends import AppSocket, Connection
from .sockets import carry

SOCKET = "/socket"
# The first message of a client that was not authenticated yet.
_OPENING_S = 10
# A longer body of a response that refuses a socket is left out.
_MAX_BODY_BYTES = 65_536
_TOO_MANY = "too many streams and WebSockets are open: close one first"


class SocketRoutes:
    """Socket requests, and the sockets that they open."""

    def __init__(
        self,
        settings: Settings,
        hardened: HardenedRoutes,
        sessions: HardenedSessions,
        dispatcher: Dispatcher,
        events: Events,
    ) -> None:
        self._settings = settings
        self._hardened = hardened
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._events = events

    async def serve(self, request: OuterRequest, connection: Connection, arrived_s: float) -> str:
        """Serve one connection to its end; the outcome for the access log.

        Raises: ConnectionError, BodyTooLarge, BodyTooSlow, and as ``HardenedRoutes.accept``.
        """
        members = Members.parse("msgpack", await _opening(connection))
        accepted = await self._hardened.accept(request, members, Kind.SOCKET_REQUEST)
        if isinstance(accepted, Reply):
            await connection.send(accepted.body)
            await connection.close(1000, "")
            return accepted.outcome
        end = self._hardened.open_streams.begin(accepted[0].session.user)
        try:
            return await self._answer(request, connection, accepted, arrived_s, is_full=end is None)
        finally:
            if end is not None:
                end()

    async def _answer(
        self,
        request: OuterRequest,
        connection: Connection,
        accepted: tuple[LiveSession, AcceptedMessage],
        arrived_s: float,
        *,
        is_full: bool,
    ) -> str:
        """Answer an accepted socket request, and carry its socket; the outcome."""
        live, message = accepted
        outcome = f"session {live.session.id} (socket"
        asked, app = await self._opened(request, message, live, is_full=is_full)
        seconds = time.monotonic() - arrived_s
        self._events.emit(MessageServed(live.record.session_id, live.session.suite, seconds))
        clock = self._settings.clock
        if isinstance(app, HttpResponse):
            sealed = message.seal_response(_short(app), clock(), secrets.token_bytes)
            await connection.send(sealed.serialize("msgpack"))
            await connection.close(1000, "")
            return f"{outcome} refused)"
        envelope, keys = message.seal_grant(MOST_RECORD_BYTES, clock(), secrets.token_bytes)
        now_ms = steady_ms()
        socket = Socket(
            RecordWriter(keys, Direction.SERVER, asked.record_bytes, now_ms),
            RecordReader(keys, Direction.CLIENT, MOST_RECORD_BYTES),
            awaits_head=False,
        )
        try:
            await connection.send(envelope.serialize("msgpack"))
            await connection.send(socket.accept(app.head, now_ms))
        except BaseException:
            await app.lost(NOT_CLOSED)
            raise
        watch = SessionWatch(self._sessions, live.record.session_id, clock)
        return f"{outcome}: {await carry(socket, connection, app, watch)})"

    async def _opened(
        self, request: OuterRequest, message: AcceptedMessage, live: LiveSession, *, is_full: bool
    ) -> tuple[SocketRequest, HttpResponse | AppSocket]:
        """The socket of the application, or the response that refuses it."""
        try:
            asked = message.socket_request()
            if live.kept.awaits_password:
                return asked, self._hardened.password_required()
            if is_full:
                return asked, sealed_error(429, "too_many", _TOO_MANY)
            inside = HttpRequest("GET", asked.target, asked.headers, b"")
            refused = await self._dispatcher.refusal(request, inside, live.session)
            if refused is not None:
                return asked, refused.response
            open_socket = self._dispatcher.application_of(request).run_socket
            return asked, await open_socket(inside, asked.protocols, live.session)
        except MalformedMessage as error:
            none = SocketRequest("/", (), (), MOST_RECORD_BYTES)
            return none, sealed_error(400, error.public_code, str(error))


async def _opening(connection: Connection) -> bytes:
    try:
        async with asyncio.timeout(_OPENING_S):
            message = await connection.receive()
    except TimeoutError:
        raise BodyTooSlow("the first message did not come in time") from None
    except BrokenBody as error:
        raise MalformedMessage(str(error)) from None
    if message is None:
        raise ConnectionResetError("the connection ended without a message")
    if len(message) > MAX_OPENING_BYTES:
        raise BodyTooLarge(f"a socket request has at most {MAX_OPENING_BYTES} bytes")
    return message


def _short(response: HttpResponse) -> HttpResponse:
    return response if len(response.body) <= _MAX_BODY_BYTES else replace(response, body=b"")
