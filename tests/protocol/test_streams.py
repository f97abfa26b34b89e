"""Records and bodies of streams: what is whole is read, and nothing else ever is."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.common.errors import (
    AbortedStream,
    BrokenStream,
    LocalProtocolError,
    MalformedMessage,
)
from protocol.streams import records as records_module
from protocol.streams.bodies import (
    MAX_LENGTH,
    AbortReason,
    BodyReader,
    BodyWriter,
    Head,
    ResponseReader,
)
from protocol.streams.opening import (
    NO_STREAM,
    StreamGrant,
    StreamRequest,
    parse_record_limit,
    stream_offer,
)
from protocol.streams.records import (
    LENGTH_BYTES,
    MAX_KEY_MS,
    MIN_RECORD_BYTES,
    Direction,
    RecordReader,
    RecordType,
    RecordWriter,
    StreamKeys,
    StreamRecord,
)

KEYS = StreamKeys(bytes(range(16)), b"c" * 32, b"s" * 32)
LIMIT = 4096
HEAD = Head(200, (("Content-Type", "text/plain; charset=\xe9"),), None)


def writer(direction: Direction = Direction.CLIENT, keys: StreamKeys = KEYS) -> RecordWriter:
    return RecordWriter(keys, direction, LIMIT, 0)


def reader(direction: Direction = Direction.CLIENT, keys: StreamKeys = KEYS) -> RecordReader:
    return RecordReader(keys, direction, LIMIT)


def request_records(*pieces: bytes) -> list[bytes]:
    """One record a piece, and FINAL."""
    body = BodyWriter(writer())
    return [*(body.data(piece, 0) for piece in pieces), body.final(0)]


def read_body(wire: bytes, step: int = 0, length: int | None = None) -> bytes:
    """The body in ``wire``, which comes in pieces of ``step`` bytes (all at once for 0)."""
    body = BodyReader(reader(), length)
    found = b""
    for at in range(0, len(wire), step or len(wire) or 1):
        body.feed(wire[at : at + (step or len(wire))])
        while (data := body.next()) is not None:
            found += data
    body.end()
    assert body.is_complete
    assert body.is_over
    return found


# --- records ---


@given(st.lists(st.binary(min_size=1, max_size=LIMIT - MIN_RECORD_BYTES)), st.integers(0, 50))
def test_what_is_written_is_read_however_it_is_cut(pieces: list[bytes], step: int) -> None:
    wire = b"".join(request_records(*pieces))
    assert read_body(wire, step) == b"".join(pieces)
    assert read_body(wire, step, len(b"".join(pieces))) == b"".join(pieces)


@given(st.data())
def test_one_bit_that_is_changed_breaks_the_stream(data: st.DataObject) -> None:
    wire = bytearray(b"".join(request_records(b"one", b"two", b"three")))
    bit = data.draw(st.integers(0, len(wire) * 8 - 1))
    wire[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BrokenStream):
        read_body(bytes(wire))


@given(st.data())
def test_a_stream_that_is_cut_anywhere_is_broken(data: st.DataObject) -> None:
    wire = b"".join(request_records(b"one", b"two"))
    end = data.draw(st.integers(0, len(wire) - 1))
    with pytest.raises(BrokenStream, match="cut off"):
        read_body(wire[:end])


def test_records_in_another_order_or_twice_or_not_at_all() -> None:
    first, second, final = request_records(b"one", b"two")
    for wire in (
        second + first + final,
        first + first + final,
        first + final,
        second + final,
        first + second + second + final,
    ):
        with pytest.raises(BrokenStream, match="does not open"):
            read_body(wire)


def test_a_record_of_another_stream_or_direction() -> None:
    other_id = StreamKeys(bytes(16), KEYS.client, KEYS.server)
    same_key = StreamKeys(KEYS.stream_id, KEYS.client, KEYS.client)
    other_key = StreamKeys(KEYS.stream_id, b"x" * 32, KEYS.server)
    for keys, direction in (
        (other_id, Direction.CLIENT),
        (same_key, Direction.SERVER),
        (other_key, Direction.CLIENT),
    ):
        wire = BodyWriter(writer(direction, keys)).final(0)
        with pytest.raises(BrokenStream, match="does not open"):
            read_body(wire)


@pytest.mark.parametrize("length", [0, MIN_RECORD_BYTES - 1, LIMIT + 1, 65_536, 2**32 - 1])
def test_a_length_that_is_not_allowed_is_refused_before_the_record_has_come(length: int) -> None:
    records = reader()
    records.feed(length.to_bytes(LENGTH_BYTES))
    with pytest.raises(BrokenStream, match="length that is not allowed"):
        records.next()
    # And the reader stays broken.
    records.feed(b"".join(request_records(b"one")))
    with pytest.raises(BrokenStream, match="is broken"):
        records.next()


def test_an_unknown_type_and_control_records_with_data() -> None:
    for type_, data in ((99, b""), (RecordType.PING, b"x"), (RecordType.REKEY, b"x")):
        records = writer()
        wire = b"".join(records._sealed(type_, data))  # type: ignore[arg-type]
        receiving = reader()
        receiving.feed(wire)
        with pytest.raises(BrokenStream):
            receiving.next()


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("type_", [RecordType.FINAL, RecordType.ABORT])
def test_bytes_after_the_end(type_: RecordType, together: bool) -> None:
    wire, receiving = writer().seal(type_, b"\x00", 0), reader()
    receiving.feed(wire + b"x" if together else wire)
    if not together:
        assert receiving.next() == StreamRecord(type_, b"\x00")
        receiving.feed(b"")
        assert receiving.next() is None
        receiving.end()
    with pytest.raises(BrokenStream, match="after the end"):
        receiving.next() if together else receiving.feed(b"x")


def test_nothing_is_written_after_the_end() -> None:
    records = writer()
    records.seal(RecordType.FINAL, b"\x00", 0)
    assert records.is_over
    with pytest.raises(LocalProtocolError, match="over"):
        records.seal(RecordType.DATA, b"x", 0)


def test_more_than_the_receiver_takes_is_not_written() -> None:
    records = writer()
    assert len(records.seal(RecordType.DATA, b"x" * records.max_data_bytes, 0)) == 4 + LIMIT
    with pytest.raises(LocalProtocolError, match="more data"):
        records.seal(RecordType.DATA, b"x" * (records.max_data_bytes + 1), 0)


# --- keys are renewed ---


def rekeyed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RecordWriter, int]]:
    yield writer(), MAX_KEY_MS
    monkeypatch.setattr(records_module, "MAX_KEY_RECORDS", 1)
    yield writer(), 0
    monkeypatch.undo()
    monkeypatch.setattr(records_module, "MAX_KEY_BYTES", 1)
    yield writer(), 0


def test_a_key_is_renewed_by_time_by_records_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for records, now_ms in rekeyed(monkeypatch):
        first = records.seal(RecordType.DATA, b"one", 0)
        second = records.seal(RecordType.DATA, b"two", now_ms)
        assert len(second) == 2 * 4 + 2 * MIN_RECORD_BYTES + 3
        third = records.seal(RecordType.PING, b"", now_ms)
        last = records.seal(RecordType.FINAL, b"\x00", now_ms)
        assert read_body(first + second + third + last) == b"onetwo"
        # Without its REKEY the rest does not open.
        with pytest.raises(BrokenStream):
            read_body(first + second[4 + MIN_RECORD_BYTES :] + third + last)


def test_no_nonce_is_used_twice_with_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[bytes, bytes]] = []

    class Sealing:
        def __init__(self, key: bytes) -> None:
            self._key = key

        def seal(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
            used.append((self._key, nonce))
            return data + bytes(16)

    monkeypatch.setattr(records_module, "AesGcm", Sealing)
    monkeypatch.setattr(records_module, "MAX_KEY_RECORDS", 3)
    body = BodyWriter(writer())
    for _ in range(20):
        body.data(b"x", 0)
    assert len(set(used)) == len(used) == 20 + 6
    assert len({key for key, _ in used}) == 7
    assert all(a < b for (_, a), (_, b) in pairwise(used))


# --- bodies ---


@pytest.mark.parametrize(("length", "reason"), [(2, "more data"), (4, "less data"), (0, "more")])
def test_a_body_must_have_the_declared_length(length: int, reason: str) -> None:
    body = BodyReader(reader(), length)
    body.feed(b"".join(request_records(b"abc")))
    found: list[bytes] = []
    with pytest.raises(BrokenStream, match=reason):
        found.extend(iter(body.next, None))
    # What is beyond the length was not given out.
    assert len(b"".join(found)) <= length
    assert not body.is_complete
    with pytest.raises(BrokenStream):
        body.next()


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        (RecordType.DATA, b""),
        (RecordType.HEAD, b"\x00" + HEAD.serialize()),
        (RecordType.TEXT, b"hello"),
        (RecordType.FINAL, b""),
        (RecordType.FINAL, b"\x02"),
        (RecordType.ABORT, b""),
        (RecordType.ABORT, b"\x01\x01"),
    ],
)
def test_records_that_do_not_belong_into_a_request_body(type_: RecordType, data: bytes) -> None:
    body = BodyReader(reader())
    body.feed(writer().seal(type_, data, 0))
    with pytest.raises(BrokenStream, match="does not belong"):
        body.next()


def test_an_abort_is_an_error_that_says_why_and_the_body_is_not_complete() -> None:
    writing, body = BodyWriter(writer()), BodyReader(reader())
    body.feed(writing.data(b"half", 0) + writing.abort(AbortReason.CANCELLED, 0))
    assert writing.is_over
    assert body.next() == b"half"
    with pytest.raises(AbortedStream) as caught:
        body.next()
    assert caught.value.reason == AbortReason.CANCELLED
    assert not body.is_complete
    with pytest.raises(BrokenStream, match="not complete"):
        body.end()


def response_of(*pieces: bytes, head: Head = HEAD, verified: bool = True) -> bytes:
    writing = BodyWriter(writer(Direction.SERVER))
    wire = writing.head(head, 0) + writing.ping(0)
    wire += b"".join(writing.data(piece, 0) for piece in pieces)
    return wire + writing.final(0, request_verified=verified)


@pytest.mark.parametrize("verified", [True, False])
def test_a_response_says_its_head_first_and_at_the_end_what_it_has_seen(verified: bool) -> None:
    response = ResponseReader(reader(Direction.SERVER))
    response.feed(response_of(b"a" * 9000, b"b", verified=verified))
    found = b""
    while (data := response.next()) is not None:
        assert response.head == HEAD
        found += data
    response.end()
    assert found == b"a" * 9000 + b"b"
    assert response.request_verified is verified


def test_a_response_to_head_has_a_length_and_no_body() -> None:
    head = Head(200, (), 5)
    whole = response_of(head=head)
    response = ResponseReader(reader(Direction.SERVER), is_bodiless=True)
    response.feed(whole)
    assert response.next() is None
    assert response.is_complete
    response = ResponseReader(reader(Direction.SERVER))
    response.feed(whole)
    with pytest.raises(BrokenStream, match="less data"):
        response.next()


def test_a_response_that_does_not_begin_with_its_head() -> None:
    for type_, data, error in (
        (RecordType.DATA, b"x", BrokenStream),
        (RecordType.FINAL, b"\x00", BrokenStream),
        (RecordType.HEAD, b"", BrokenStream),
        (RecordType.ABORT, b"\x02", AbortedStream),
    ):
        response = ResponseReader(reader(Direction.SERVER))
        response.feed(writer(Direction.SERVER).seal(type_, data, 0))
        with pytest.raises(error):
            response.next()


def test_a_long_head_is_in_several_records() -> None:
    head = Head(200, tuple((f"X-{n}", "v" * 1000) for n in range(60)), None)
    response = ResponseReader(reader(Direction.SERVER))
    response.feed(response_of(b"body", head=head))
    assert response.read_head() == head
    assert response.read_head() == head
    assert response.next() == b"body"


def test_a_second_head() -> None:
    writing, response = (
        BodyWriter(writer(Direction.SERVER)),
        ResponseReader(reader(Direction.SERVER)),
    )
    response.feed(writing.head(HEAD, 0) + writing.head(HEAD, 0))
    with pytest.raises(BrokenStream, match="does not belong"):
        response.next()


# --- what opens a stream ---

REQUEST = StreamRequest("PUT", "/upload?x=%2F", (("X-Name", "\xff\xe9"),), 5_000_000_000, LIMIT)


def test_a_request_and_a_grant_are_read_as_written() -> None:
    for request in (REQUEST, StreamRequest("POST", "/", (), None, 65_536)):
        assert StreamRequest.parse(request.serialize()) == request
    grant = StreamGrant(bytes(16), 16_384)
    assert StreamGrant.parse(grant.serialize()) == grant
    assert Head.parse(HEAD.serialize()) == HEAD


@pytest.mark.parametrize(
    "change",
    [
        {"length": -1},
        {"length": MAX_LENGTH + 1},
        {"record_bytes": 4095},
        {"record_bytes": 65_537},
        {"headers": (("X", "\u0100"),)},
        {"headers": (("X", "a\r\nb"),)},
        {"target": "//elsewhere"},
        {"method": "CONNECT"},
    ],
)
def test_a_request_that_is_none(change: dict[str, object]) -> None:
    values = {name: getattr(REQUEST, name) for name in REQUEST.__slots__} | change
    if values["length"] == -1:
        with pytest.raises(MalformedMessage):
            StreamRequest.parse(b"\x95\xa3PUT\xa1/\x90\x91\xff\xcd\x10\x00")
        return
    with pytest.raises(MalformedMessage):
        StreamRequest.parse(StreamRequest(**values).serialize())


@pytest.mark.parametrize(
    "data",
    [b"\x90", b"\x80", b"\x95\xa3PUT\xa1/\x90\xa1x\xcd\x10\x00", b"\x95\x01\x02\x90\x90\x01"],
)
def test_plaintexts_of_another_shape(data: bytes) -> None:
    for kind in (StreamRequest, StreamGrant, Head):
        with pytest.raises(MalformedMessage):
            kind.parse(data)


def test_a_record_limit_is_a_number() -> None:
    with pytest.raises(MalformedMessage):
        parse_record_limit("4096")
    with pytest.raises(MalformedMessage):
        Head.parse(b"\x93\xcc\xc8\x90\x91\xc2")


def test_an_offer() -> None:
    assert stream_offer((("Accept", "\u0100"),)) is None
    assert stream_offer((("certless-STREAM", "65536"), ("X", "\xff"))) == 65_536
    assert stream_offer((("Certless-Stream", "0"), ("X", "\xff"))) == NO_STREAM == 0
    for headers in (
        (("Certless-Stream", "0"), ("X", "\u0100")),
        (("Certless-Stream", "00"),),
        (("Certless-Stream", "65536"), ("Certless-Stream", "65536")),
        (("Certless-Stream", "much"),),
        (("Certless-Stream", "4095"),),
        (("Certless-Stream", "65536"), ("X", "\u0100")),
    ):
        with pytest.raises(MalformedMessage):
            stream_offer(headers)


def test_the_last_byte_of_a_declared_length_comes_with_the_verified_end() -> None:
    first, second, final = request_records(b"one", b"two")
    body = BodyReader(reader(), 6)
    assert not body.has_begun
    body.feed(first + second)
    assert body.next() == b"one"
    assert body.next() is None
    body.feed(final)
    assert body.next() == b"two"
    assert body.next() is None
    assert body.is_complete
    assert body.has_begun


def test_a_response_salt_changes_the_key_of_the_server_alone() -> None:
    salted = KEYS.salted(b"a" * 16)
    assert (salted.stream_id, salted.client) == (KEYS.stream_id, KEYS.client)
    assert len({KEYS.server, salted.server, KEYS.salted(b"b" * 16).server}) == 3
