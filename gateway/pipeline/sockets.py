"""A WebSocket of the application inside a session, carried over a connection (PROTOCOL §2.11).

``carry`` moves messages between both ends: what the client sends goes to the application as fast
as it reads, and back. Neither side's data is held beyond the credit and a small buffer. The socket
ends with its session: the store is asked at least every 30 s.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable

from gateway.errors import BodyTooLarge, BrokenBody
from protocol.common.errors import AbortedStream, BrokenStream, LocalProtocolError
from protocol.streams.bodies import AbortReason
from protocol.streams.sockets import NOT_CLOSED, Closed, Fragment, Socket

from .pipe import BodyFailed
from .session_watch import SessionEnded, SessionWatch, steady_ms
from .socket_ends import AppSocket, Connection

# A side waits for the other one's FINAL for so long, and the last record may take so long.
CLOSE_S = 10
# The application waits while more than this is not sent.
_HELD_BYTES = 256 * 1024
_PING_S = 15
# The close codes for the application if the session, or the credit of one message, is over.
_SESSION_ENDED, _TOO_LARGE = 1008, 1009


class _Carrier:
    """The tasks of one socket."""

    def __init__(
        self, socket: Socket, connection: Connection, app: AppSocket, watch: SessionWatch
    ) -> None:
        self._socket = socket
        self._connection = connection
        self._app = app
        self._watch = watch
        self._inbox: deque[Fragment | Closed] = deque()
        self._received = asyncio.Event()
        self._to_send = asyncio.Event()
        self._sent = asyncio.Event()
        self._is_ping_due = False

    async def run(self) -> None:
        """Return when both sides have closed. Raises what ends the socket otherwise."""
        sending = asyncio.create_task(self._send())
        feeding = asyncio.create_task(self._feed())
        others = [
            asyncio.create_task(work) for work in (self._read(), self._from_app(), self._keep())
        ]
        left = {sending, feeding, *others}
        try:
            while not sending.done():
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            await self._connection.close(1000, "")
            with contextlib.suppress(TimeoutError):
                # The application may still be reading what came before the close.
                await asyncio.wait_for(feeding, CLOSE_S)
        finally:
            for task in (sending, feeding, *others):
                task.cancel()
            await asyncio.gather(sending, feeding, *others, return_exceptions=True)

    async def _read(self) -> None:
        """The client's messages, to the inbox. The credit of the client limits it."""
        while (message := await self._connection.receive()) is not None:
            self._socket.feed(message)
            while (event := self._socket.next()) is not None:
                self._inbox.append(event)
                self._received.set()
                if isinstance(event, Closed):
                    self._to_send.set()
                    return
            self._to_send.set()
        self._socket.end()

    async def _feed(self) -> None:
        """The inbox, to the application."""
        while True:
            while not self._inbox:
                self._received.clear()
                await self._received.wait()
            event = self._inbox.popleft()
            if isinstance(event, Closed):
                await self._app.closed(event.code, event.reason)
                return
            await self._app.deliver(event)
            self._socket.taken(event.cost)
            self._to_send.set()

    async def _from_app(self) -> None:
        """What the application sends, to be sealed."""
        while True:
            event = await self._app.receive()
            if isinstance(event, Closed):
                self._socket.close(event.code, event.reason)
                self._to_send.set()
                return
            if self._socket.is_closing:
                continue
            self._socket.send(event.type, event.data)
            self._to_send.set()
            while self._socket.buffered_bytes > _HELD_BYTES:
                self._sent.clear()
                await self._sent.wait()

    async def _send(self) -> None:
        """Records, as fast as credit and connection allow."""
        while True:
            while data := self._socket.outgoing(steady_ms()):
                await self._connection.send(data)
                self._sent.set()
            # What was queued may have been dropped.
            self._sent.set()
            if self._socket.is_over:
                return
            if self._is_ping_due:
                self._is_ping_due = False
                await self._connection.send(self._socket.ping(steady_ms()))
            self._to_send.clear()
            is_closed = self._socket.is_closing and not self._socket.buffered_bytes
            try:
                async with asyncio.timeout(CLOSE_S if is_closed else None):
                    await self._to_send.wait()
            except TimeoutError:
                raise ConnectionResetError("the other side does not close") from None

    async def _keep(self) -> None:
        """Ask for the session, and keep the connection in use."""
        while True:
            await asyncio.sleep(_PING_S)
            await self._watch.check()
            if not self._socket.is_closing:
                self._is_ping_due = True
                self._to_send.set()


async def carry(socket: Socket, connection: Connection, app: AppSocket, watch: SessionWatch) -> str:
    """Carry an open socket to its end; the outcome for the access log.

    ``socket`` has sent its head. The connection is closed at the end.
    """
    reason, code = AbortReason.BROKEN, NOT_CLOSED
    try:
        await _Carrier(socket, connection, app, watch).run()
        return "closed"
    except SessionEnded:
        reason, code = AbortReason.SESSION_ENDED, _SESSION_ENDED
    except BodyTooLarge:
        reason, code = AbortReason.TOO_LARGE, _TOO_LARGE
    except (BodyFailed, LocalProtocolError):
        # The application has failed, or sent what no socket can carry.
        reason = AbortReason.FAILED
    except AbortedStream:
        reason = AbortReason.CANCELLED
    except (BrokenStream, BrokenBody, ConnectionError):
        reason = AbortReason.BROKEN
    finally:
        # Also if the server ends: the application must not wait for ever.
        await _both(_abort(socket, connection, reason), app.lost(code))
    return reason.name.lower()


async def _abort(socket: Socket, connection: Connection, reason: AbortReason) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            if data := socket.abort(reason, steady_ms()):
                await connection.send(data)
            await connection.close(1000, "")


async def _both(*works: Awaitable[None]) -> None:
    await asyncio.gather(*works, return_exceptions=True)
