"""WebSockets of the Python client (PROTOCOL §2.11).

::

    async with client.ws("/chat", protocols=["chat.v2"]) as ws:
        await ws.send_str("hello")
        async for message in ws:
            print(message.data)

The interface is that of aiohttp's ``ClientWebSocketResponse``. There is one difference: an end that
is not a verified close is an exception, never just the end of the messages. The module is long
because it is one interface.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMessage, WSMsgType
from multidict import CIMultiDict, CIMultiDictProxy

from protocol.common.errors import LocalProtocolError
from protocol.hardened.client_session import OpenedStream
from protocol.streams.bodies import AbortReason
from protocol.streams.opening import SocketRequest
from protocol.streams.records import Direction, RecordReader, RecordType, RecordWriter
from protocol.streams.sockets import (
    NOT_CLOSED,
    Closed,
    Fragment,
    Socket,
    SocketHead,
)

from .clock import Clock
from .errors import AnswerNotTrusted, ClientError, NoAnswer, StreamBroken
from .stream_content import stream_errors
from .transport import SocketConnection

CLOSE_S = 10
# The server sends a PING at least every 15 s.
_SILENCE_S = 60
_TOO_LARGE = 1009
_KINDS = {RecordType.TEXT: WSMsgType.TEXT, RecordType.BINARY: WSMsgType.BINARY}
_CLOSED = WSMessage(WSMsgType.CLOSED, None, None)


@dataclass(frozen=True, slots=True)
class SocketCall:
    """One call of ``Client.ws``. ``max_msg_size`` is 0 for no limit."""

    request: SocketRequest
    max_msg_size: int


class WebSocket:
    """An open WebSocket inside the session."""

    def __init__(
        self,
        call: SocketCall,
        opened: OpenedStream,
        connection: SocketConnection,
        steady: Clock,
    ) -> None:
        self.protocol: str | None = None
        # None until the socket has ended; 1006 if the other side has not closed it.
        self.close_code: int | None = None
        self.headers = CIMultiDictProxy(CIMultiDict[str]())
        self._offered = call.request.protocols
        self._max_size = call.max_msg_size
        self._connection = connection
        self._steady = steady
        self._socket = Socket(
            RecordWriter(opened.keys, Direction.CLIENT, opened.record_bytes, steady()),
            RecordReader(opened.keys, Direction.SERVER, call.request.record_bytes),
            awaits_head=True,
        )
        self._inbox: deque[tuple[WSMessage, int]] = deque()
        self._partial = bytearray()
        # The credit that the fragments of `_partial` have used up, if it was not renewed.
        self._partial_cost = 0
        self._error: ClientError | None = None
        self._is_told = False
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Read the head, and go on reading. Raises: ClientError."""
        try:
            with stream_errors():
                while self._socket.head is None:
                    await self._feed(await self._connection.receive(_SILENCE_S))
            self._take_head(self._socket.head)
        except BaseException:
            await self._connection.close()
            raise
        self._reader = asyncio.create_task(self._read())

    def _take_head(self, head: SocketHead) -> None:
        if head.protocol is not None and head.protocol not in self._offered:
            raise AnswerNotTrusted("the gateway chose a subprotocol that was not offered")
        self.protocol = head.protocol
        # As aiohttp decodes the bytes of a value.
        self.headers = CIMultiDictProxy(
            CIMultiDict(
                (name, value.encode("latin-1").decode("utf-8", "surrogateescape"))
                for name, value in head.headers
            )
        )

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.close_code is not None or self._socket.is_closing

    def exception(self) -> ClientError | None:
        """What has ended the socket, unless it was closed."""
        return self._error

    # --- sending ---

    async def send_str(self, data: str) -> None:
        """Send text. Waits until all of it is sent. Raises: ClientError."""
        await self._send_message(RecordType.TEXT, data.encode())

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes. Waits until all of them are sent. Raises: ClientError."""
        await self._send_message(RecordType.BINARY, bytes(data))

    async def send_json(self, data: Any) -> None:
        """Send ``data`` as JSON text. Raises: ClientError."""
        await self.send_str(json.dumps(data))

    async def _send_message(self, type_: RecordType, data: bytes) -> None:
        if self._error is not None:
            raise self._error
        try:
            self._socket.send(type_, data)
        except LocalProtocolError:
            raise NoAnswer("the socket is closed", "open another one") from None
        await self._flush()
        while self._socket.buffered_bytes and self._error is None:
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    async def _flush(self) -> None:
        async with self._sending:
            while data := self._socket.outgoing(self._steady()):
                await self._connection.send(data)

    async def close(self, *, code: int = 1000, message: bytes = b"") -> bool:
        """Close, and wait for the other side's close; whether this call has closed the socket.

        Messages that have come and were not received are dropped. Raises: ValueError, for a code
        or message that no close can hold.
        """
        is_first = not self.closed
        try:
            self._socket.close(code, message.decode())
        except (LocalProtocolError, UnicodeDecodeError) as error:
            raise ValueError(str(error)) from None
        with contextlib.suppress(ClientError):
            await self._flush()
        if self._reader is not None:
            self._is_told = True
            await asyncio.wait((self._reader,), timeout=CLOSE_S)
            self._reader.cancel()
            await asyncio.wait((self._reader,))
        if self.close_code is None:
            self.close_code = NOT_CLOSED
        await self._connection.close()
        return is_first

    # --- receiving ---

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """The next message: TEXT or BINARY, once CLOSE with code and reason, then CLOSED.

        Raises: StreamBroken, StreamAborted, NoAnswer (the socket ended without a close),
        TimeoutError.
        """
        if not self._inbox:
            async with asyncio.timeout(timeout):
                while not self._inbox:
                    if self._error is not None:
                        raise self._error
                    if self._reader is None or self._reader.done():
                        return _CLOSED
                    self._changed.clear()
                    await self._changed.wait()
        message, cost = self._inbox.popleft()
        if not self._inbox:
            cost, self._partial_cost = cost + self._partial_cost, 0
        if self._socket.taken(cost):
            with contextlib.suppress(ClientError):
                await self._flush()
        return message

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """The next message, which must be text. Raises: TypeError, and as ``receive``."""
        return str((await self._receive_of(WSMsgType.TEXT, timeout)).data)

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """The next message, which must be bytes. Raises: TypeError, and as ``receive``."""
        return bytes((await self._receive_of(WSMsgType.BINARY, timeout)).data)

    async def receive_json(self, *, timeout: float | None = None) -> Any:
        """The next message, which must be text, as JSON. Raises as ``receive_str``."""
        return json.loads(await self.receive_str(timeout=timeout))

    async def _receive_of(self, kind: WSMsgType, timeout: float | None) -> WSMessage:
        message = await self.receive(timeout)
        if message.type is not kind:
            raise TypeError(f"the message is {message.type.name}, not {kind.name}")
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSMessage:
        message = await self.receive()
        if message.type not in _KINDS.values():
            raise StopAsyncIteration
        return message

    async def _read(self) -> None:
        try:
            with stream_errors():
                while self.close_code is None:
                    await self._feed(await self._connection.receive(_SILENCE_S))
                    await self._flush()
            await self._connection.close()
        except ClientError as error:
            self._error = error
            self.close_code = NOT_CLOSED
            await self._give_up(AbortReason.BROKEN)
        finally:
            self._changed.set()

    async def _give_up(self, reason: AbortReason) -> None:
        with contextlib.suppress(ClientError):
            async with self._sending:
                if data := self._socket.abort(reason, self._steady()):
                    await self._connection.send(data)
        await self._connection.close()

    async def _feed(self, message: bytes | None) -> None:
        if message is None:
            self._socket.end()
            return
        self._socket.feed(message)
        while (event := self._socket.next()) is not None:
            if isinstance(event, Closed):
                self._take_close(event)
            elif not self._socket.is_closing:
                self._take(event)
        self._changed.set()

    def _take_close(self, closed: Closed) -> None:
        self.close_code = closed.code
        self._inbox.append((WSMessage(WSMsgType.CLOSE, closed.code, closed.reason), 0))

    def _take(self, fragment: Fragment) -> None:
        self._partial += fragment.data
        if self._max_size and len(self._partial) > self._max_size:
            self._socket.close(_TOO_LARGE)
            self._partial.clear()
            self._error = StreamBroken(
                f"a message is larger than {self._max_size} bytes: set max_msg_size="
            )
        elif fragment.is_last:
            whole, self._partial = bytes(self._partial), bytearray()
            kind = _KINDS[fragment.type]
            data = whole.decode() if kind is WSMsgType.TEXT else whole
            self._inbox.append((WSMessage(kind, data, None), self._partial_cost + fragment.cost))
            self._partial_cost = 0
        elif self._inbox:
            # Other messages wait. A program that does not take them holds the application back.
            self._partial_cost += fragment.cost
        else:
            # A message can be longer than the credit.
            self._socket.taken(fragment.cost)


class WebSocketContext:
    """``async with client.ws(...) as ws``: at its end the socket is closed."""

    def __init__(self, opening: Awaitable[WebSocket]) -> None:
        self._opening = opening
        self._socket: WebSocket | None = None

    async def __aenter__(self) -> WebSocket:
        self._socket = await self._opening
        return self._socket

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            await self._socket.close()
