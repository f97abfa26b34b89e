"""One end of a WebSocket inside a session (PROTOCOL, "Sockets").

::

    server to client   HEAD+ (TEXT | BINARY | CREDIT)* FINAL
    client to server   (TEXT | BINARY | CREDIT)* FINAL

``Socket`` does no I/O. The caller gives it what arrives (``feed``, ``next``) and sends what
``outgoing`` returns. A message can be in several records. Each record uses up credit that the
receiver has granted, so neither side holds more than it wants. Only FINAL is a clean close.

The module is long because both directions share one state.
"""

import codecs
import struct
from collections import deque
from dataclasses import dataclass
from typing import Self

from protocol.common.codec import MsgpackValue, parse_msgpack, serialize_msgpack
from protocol.common.errors import AbortedStream, LocalProtocolError, MalformedMessage
from protocol.common.messages import parse_field_lines

from .bodies import AbortReason, HeadParts, head_records
from .opening import parse_protocols
from .records import MIN_RECORD_BYTES, RecordReader, RecordType, RecordWriter, StreamRecord

# What each side may send before the other has granted more.
INITIAL_CREDIT_BYTES = 262_144
# A receiver grants credit at the latest when its program has taken this much.
CREDIT_STEP_BYTES = 65_536
# The first message of the client, and any later one.
MAX_OPENING_BYTES = 65_536
MAX_SOCKET_MESSAGE_BYTES = 131_072
MAX_REASON_BYTES = 123
# The close code that a side reports for a close without a code, and for an end that is no close.
NO_CODE, NOT_CLOSED = 1005, 1006

_MAX_CREDIT = 2**32 - 1
_LAST, _MORE = b"\x00", b"\x01"
_OVERHEAD_BYTES = MIN_RECORD_BYTES + 1
# One outgoing message is filled up to this size. The record that passes it is the last.
_BATCH_BYTES = 49_152
# A message is not cut into smaller fragments than this because of little credit.
_LEAST_FRAGMENT_BYTES = 4096
_CREDIT = struct.Struct(">I")
_CODE = struct.Struct(">H")
# RFC 6455 §7.4: codes that a close can hold. 1004 to 1006 and 1015 are never sent.
_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
_MESSAGE_TYPES = frozenset({RecordType.TEXT, RecordType.BINARY})


