"""Makes the vectors of streams (PROTOCOL §2.10); ``make_vectors.py`` runs it too.

The records are sealed here once more, from the specification, and not by ``protocol/``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hardened_reference import NUMBERS, Message, expand, extract, finish, gcm, label, msgpack
from make_hardened_vectors import REQUEST, answer_to
from make_vectors import flip, stream
from vector_files import Case, Json, Subject

CLIENT, SERVER = 1, 2
HEAD, DATA, FINAL, ABORT, REKEY, PING = 1, 2, 3, 4, 5, 6
LIMIT = 4096
RESPONSE_HEAD = [206, [["Content-Type", "text/plain; charset=\xe9"]], [7]]
BROKEN = "broken_stream"
MINUTES_15_MS = 900_000


@dataclass(frozen=True)
class Records:
    """One direction of a stream."""

    direction: int = CLIENT
    stream_id: bytes = stream("stream id", 16)
    key: bytes = stream("stream key", 32)

    def record(self, counter: int, type_: int, data: bytes = b"", key: bytes = b"") -> bytes:
        length = (len(data) + 17).to_bytes(4)
        aad = self.stream_id + bytes([self.direction]) + counter.to_bytes(8) + length
        sealed = gcm(key or self.key, counter.to_bytes(12), bytes([type_]) + data, aad)
        return length + sealed

    def all(self, *records: tuple[int, bytes]) -> list[bytes]:
        return [self.record(at, type_, data) for at, (type_, data) in enumerate(records)]

    @property
    def next_key(self) -> bytes:
        return expand(self.key, b"certless/1 stream rekey")


def read_case(
    name: str,
    chunks: list[bytes],
    expect: str = "ok",
    records: Records | None = None,
    length: int | None = None,
    output: Json | None = None,
    **more: Any,
) -> Case:
    """The reader of one direction gets ``chunks``, one after the other, and then the end."""
    sending = records or Records()
    given: Json = {
        "direction": "client" if sending.direction == CLIENT else "server",
        "stream_hex": sending.stream_id.hex(),
        "key_hex": sending.key.hex(),
        "record_bytes": LIMIT,
        "length": length,
        "chunks_hex": [chunk.hex() for chunk in chunks],
        **more,
    }
    return finish(f"stream-read-{name}", "read_stream", None, given, expect, output or {})


def bodies() -> Iterator[Case]:
    sending = Records()
    good = sending.all((DATA, b"one"), (DATA, b"two"), (FINAL, b"\0"))
    first, second, final = good
    body = {"body_hex": b"onetwo".hex(), "head": None, "request_verified": None}
    yield read_case("body", good, output=body)
    yield read_case("body-of-the-declared-length", good, length=6, output=body)
    whole = b"".join(good)
    yield read_case("body-byte-by-byte", [bytes([byte]) for byte in whole], output=body)
    yield read_case("body-at-once", [whole], output=body)
    empty = body | {"body_hex": ""}
    yield read_case("no-body", sending.all((FINAL, b"\0")), length=0, output=empty)
    pings = sending.all((PING, b""), (DATA, b"onetwo"), (PING, b""), (FINAL, b"\0"))
    yield read_case("with-pings", pings, output=body)
    longest = sending.all((DATA, b"x" * (LIMIT - 17)), (FINAL, b"\0"))
    yield read_case("longest-record", longest, output=body | {"body_hex": "78" * (LIMIT - 17)})
    renewed = [
        sending.record(0, DATA, b"one"),
        sending.record(1, REKEY),
        sending.record(2, DATA, b"two", sending.next_key),
        sending.record(3, FINAL, b"\0", sending.next_key),
    ]
    yield read_case("rekey", renewed, output=body)
    yield read_case("rekey-left-out", [renewed[0], *renewed[2:]], BROKEN)
    old_key = [*renewed[:2], sending.record(2, DATA, b"two"), renewed[3]]
    yield read_case("rekey-ignored-by-the-sender", old_key, BROKEN)

    for at in range(3):
        for where in ("length", "first", "tag"):
            bit = {"length": 31, "first": 32, "tag": -1}[where]
            changed = [*good[:at], flip(good[at], bit), *good[at + 1 :]]
            yield read_case(f"{where}-of-record-{at}-changed", changed, BROKEN)
    for name, chunks in (
        ("nothing", []),
        ("cut-at-record-1", good[:1]),
        ("cut-at-record-2", good[:2]),
        ("cut-inside-a-length", [*good[:2], final[:3]]),
        ("cut-inside-a-record", [*good[:2], final[:-1]]),
        ("record-0-missing", good[1:]),
        ("record-1-missing", [first, final]),
        ("record-1-before-record-0", [second, first, final]),
        ("record-0-twice", [first, first, second, final]),
        ("record-1-twice", [first, second, second, final]),
        ("byte-after-final", [*good, b"\0"]),
        ("byte-after-final-at-once", [whole + b"\0"]),
        ("final-twice", [*good, sending.record(3, FINAL, b"\0")]),
        ("data-after-final", [*good, sending.record(3, DATA, b"x")]),
        ("length-0", [bytes(4)]),
        ("length-16", [(16).to_bytes(4)]),
        ("length-above-the-limit", [(LIMIT + 1).to_bytes(4)]),
        ("length-2-32-less-1", [b"\xff\xff\xff\xff"]),
        ("record-above-the-limit", sending.all((DATA, b"x" * (LIMIT - 16)), (FINAL, b"\0"))),
        ("data-empty", sending.all((DATA, b""), (FINAL, b"\0"))),
        ("type-0", sending.all((0, b""), (FINAL, b"\0"))),
        ("type-255", sending.all((255, b""), (FINAL, b"\0"))),
        ("type-of-sockets", sending.all((7, b"hello"), (FINAL, b"\0"))),
        ("head-in-a-request", sending.all((HEAD, b"\0" + msgpack(RESPONSE_HEAD)), (FINAL, b"\0"))),
        ("ping-with-data", sending.all((PING, b"x"), (FINAL, b"\0"))),
        ("rekey-with-data", sending.all((REKEY, b"x"))),
        ("final-without-its-byte", sending.all((FINAL, b""))),
        ("final-of-2", sending.all((FINAL, b"\2"))),
        ("final-with-data", sending.all((FINAL, b"\0x"))),
        ("abort-without-a-reason", sending.all((ABORT, b""))),
        ("abort-with-data", sending.all((ABORT, b"\1\1"))),
        ("of-another-stream", replace(sending, stream_id=bytes(16)).all((FINAL, b"\0"))),
        ("of-another-direction", replace(sending, direction=SERVER).all((FINAL, b"\0"))),
        ("under-another-key", replace(sending, key=bytes(32)).all((FINAL, b"\0"))),
    ):
        yield read_case(name, chunks, BROKEN)
    for length in (0, 2, 5, 7):
        yield read_case(f"body-of-6-where-{length}-were-declared", good, BROKEN, length=length)
    aborted = sending.all((DATA, b"one"), (ABORT, b"\1"))
    yield read_case("abort", aborted, "aborted_stream")


def responses() -> Iterator[Case]:
    sending = Records(SERVER)
    head = (HEAD, b"\0" + msgpack(RESPONSE_HEAD))
    for verified in (True, False):
        chunks = sending.all(head, (DATA, b"1234567"), (FINAL, bytes([verified])))
        output = {
            "body_hex": b"1234567".hex(),
            "head": RESPONSE_HEAD,
            "request_verified": verified,
        }
        name = "verified" if verified else "unverified"
        yield read_case(f"response-request-{name}", chunks, records=sending, output=output)
    parts = sending.all(
        (HEAD, b"\1" + head[1][1:5]),
        (HEAD, b"\0" + head[1][5:]),
        (DATA, b"1234567"),
        (FINAL, b"\1"),
    )
    output = {"body_hex": b"1234567".hex(), "head": RESPONSE_HEAD, "request_verified": True}
    yield read_case("response-head-in-two-parts", parts, records=sending, output=output)
    bodiless = sending.all(head, (FINAL, b"\1"))
    output = {"body_hex": "", "head": RESPONSE_HEAD, "request_verified": True}
    yield read_case("response-to-head", bodiless, records=sending, output=output, is_bodiless=True)
    yield read_case("response-without-its-body", bodiless, BROKEN, sending)
    for name, chunks, expect in (
        ("response-without-a-head", sending.all((DATA, b"x"), (FINAL, b"\1")), BROKEN),
        ("response-head-of-no-part", sending.all((HEAD, b"\0"), (FINAL, b"\1")), BROKEN),
        ("response-head-without-its-end", sending.all((HEAD, b"\1" + head[1][1:])), BROKEN),
        ("response-head-part-of-2", sending.all((HEAD, b"\2" + head[1][1:])), BROKEN),
        ("response-data-inside-its-head", sending.all((HEAD, b"\1\x93"), (DATA, b"x")), BROKEN),
        ("response-head-too-long", sending.all(*[(HEAD, b"\1" + bytes(4000))] * 33), BROKEN),
        ("response-head-twice", sending.all(head, head, (FINAL, b"\1")), BROKEN),
        ("response-longer", sending.all(head, (DATA, b"12345678"), (FINAL, b"\1")), BROKEN),
        ("response-cut", sending.all(head, (DATA, b"1234567")), BROKEN),
        ("response-cut-after-its-head", sending.all(head), BROKEN),
        ("response-aborted", sending.all(head, (ABORT, b"\2")), "aborted_stream"),
        ("response-aborted-before-its-head", sending.all((ABORT, b"\2")), "aborted_stream"),
    ):
        yield read_case(name, chunks, expect, sending)
    for name, value in (
        ("status-100", [100, [], []]),
        ("status-600", [600, [], []]),
        ("status-text", ["200", [], []]),
        ("two-items", [200, []]),
        ("four-items", [200, [], [], 0]),
        ("header-control", [200, [["X", "a\r\nb"]], []]),
        ("header-above-u-00ff", [200, [["X", "\u0100"]], []]),
        ("length-text", [200, [], ["7"]]),
        ("length-twice", [200, [], [7, 7]]),
        ("length-2-53", [200, [], [2**53]]),
        ("map", {"status": 200}),
    ):
        chunks = sending.all((HEAD, b"\0" + msgpack(value)), (FINAL, b"\1"))
        yield read_case(f"response-head-{name}", chunks, BROKEN, sending)


def written() -> Iterator[Case]:
    """What a sender writes, byte for byte."""
    sending = Records(SERVER)
    pieces = [b"a" * 5000, b"b"]
    first_end = LIMIT - 17
    records = sending.all(
        (HEAD, b"\0" + msgpack(RESPONSE_HEAD)),
        (DATA, pieces[0][:first_end]),
        (DATA, pieces[0][first_end:]),
        (DATA, pieces[1]),
        (FINAL, b"\1"),
    )
    given = {
        "stream_hex": sending.stream_id.hex(),
        "key_hex": sending.key.hex(),
        "direction": "server",
        "record_bytes": LIMIT,
        "head": RESPONSE_HEAD,
        "pieces_hex": [piece.hex() for piece in pieces],
        "at_ms": [0, 0],
        "request_verified": True,
    }
    output = {"records_hex": b"".join(records).hex()}
    yield Case("stream-write-response-ok", "write_stream", given, output=output)
    upload, key = Records(), Records().next_key
    records = [
        upload.record(0, DATA, b"one"),
        upload.record(1, REKEY),
        upload.record(2, DATA, b"two", key),
        upload.record(3, FINAL, b"\0", key),
    ]
    given = given | {
        "direction": "client",
        "head": None,
        "pieces_hex": [b"one".hex(), b"two".hex()],
        "at_ms": [MINUTES_15_MS - 1, MINUTES_15_MS],
        "request_verified": False,
    }
    output = {"records_hex": b"".join(records).hex()}
    yield Case("stream-write-renews-the-key-ok", "write_stream", given, output=output)


def response_keys() -> Iterator[Case]:
    """The key of the server's records after a response salt."""
    key, salt = stream("stream key", 32), stream("response salt", 16)
    after = expand(key, b"certless/1 stream response" + salt)
    given = {"server_key_hex": key.hex(), "salt_hex": salt.hex()}
    output = {"server_key_hex": after.hex()}
    yield Case("stream-response-key-ok", "stream_response_key", given, output=output)


