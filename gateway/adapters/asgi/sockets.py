"""WebSockets: the outer one of a client, and the one of an application inside a session."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable

from gateway.errors import BodyTooLarge, BrokenBody
from gateway.pipeline.inner import FAILED, captured_response, end_to_end, failed, log_failure
from gateway.pipeline.pipe import BodyFailed
from gateway.pipeline.socket_ends import AppSocket, Connection, SocketMessage
from protocol.common.messages import HttpResponse
from protocol.streams.bodies import AbortReason
from protocol.streams.records import RecordType
from protocol.streams.sockets import Closed, Fragment, SocketHead

from .inner import ASGIApp, Message, Receive, Scope, Send

# ASGI has whole messages only. This is the limit of uvicorn and Hypercorn, too.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_HELD_MESSAGES = 16
_DENIED = HttpResponse(403, (("Content-Type", "text/plain"),), b"403 Forbidden")
_OWN = "sec-websocket-"


class AsgiConnection(Connection):
    """A connection of an ASGI server."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_over = False

    async def accept(self) -> None:
        """Complete the handshake."""
        await self._receive()
        await self._send({"type": "websocket.accept"})

    async def receive(self) -> bytes | None:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._is_over = True
            return None
        if (data := message.get("bytes")) is None:
            raise BrokenBody("a connection carries binary messages only")
        return bytes(data)

    async def send(self, data: bytes) -> None:
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except OSError:
            raise ConnectionResetError("the client has gone") from None

    async def close(self, code: int, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            with contextlib.suppress(OSError, RuntimeError):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})


def socket_scope(scope: Scope, protocols: tuple[str, ...]) -> Scope:
    """The scope of a request inside a session as that of a WebSocket."""
    headers = [pair for pair in scope["headers"] if not pair[0].startswith(_OWN.encode())]
    socket = {
        **scope,
        "type": "websocket",
        "scheme": "wss" if scope.get("scheme") in ("https", "wss") else "ws",
        "headers": headers,
        "subprotocols": list(protocols),
        "extensions": {"websocket.http.response": {}},
    }
    socket.pop("method", None)
    return socket


class AppCall:
    """One call of an application with a WebSocket.

    ``answer`` is set as soon as the application accepts, refuses or fails.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[HttpResponse | AppSocket] = loop.create_future()
        self.head = SocketHead((), None)
        self._incoming: deque[Message] = deque([{"type": "websocket.connect"}])
        self._outgoing: deque[SocketMessage | Closed | BodyFailed] = deque()
        self._changed = asyncio.Condition()
        self._partial = bytearray()
        self._refusal: tuple[int, list[tuple[str, str]]] | None = None
        self._body = bytearray()
        self._has_sent_close = False
        self._is_ended = False

    async def call(self, app: ASGIApp, scope: Scope) -> None:
        """Call ``app`` until it returns. Its errors are logged."""
        last: Closed | BodyFailed = Closed(1000, "")
        try:
            await app(scope, self._receive, self._send)
            if not self.answer.done():
                raise RuntimeError("the application returned without an answer to the handshake")
        except BaseException as error:
            last = BodyFailed(AbortReason.FAILED)
            if not self.answer.done():
                self.answer.set_result(failed(error))
            elif not isinstance(error, asyncio.CancelledError):
                log_failure("handler", error)
            # A handler that calls sys.exit() must not end the server.
            if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
                raise
        finally:
            self._is_ended = True
            if not self._has_sent_close:
                self._outgoing.append(last)
            async with self._changed:
                self._changed.notify_all()

    # --- the application's side ---

    async def _receive(self) -> Message:
        async with self._changed:
            await self._changed.wait_for(lambda: self._incoming)
            message = self._incoming.popleft()
            if message["type"] == "websocket.disconnect":
                self._incoming.append(message)
            self._changed.notify_all()
            return message

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if not self.answer.done():
            self._decide(kind, message)
        elif kind == "websocket.send" and not self._has_sent_close:
            await self._put(_message_of(message))
        elif kind == "websocket.close" and not self._has_sent_close:
            self._has_sent_close = True
            code, reason = message.get("code", 1000), message.get("reason") or ""
            await self._put(Closed(code, reason))
        else:
            raise RuntimeError(f"{kind} cannot be sealed, or not at this point")

    def _decide(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            headers = end_to_end(_text_of(message.get("headers", ())))
            kept = tuple(pair for pair in headers if not pair[0].lower().startswith(_OWN))
            checked = captured_response(200, kept, b"")
            if checked is FAILED:
                raise RuntimeError("a head that no client would open")
            self.head = SocketHead(kept, message.get("subprotocol"))
            self.answer.set_result(self)
        elif kind == "websocket.close":
            self._has_sent_close = True
            self.answer.set_result(_DENIED)
        elif kind == "websocket.http.response.start" and self._refusal is None:
            self._refusal = int(message["status"]), _text_of(message.get("headers", ()))
        elif kind == "websocket.http.response.body" and self._refusal is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self._has_sent_close = True
                self.answer.set_result(captured_response(*self._refusal, bytes(self._body)))
        else:
            raise RuntimeError(f"{kind} cannot be sealed, or not at this point")

    async def _put(self, event: SocketMessage | Closed) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: len(self._outgoing) < _HELD_MESSAGES or self._is_lost
            )
            if self._is_lost:
                raise ConnectionResetError("the client has gone")
            self._outgoing.append(event)
            self._changed.notify_all()

    # --- the client's side ---

    @property
    def _is_lost(self) -> bool:
        return any(message["type"] == "websocket.disconnect" for message in self._incoming)

    async def deliver(self, fragment: Fragment) -> None:
        if len(self._partial) + len(fragment.data) > _MAX_MESSAGE_BYTES:
            raise BodyTooLarge(f"a message has at most {_MAX_MESSAGE_BYTES} bytes")
        self._partial += fragment.data
        if not fragment.is_last:
            return
        whole, self._partial = bytes(self._partial), bytearray()
        message: Message = {"type": "websocket.receive"}
        if fragment.type is RecordType.TEXT:
            message["text"] = whole.decode()
        else:
            message["bytes"] = whole
        async with self._changed:
            self._incoming.append(message)
            self._changed.notify_all()
            await self._changed.wait_for(
                lambda: len(self._incoming) < _HELD_MESSAGES or self._is_ended
            )

    async def receive(self) -> SocketMessage | Closed:
        async with self._changed:
            await self._changed.wait_for(lambda: self._outgoing)
            event = self._outgoing.popleft()
            self._changed.notify_all()
        if isinstance(event, BodyFailed):
            raise event
        return event

    async def closed(self, code: int, reason: str) -> None:
        await self.lost(code, reason)

    async def lost(self, code: int, reason: str = "") -> None:
        async with self._changed:
            if not self._is_lost:
                end = {"type": "websocket.disconnect", "code": code, "reason": reason}
                self._incoming.append(end)
                self._changed.notify_all()


def _message_of(message: Message) -> SocketMessage:
    if (text := message.get("text")) is not None:
        return SocketMessage(RecordType.TEXT, text.encode())
    return SocketMessage(RecordType.BINARY, bytes(message["bytes"]))


def _text_of(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [
        (bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers
    ]
