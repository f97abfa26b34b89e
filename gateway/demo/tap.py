"""A tap on a server's connections: what comes and goes is handed on as it is, and written down.

It stands between asyncio and the server's protocol, so that it hears what the network carries, and
the server sees its true peers.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

from .framing import End, Head, Stream
from .wire import Exchange, Wire

# Requests under way on one connection. Nobody's browser has more; who has is not listened to.
MAX_OPEN = 32

# Whether exchanges with a path, without its query, are written down.
IsKept: TypeAlias = Callable[[str], bool]


def tapped(protocol: asyncio.Protocol, wire: Wire, is_kept: IsKept) -> asyncio.Protocol:
    """``protocol``, for one connection, with a tap in front that writes to ``wire``."""
    return _Tap(protocol, _Conversation(wire, is_kept))


class _Open:
    """An exchange under way."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.is_kept = True
        self.is_head = False
        self.is_requested = False
        self.is_answered = False


class _Conversation:
    """The exchanges of one connection. Answers come in the order of the requests."""

    def __init__(self, wire: Wire, is_kept: IsKept) -> None:
        self._address = ""
        self._wire = wire
        self._is_kept = is_kept
        self._requests = Stream()
        self._answers = Stream(lambda: bool(self._open) and self._open[0].is_head)
        self._open: deque[_Open] = deque()
        self._is_followed = True

    def began(self, address: str) -> None:
        """The connection is there."""
        self._address = address

    def requested(self, data: bytes) -> None:
        """The client sent ``data``."""
        if not self._is_followed:
            return
        for event in self._requests.feed(data):
            if not self._open or self._open[-1].is_requested:
                self._open.append(_Open())
            current = self._open[-1]
            match event:
                case bytes():
                    current.exchange.request.add(event)
                case Head():
                    path = event.word(1).partition(b"?")[0].decode("latin-1")
                    current.is_kept = self._is_kept(path)
                    current.is_head = event.word(0) == b"HEAD"
                case End.END:
                    current.is_requested = True
        self._write_down()
        if len(self._open) > MAX_OPEN:
            self._is_followed = False
            self._open.clear()

    def answered(self, data: bytes) -> None:
        """The server sent ``data``."""
        if not self._is_followed:
            return
        for event in self._answers.feed(data):
            # The server may end a conversation in which nothing was asked.
            if not self._open or self._open[0].is_answered:
                continue
            match event:
                case bytes():
                    self._open[0].exchange.response.add(event)
                case End.END:
                    self._open[0].is_answered = True
                    self._write_down()

    def ended(self) -> None:
        """The connection is gone, with whatever was under way."""
        for one in self._open:
            one.is_requested = one.is_answered = True
        self._write_down()

    def _write_down(self) -> None:
        while self._open and self._open[0].is_requested and self._open[0].is_answered:
            whole = self._open.popleft()
            if whole.is_kept:
                self._wire.put(self._address, whole.exchange)


class _Tap(asyncio.Protocol):
    """What asyncio talks to in the protocol's place."""

    def __init__(self, protocol: asyncio.Protocol, conversation: _Conversation) -> None:
        self._protocol = protocol
        self._conversation = conversation

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._conversation.began(_host_of(transport))
        heard = _HeardTransport(cast(asyncio.Transport, transport), self._conversation)
        self._protocol.connection_made(cast(asyncio.Transport, heard))

    def data_received(self, data: bytes) -> None:
        self._conversation.requested(data)
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
        self._conversation.ended()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class _HeardTransport:
    """The transport itself, but that what is written is heard first."""

    def __init__(self, transport: asyncio.Transport, conversation: _Conversation) -> None:
        self._transport = transport
        self._conversation = conversation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._conversation.answered(bytes(data))
        self._transport.write(data)

    def writelines(self, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(chunks))


def _host_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address, as requests give it; none, if he has already gone."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