def openings() -> Iterator[Case]:
    """Grants that reach the client, and stream requests that reach the server."""
    stream_id = stream("granted", 16)
    inside = {"stream": stream_id, "record_bytes": 16_384}
    for suite in NUMBERS:
        asked = Message(REQUEST, suite, seed=f"stream of {suite}")
        answer = answer_to(asked, inside, kind=5)
        prk = extract(answer.salt, answer.key_of_epoch + answer._cek)
        keys = expand(prk, label(suite, "stream") + answer.header, 64)
        output = {
            "stream_hex": stream_id.hex(),
            "client_key_hex": keys[:32].hex(),
            "server_key_hex": keys[32:].hex(),
            "record_bytes": 16_384,
        }
        yield _grant(f"{suite}", asked, answer, output=output)
        yield _grant(f"{suite}-not-offered", asked, answer, "malformed", takes_stream=False)
        spoilt = {"sealed": flip(answer.sealed, 0)}
        yield _grant(f"{suite}-changed", asked, answer, "decryption_failed", changes=spoilt)
        other = replace(answer, request_tag=bytes(16))
        yield _grant(f"{suite}-to-another-request", asked, other, "decryption_failed")
    asked = Message(REQUEST, seed="stream")
    for name, value in (
        ("id-of-15-bytes", inside | {"stream": bytes(15)}),
        ("record-bytes-4095", inside | {"record_bytes": 4095}),
        ("record-bytes-65537", inside | {"record_bytes": 65_537}),
        ("unknown-member", inside | {"more": 1}),
        ("without-its-id", {"record_bytes": 16_384}),
        ("array", [stream_id, 16_384]),
    ):
        yield _grant(name, asked, answer_to(asked, value, kind=5), "malformed")
    good: list[Any] = ["PUT", "/upload?x=%2F", [["X-Name", "\xff\xe9"]], [5_000_000_000], LIMIT]
    yield _request("whole", good)
    yield _request("length-unknown", [*good[:3], [], 65_536])
    for name, value in (
        ("length-2-53", [*good[:3], [2**53], LIMIT]),
        ("length-text", [*good[:3], ["5"], LIMIT]),
        ("length-number", [*good[:3], 5, LIMIT]),
        ("record-bytes-4095", [*good[:4], 4095]),
        ("record-bytes-65537", [*good[:4], 65_537]),
        ("record-bytes-text", [*good[:4], "4096"]),
        ("four-items", good[:4]),
        ("body-as-in-a-message", [*good[:3], b"body"]),
        ("method-connect", ["CONNECT", *good[1:]]),
        ("target-of-another-host", ["PUT", "//other/", *good[2:]]),
        ("header-above-u-00ff", [*good[:2], [["X", "\u0100"]], *good[3:]]),
        ("header-line-end", [*good[:2], [["X", "a\nb"]], *good[3:]]),
    ):
        yield _request(name, value, "malformed")


def _grant(
    name: str,
    asked: Message,
    answer: Message,
    expect: str = "ok",
    changes: Json | None = None,
    output: Json | None = None,
    *,
    takes_stream: bool = True,
) -> Case:
    given = {
        "keys": {"s2c_hex": answer.key_of_epoch.hex()},
        "request": asked.wire(),
        "takes_stream": takes_stream,
        "message": answer.wire(**(changes or {})),
    }
    return finish(
        f"stream-grant-{name}", "open_stream_grant", asked.suite, given, expect, output or {}
    )


def _request(name: str, value: list[Any], expect: str = "ok") -> Case:
    given = {"plaintext_hex": msgpack(value).hex()}
    return finish(
        f"stream-request-{name}", "parse_stream_request", None, given, expect, {"request": value}
    )


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name, and what is in it."""
    return {
        "hardened_stream_records": Subject(
            "The records of one direction of a stream that reach its reader.",
            [*bodies(), *responses()],
        ),
        "hardened_sent_streams": Subject(
            "What a sender writes, byte for byte, and the key of a response.",
            [*written(), *response_keys()],
        ),
        "hardened_stream_openings": Subject(
            "Stream requests that reach the server, and grants that reach the client.", openings()
        ),
    }
