"""Records: the sealed pieces of one direction of a stream (PROTOCOL, "Records").

A record is a length (4 bytes, big-endian) and that many sealed bytes::

    sealed = AES-256-GCM(key, counter, type ‖ data, AAD = stream id ‖ direction ‖ counter ‖ length)

Each direction has a key of its own and counts its records from 0, so a record that is missing,
repeated, moved or of another stream does not open. The reader gives a record only after its tag
has been verified, and refuses a length before it allocates anything for it. ``RecordWriter`` and
``RecordReader`` renew their key (REKEY) and skip PING by themselves.
"""

import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NamedTuple

from protocol.common.errors import BrokenStream, LocalProtocolError
from protocol.common.primitives import GCM_TAG_BYTES, AesGcm, hkdf_expand

STREAM_ID_BYTES = 16
RESPONSE_SALT_BYTES = 16
LENGTH_BYTES = 4
# Of ``sealed``, which has the type, the data and the tag.
MIN_RECORD_BYTES = 1 + GCM_TAG_BYTES
OVERHEAD_BYTES = LENGTH_BYTES + MIN_RECORD_BYTES
# What a receiver can ask for as the longest ``sealed``.
LEAST_RECORD_BYTES, MOST_RECORD_BYTES = 4096, 65_536
MAX_KEY_RECORDS = 2**20
MAX_KEY_BYTES = 2**30
MAX_KEY_MS = 900_000

_LENGTH = struct.Struct(">I")
_NONCE = struct.Struct(">IQ")
_AAD = struct.Struct(">16sBQI")
_REKEY = b"certless/1 stream rekey"
_RESPONSE = b"certless/1 stream response"


class Direction(IntEnum):
    """Who writes the records."""

    CLIENT = 1
    SERVER = 2


class RecordType(IntEnum):
    """The first byte inside a record."""

    HEAD = 1
    DATA = 2
    FINAL = 3
    ABORT = 4
    REKEY = 5
    PING = 6
    TEXT = 7
    BINARY = 8
    CREDIT = 9


_TYPES = {type_.value: type_ for type_ in RecordType}
_LAST = frozenset({RecordType.FINAL, RecordType.ABORT})


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """The id of a stream (16 bytes) and the first key of each direction (32 bytes)."""

    stream_id: bytes
    client: bytes = field(repr=False)
    server: bytes = field(repr=False)

    def salted(self, salt: bytes) -> "StreamKeys":
        """The keys after the response salt (16 bytes): the server's key becomes one of its own.

        If a store is put back, a body is accepted again. Its response then has another key.
        """
        return replace(self, server=hkdf_expand(self.server, _RESPONSE + salt))

    def of(self, direction: Direction) -> bytes:
        """The first key of ``direction``."""
        return self.client if direction is Direction.CLIENT else self.server


class StreamRecord(NamedTuple):
    """One verified record."""

    type: RecordType
    data: bytes


class _Chain:
    """The key of one direction, and the counter that makes each nonce unique."""

    def __init__(self, keys: StreamKeys, direction: Direction) -> None:
        self._stream_id = keys.stream_id
        self._direction = direction
        self._key = keys.of(direction)
        self._cipher = AesGcm(self._key)
        self._counter = 0

    def seal(self, plaintext: bytes) -> bytes:
        """The sealed bytes of the next record."""
        nonce, aad = self._next_nonce(len(plaintext) + GCM_TAG_BYTES)
        return self._cipher.seal(nonce, plaintext, aad)

    def open(self, sealed: memoryview) -> bytes | None:
        """The plaintext of the next record, or None."""
        nonce, aad = self._next_nonce(len(sealed))
        return self._cipher.open(nonce, sealed, aad)

    def _next_nonce(self, length: int) -> tuple[bytes, bytes]:
        """Nonce and associated data of the next record, which has ``length`` sealed bytes."""
        counter = self._counter
        self._counter += 1
        aad = _AAD.pack(self._stream_id, self._direction, counter, length)
        return _NONCE.pack(0, counter), aad

    def renew(self) -> None:
        """One-way: the keys before cannot be found from the new one."""
        self._key = hkdf_expand(self._key, _REKEY)
        self._cipher = AesGcm(self._key)


