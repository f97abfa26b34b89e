"""A request body and a response as records (PROTOCOL, "Streams").

::

    client to server   DATA* FINAL            the request body
    server to client   HEAD+ DATA* FINAL      the response

A reader gives data only while it agrees with the declared length, and the end only for a verified
FINAL. A body without FINAL is never complete. Either side can end its direction with ABORT.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from protocol.common.codec import MsgpackValue, parse_msgpack, serialize_msgpack
from protocol.common.errors import AbortedStream, BrokenStream, MalformedMessage
from protocol.common.messages import parse_field_lines, parse_status

from .records import RecordReader, RecordType, RecordWriter, StreamRecord

MAX_LENGTH = 2**53 - 1
MAX_HEAD_BYTES = 131_072
_LAST_PART, _MORE_PARTS = b"\x00", b"\x01"
_UNVERIFIED, _VERIFIED = b"\x00", b"\x01"


class AbortReason(IntEnum):
    """Why a side has ended a stream (the one byte of ABORT)."""

    CANCELLED = 1
    FAILED = 2
    TOO_LARGE = 3
    SESSION_ENDED = 4
    TIMEOUT = 5
    BROKEN = 6


def length_value(length: int | None) -> list[MsgpackValue]:
    """A length as plaintexts hold it: a list of one number, or an empty list if it is unknown."""
    return [] if length is None else [length]


def parse_length(value: MsgpackValue) -> int | None:
    """Raises: MalformedMessage."""
    if value == []:
        return None
    if not (isinstance(value, list) and len(value) == 1 and type(value[0]) is int):
        raise MalformedMessage("a length is a list of at most one number")
    if not 0 <= value[0] <= MAX_LENGTH:
        raise MalformedMessage(f"a length is at most {MAX_LENGTH}")
    return value[0]


@dataclass(frozen=True, slots=True)
class Head:
    """What precedes a response body: ``[status, headers, length]`` in msgpack.

    Header values are text whose characters are the bytes of the field value (U+0000 to U+00FF).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: MalformedMessage."""
        value = parse_msgpack(data)
        if not isinstance(value, list) or len(value) != 3:
            raise MalformedMessage("a head is status, headers and length")
        status, headers, length = value
        return cls(parse_status(status), parse_field_lines(headers), parse_length(length))

    def serialize(self) -> bytes:
        pairs: list[MsgpackValue] = [[name, value] for name, value in self.headers]
        return serialize_msgpack([self.status, pairs, length_value(self.length)])


def head_records(records: RecordWriter, whole: bytes, now_ms: int) -> bytes:
    """The HEAD records of a serialized head: several, if it is too long for one."""
    size = records.max_data_bytes - 1
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    return b"".join(
        records.seal(RecordType.HEAD, (_MORE_PARTS if left else _LAST_PART) + part, now_ms)
        for left, part in zip(reversed(range(len(parts))), parts, strict=True)
    )


class HeadParts:
    """Collects the HEAD records of one head."""

    def __init__(self, records: RecordReader) -> None:
        self._records = records
        self._parts = b""

    def add(self, record: StreamRecord) -> bytes | None:
        """The whole head after its last part, otherwise None. Raises: BrokenStream."""
        more, part = record.data[:1], record.data[1:]
        if record.type is not RecordType.HEAD or more not in (_LAST_PART, _MORE_PARTS) or not part:
            raise self._records.broken("the records of the server begin with a head")
        self._parts += part
        if len(self._parts) > MAX_HEAD_BYTES:
            raise self._records.broken(f"a head has at most {MAX_HEAD_BYTES} bytes")
        return None if more == _MORE_PARTS else self._parts


class BodyWriter:
    """Seals a body. Raises LocalProtocolError after its end, as RecordWriter does."""

    def __init__(self, records: RecordWriter) -> None:
        self._records = records

    @property
    def is_over(self) -> bool:
        """Whether FINAL or ABORT was written."""
        return self._records.is_over

    def head(self, head: Head, now_ms: int) -> bytes:
        """The first records of a response."""
        return head_records(self._records, head.serialize(), now_ms)

    def data(self, data: bytes | memoryview, now_ms: int) -> bytes:
        """``data`` as records, as few as possible; nothing for no data."""
        return self._records.seal_data(data, now_ms)

    def final(self, now_ms: int, *, request_verified: bool = False) -> bytes:
        """The end. In a response: whether the request was read to its verified end."""
        flag = _VERIFIED if request_verified else _UNVERIFIED
        return self._records.seal(RecordType.FINAL, flag, now_ms)

    def abort(self, reason: AbortReason, now_ms: int) -> bytes:
        """The end before the end."""
        return self._records.seal(RecordType.ABORT, bytes([reason]), now_ms)

    def ping(self, now_ms: int) -> bytes:
        """A record that says nothing and keeps the connection in use."""
        return self._records.seal(RecordType.PING, b"", now_ms)


class BodyReader:
    """Reads a body from records. Every error is final.

    ``is_complete`` is True once FINAL was verified and the length was right.
    """

    def __init__(self, records: RecordReader, length: int | None = None) -> None:
        self._records = records
        self._length = length
        self._received = 0
        self._flag = b""
        self._last = b""
        self._failure: BrokenStream | AbortedStream | None = None
        self.is_complete = False

    @property
    def is_over(self) -> bool:
        """Whether no more can come."""
        return self._records.is_over

    @property
    def has_begun(self) -> bool:
        """Whether any record has been verified, so that the sender has the key."""
        return self._records.has_opened

    def feed(self, data: bytes) -> None:
        """Bytes as they came. Raises: BrokenStream."""
        self._records.feed(data)

    def next(self) -> bytes | None:
        """The next bytes of the body (at least one), or None until more bytes have come.

        Raises: BrokenStream, AbortedStream. All that was verified is given out before.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        pieces: list[bytes] = []
        try:
            while (record := self._records.next()) is not None:
                if (data := self._taken(record)) is not None:
                    pieces.append(data)
        except (BrokenStream, AbortedStream) as error:
            if not pieces:
                raise
            self._failure = error
        if len(pieces) > 1:
            return b"".join(pieces)
        return pieces[0] if pieces else None

    def end(self) -> None:
        """The connection has ended. Raises: BrokenStream, for a body that is not complete."""
        self._records.end()
        if not self.is_complete:
            raise self._records.broken("the stream was not complete")

    def _taken(self, record: StreamRecord) -> bytes | None:
        match record.type:
            case RecordType.DATA if record.data:
                self._received += len(record.data)
                if self._length is not None and self._received > self._length:
                    raise self._records.broken("more data than the declared length")
                if self._received == self._length:
                    # A program that counts bytes must not take the body for complete before FINAL.
                    self._last = record.data
                    return None
                return record.data
            case RecordType.FINAL if record.data in (_UNVERIFIED, _VERIFIED):
                if self._length not in (None, self._received):
                    raise self._records.broken("less data than the declared length")
                self._flag = record.data
                self.is_complete = True
                return self._last or None
            case RecordType.ABORT if len(record.data) == 1:
                raise AbortedStream(record.data[0])
        raise self._records.broken("a record that does not belong here")


class ResponseReader(BodyReader):
    """Reads a response: its head first, then its body."""

    def __init__(self, records: RecordReader, *, is_bodiless: bool = False) -> None:
        """``is_bodiless``: the response to HEAD has a length and no body."""
        super().__init__(records)
        self._is_bodiless = is_bodiless
        self._parts = HeadParts(records)
        self.head: Head | None = None

    def read_head(self) -> Head | None:
        """The head, and nothing behind it; None until more bytes have come.

        Raises: BrokenStream, AbortedStream.
        """
        while self.head is None and (record := self._records.next()) is not None:
            self._taken(record)
        return self.head

    @property
    def request_verified(self) -> bool:
        """Whether the server has read the request to its verified end. Known at the end."""
        return self._flag == _VERIFIED

    def _taken(self, record: StreamRecord) -> bytes | None:
        if self.head is not None:
            return super()._taken(record)
        if record.type is RecordType.ABORT:
            return super()._taken(record)
        if (whole := self._parts.add(record)) is None:
            return None
        try:
            self.head = Head.parse(whole)
        except MalformedMessage as error:
            raise self._records.broken(str(error)) from None
        self._length = 0 if self._is_bodiless else self.head.length
        return None