@dataclass(frozen=True, slots=True)
class SocketHead:
    """What opens a socket at the client: ``[headers, protocol]`` in msgpack."""

    headers: tuple[tuple[str, str], ...]
    protocol: str | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: MalformedMessage."""
        value = parse_msgpack(data)
        if not isinstance(value, list) or len(value) != 2:
            raise MalformedMessage("the head of a socket is headers and protocol")
        headers, protocol = value
        chosen = parse_protocols(protocol)
        if len(chosen) > 1:
            raise MalformedMessage("a server chooses one subprotocol")
        return cls(parse_field_lines(headers), chosen[0] if chosen else None)

    def serialize(self) -> bytes:
        pairs: list[MsgpackValue] = [[name, value] for name, value in self.headers]
        chosen: list[MsgpackValue] = [] if self.protocol is None else [self.protocol]
        return serialize_msgpack([pairs, chosen])


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a message. ``cost`` is the credit that it has used up."""

    type: RecordType
    data: bytes
    is_last: bool
    cost: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The verified close of the other side. ``code`` is NO_CODE if it gave none."""

    code: int
    reason: str


def close_data(code: int, reason: str) -> bytes:
    """The data of FINAL. Raises: LocalProtocolError, for what no close can hold."""
    raw = reason.encode("utf-8", "surrogatepass")
    if code == NO_CODE and not raw:
        return b""
    if code not in _CODES or len(raw) > MAX_REASON_BYTES or not _is_utf8(raw):
        raise LocalProtocolError(
            f"a close has a code of RFC 6455 and a reason of at most {MAX_REASON_BYTES} bytes"
        )
    return _CODE.pack(code) + raw


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Socket:
    """One end of an open socket. Every error of the receiving side is final."""

    def __init__(self, writer: RecordWriter, reader: RecordReader, *, awaits_head: bool) -> None:
        """``awaits_head`` is True at the client."""
        self.head: SocketHead | None = None
        # What ``send`` was given and ``outgoing`` has not returned yet.
        self.buffered_bytes = 0
        self._writer = writer
        self._reader = reader
        self._parts = HeadParts(reader) if awaits_head else None
        self._queue: deque[tuple[RecordType, memoryview]] = deque()
        self._credit = INITIAL_CREDIT_BYTES
        self._closing: bytes | None = None
        self._allowed = INITIAL_CREDIT_BYTES
        self._taken = 0
        self._open_type: RecordType | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    # --- sending ---

    @property
    def is_closing(self) -> bool:
        """Whether this side sends no further message."""
        return self._closing is not None or self._writer.is_over

    @property
    def is_over(self) -> bool:
        """Whether both sides have closed, or one has ended the socket early."""
        return self._writer.is_over and self._reader.is_over

    def accept(self, head: SocketHead, now_ms: int) -> bytes:
        """The first records of the server."""
        return head_records(self._writer, head.serialize(), now_ms)

    def send(self, type_: RecordType, data: bytes) -> None:
        """Queue a message (TEXT in UTF-8, or BINARY). Raises: LocalProtocolError."""
        if self.is_closing:
            raise LocalProtocolError("the socket is closing")
        if type_ not in _MESSAGE_TYPES or (type_ is RecordType.TEXT and not _is_utf8(data)):
            raise LocalProtocolError("a message is UTF-8 or bytes")
        self._queue.append((type_, memoryview(data)))
        self.buffered_bytes += len(data)

    def close(self, code: int = NO_CODE, reason: str = "") -> None:
        """Close after what is queued. A second call does nothing. Raises: LocalProtocolError."""
        data = close_data(code, reason)
        if not self.is_closing:
            self._closing = data

    def abort(self, reason: AbortReason, now_ms: int) -> bytes:
        """The record that ends this side at once; b"" if it has ended before."""
        if self._writer.is_over:
            return b""
        self._drop()
        return self._writer.seal(RecordType.ABORT, bytes([reason]), now_ms)

    def ping(self, now_ms: int) -> bytes:
        """A record that keeps the connection in use; b"" if this side has ended."""
        return b"" if self._writer.is_over else self._writer.seal(RecordType.PING, b"", now_ms)

    def outgoing(self, now_ms: int) -> bytes:
        """The next message for the connection, or b"" if nothing can be sent now."""
        if self._writer.is_over:
            return b""
        sealed = bytearray()
        if self.taken(0):
            sealed += self._writer.seal(RecordType.CREDIT, _CREDIT.pack(self._taken), now_ms)
            self._allowed += self._taken
            self._taken = 0
        while self._queue and len(sealed) < _BATCH_BYTES:
            if not (record := self._next_fragment(now_ms)):
                return bytes(sealed)
            sealed += record
        if self._closing is not None and not self._queue:
            sealed += self._writer.seal(RecordType.FINAL, self._closing, now_ms)
        return bytes(sealed)

    def _next_fragment(self, now_ms: int) -> bytes:
        type_, left = self._queue[0]
        most = min(len(left), self._writer.max_data_bytes - 1)
        size = min(most, self._credit - _OVERHEAD_BYTES)
        if size < min(most, _LEAST_FRAGMENT_BYTES):
            return b""
        rest = left[size:]
        if rest:
            self._queue[0] = (type_, rest)
        else:
            self._queue.popleft()
        self._credit -= size + _OVERHEAD_BYTES
        self.buffered_bytes -= size
        flag = _MORE if rest else _LAST
        return self._writer.seal(type_, flag + left[:size], now_ms)

    def _drop(self) -> None:
        self._queue.clear()
        self.buffered_bytes = 0

    # --- receiving ---

    def feed(self, message: bytes) -> None:
        """One message of the connection. Raises: BrokenStream."""
        self._reader.feed(message)

    def next(self) -> Fragment | Closed | None:
        """What the other side sent, or None until the next message.

        Raises: BrokenStream, AbortedStream.
        """
        while (record := self._reader.next()) is not None:
            if self._parts is not None and record.type is not RecordType.ABORT:
                self._take_head(self._parts, record)
            elif (event := self._event(record)) is not None:
                return event
        if self._reader.has_part:
            raise self._reader.broken("a message holds whole records")
        return None

    def taken(self, cost: int) -> bool:
        """The program has taken fragments of this cost: the other side may send as much again.

        Whether ``outgoing`` must be sent, because much was taken.
        """
        self._taken += cost
        return self._taken >= CREDIT_STEP_BYTES

    def end(self) -> None:
        """The connection has ended. Raises: BrokenStream, unless the other side has closed."""
        self._reader.end()

    def _take_head(self, parts: HeadParts, record: StreamRecord) -> None:
        if (whole := parts.add(record)) is None:
            return
        try:
            self.head = SocketHead.parse(whole)
        except MalformedMessage as error:
            raise self._reader.broken(str(error)) from None
        self._parts = None

    def _event(self, record: StreamRecord) -> Fragment | Closed | None:
        match record.type:
            case RecordType.TEXT | RecordType.BINARY:
                return self._fragment(record)
            case RecordType.CREDIT if len(record.data) == _CREDIT.size:
                (more,) = _CREDIT.unpack(record.data)
                self._credit += more
                if not more or self._credit > _MAX_CREDIT:
                    raise self._reader.broken("credit of 0, or too much")
                return None
            case RecordType.FINAL:
                return self._closed(record.data)
            case RecordType.ABORT if len(record.data) == 1:
                raise AbortedStream(record.data[0])
        raise self._reader.broken("a record that does not belong here")

    def _fragment(self, record: StreamRecord) -> Fragment:
        flag, data = record.data[:1], record.data[1:]
        if flag not in (_LAST, _MORE) or (flag == _MORE and not data):
            raise self._reader.broken("a fragment is a flag and data")
        if self._open_type not in (None, record.type):
            raise self._reader.broken("a message inside another")
        cost = len(data) + _OVERHEAD_BYTES
        self._allowed -= cost
        if self._allowed < 0:
            raise self._reader.broken("more data than the credit")
        is_last = flag == _LAST
        self._open_type = None if is_last else record.type
        if record.type is RecordType.TEXT:
            try:
                self._decoder.decode(data, is_last)
            except UnicodeDecodeError:
                raise self._reader.broken("text that is not UTF-8") from None
        return Fragment(record.type, data, is_last, cost)

    def _closed(self, data: bytes) -> Closed:
        code, raw = NO_CODE, b""
        if data:
            raw = data[2:]
            code = int.from_bytes(data[:2])
            is_right = len(data) >= _CODE.size and code in _CODES
            if not is_right or len(raw) > MAX_REASON_BYTES or not _is_utf8(raw):
                raise self._reader.broken("a close of another form")
        if not self._writer.is_over:
            # The other side takes no message any more, and grants no credit.
            self._drop()
            if self._closing is None:
                self._closing = data[:2]
        return Closed(code, raw.decode())