class RecordWriter:
    """Seals the records of one direction. After FINAL or ABORT it writes nothing more."""

    def __init__(
        self, keys: StreamKeys, direction: Direction, max_record_bytes: int, now_ms: int
    ) -> None:
        """``max_record_bytes`` is the receiver's limit, 4,096 to 65,536 (sealed bytes)."""
        self.max_data_bytes = max_record_bytes - MIN_RECORD_BYTES
        self.is_over = False
        self._chain = _Chain(keys, direction)
        self._records = 0
        self._bytes = 0
        self._since_ms = now_ms

    def seal(self, type_: RecordType, data: bytes, now_ms: int) -> bytes:
        """The bytes of one record, after a REKEY record if one is due.

        ``data`` has at most ``max_data_bytes``. ``now_ms`` by any clock that does not go back.
        Raises: LocalProtocolError.
        """
        if len(data) > self.max_data_bytes:
            raise LocalProtocolError("more data than one record of the receiver takes")
        return b"".join(self._records_of(type_, data, now_ms))

    def seal_data(self, data: bytes | memoryview, now_ms: int) -> bytes:
        """``data`` as DATA records, as few as possible; nothing for no data. Raises as ``seal``."""
        size, view = self.max_data_bytes, memoryview(data)
        parts: list[bytes] = []
        for at in range(0, len(view), size):
            parts += self._records_of(RecordType.DATA, view[at : at + size], now_ms)
        # Joined once: a copy for each record would cost as much as its encryption.
        return b"".join(parts)

    def _records_of(
        self, type_: RecordType, data: bytes | memoryview, now_ms: int
    ) -> tuple[bytes, ...]:
        if self.is_over:
            raise LocalProtocolError("the stream is over")
        self.is_over = type_ in _LAST
        if (
            self._records < MAX_KEY_RECORDS
            and self._bytes < MAX_KEY_BYTES
            and now_ms - self._since_ms < MAX_KEY_MS
        ):
            return self._sealed(type_, data)
        rekey = self._sealed(RecordType.REKEY, b"")
        self._chain.renew()
        self._records = self._bytes = 0
        self._since_ms = now_ms
        return rekey + self._sealed(type_, data)

    def _sealed(self, type_: RecordType, data: bytes | memoryview) -> tuple[bytes, bytes]:
        length = len(data) + MIN_RECORD_BYTES
        self._records += 1
        self._bytes += length
        return _LENGTH.pack(length), self._chain.seal(b"".join((type_.to_bytes(), data)))


class RecordReader:
    """Opens the records of one direction, from bytes as they arrive.

    Every failure is final: after BrokenStream no record can be read. ``is_over`` is True after
    FINAL or ABORT, ``has_opened`` after the first verified record of any type.
    """

    def __init__(self, keys: StreamKeys, direction: Direction, max_record_bytes: int) -> None:
        """``max_record_bytes`` is the limit that this side has told the sender."""
        self.is_over = False
        self.has_opened = False
        self._chain = _Chain(keys, direction)
        self._max_record_bytes = max_record_bytes
        # The bytes from ``_at`` on are not used yet.
        self._buffer = b""
        self._at = 0
        self._broken = False

    @property
    def has_part(self) -> bool:
        """Whether bytes are held that ``next`` has not used, for instance a part of a record."""
        return self._at < len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Bytes as they came. Raises: BrokenStream, for any after the end."""
        if data and self.is_over:
            raise self.broken("bytes after the end of the stream")
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def next(self) -> StreamRecord | None:
        """The next record, or None until more bytes have come. Raises: BrokenStream."""
        while not self._broken and (left := len(self._buffer) - self._at) >= LENGTH_BYTES:
            (length,) = _LENGTH.unpack_from(self._buffer, self._at)
            if not MIN_RECORD_BYTES <= length <= self._max_record_bytes:
                raise self.broken("a record of a length that is not allowed")
            if left < LENGTH_BYTES + length:
                return None
            record = self._opened(length)
            if record.type is RecordType.REKEY:
                self._chain.renew()
            elif record.type is not RecordType.PING:
                return record
        if self._broken:
            raise self.broken("the stream is broken")
        return None

    def end(self) -> None:
        """The connection has ended. Raises: BrokenStream, unless FINAL or ABORT came before."""
        if not self.is_over:
            raise self.broken("the stream was cut off")

    def _opened(self, length: int) -> StreamRecord:
        start = self._at + LENGTH_BYTES
        self._at = start + length
        plaintext = self._chain.open(memoryview(self._buffer)[start : self._at])
        if plaintext is None:
            raise self.broken("a record does not open")
        self.has_opened = True
        type_ = _TYPES.get(plaintext[0])
        if type_ is None:
            raise self.broken("a record of an unknown type")
        record = StreamRecord(type_, plaintext[1:])
        if record.type in (RecordType.REKEY, RecordType.PING) and record.data:
            raise self.broken("REKEY and PING hold no data")
        self.is_over = record.type in _LAST
        if self.is_over and self.has_part:
            raise self.broken("bytes after the end of the stream")
        return record

    def broken(self, reason: str) -> BrokenStream:
        """The error to raise. No record can be read from now on."""
        self._broken = True
        self._buffer = b""
        self._at = 0
        return BrokenStream(reason)
