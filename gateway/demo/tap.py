"""A tap on a server's connections: it forwards all bytes unchanged and records them.

It is between asyncio and the server's protocol. So it sees the bytes on the network, and the server
sees the real addresses of its clients.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

from .framing import End, Head, Stream
from .wire import Exchange, Wire

# Pending requests on one connection. Browsers have fewer; a connection with more is not recorded.
MAX_OPEN = 32

# Whether exchanges with a path (without its query) are recorded.
IsKept: TypeAlias = Callable[[str], bool]


def tapped(protocol: asyncio.Protocol, wire: Wire, is_kept: IsKept) -> asyncio.Protocol:
    """``protocol``, for one connection, behind a tap that records to ``wire``."""
    return _Tap(protocol, _Recorder(wire, is_kept))


class _Open:
    """A pending exchange."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.is_kept = True
        self.is_head = False
        self.is_requested = False
        self.is_answered = False


class _Recorder:
    """The exchanges of one connection. Responses come in the order of the requests."""

    def __init__(self, wire: Wire, is_kept: IsKept) -> None:
        self._address = ""
        self._wire = wire
        self._is_kept = is_kept
        self._requests = Stream()
        self._answers = Stream(lambda: bool(self._open) and self._open[0].is_head)
        self._open: deque[_Open] = deque()
        self._is_followed = True

    def began(self, address: str) -> None:
        """The connection is open."""
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
        self._record()
        if len(self._open) > MAX_OPEN:
            self._is_followed = False
            self._open.clear()

    def answered(self, data: bytes) -> None:
        """The server sent ``data``."""
        if not self._is_followed:
            return
        for event in self._answers.feed(data):
            # The server may answer before there is a request, to close the connection.
            if not self._open or self._open[0].is_answered:
                continue
            match event:
                case bytes():
                    self._open[0].exchange.response.add(event)
                case End.END:
                    self._open[0].is_answered = True
                    self._record()

    def ended(self) -> None:
        """The connection is closed, with all pending exchanges."""
        for one in self._open:
            one.is_requested = one.is_answered = True
        self._record()

    def _record(self) -> None:
        while self._open and self._open[0].is_requested and self._open[0].is_answered:
            whole = self._open.popleft()
            if whole.is_kept:
                self._wire.put(self._address, whole.exchange)


class _Tap(asyncio.Protocol):
    """The protocol that asyncio calls instead of the server's."""

    def __init__(self, protocol: asyncio.Protocol, recorder: _Recorder) -> None:
        self._protocol = protocol
        self._recorder = recorder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._recorder.began(_host_of(transport))
        recorded = _RecordedTransport(cast(asyncio.Transport, transport), self._recorder)
        self._protocol.connection_made(cast(asyncio.Transport, recorded))

    def data_received(self, data: bytes) -> None:
        self._recorder.requested(data)
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
        self._recorder.ended()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class _RecordedTransport:
    """The transport, which records what is written before it is sent."""

    def __init__(self, transport: asyncio.Transport, recorder: _Recorder) -> None:
        self._transport = transport
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._recorder.answered(bytes(data))
        self._transport.write(data)

    def writelines(self, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(chunks))


def _host_of(transport: asyncio.BaseTransport) -> str:
    """The address of the client as in requests; empty if it has already disconnected."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
