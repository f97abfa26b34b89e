"""Makes the vectors of sockets (PROTOCOL §2.11); ``make_vectors.py`` runs it too.

The records are sealed as in ``make_stream_vectors``, from the specification.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hardened_reference import finish, msgpack
from make_stream_vectors import (
    ABORT,
    BROKEN,
    CLIENT,
    DATA,
    FINAL,
    HEAD,
    LIMIT,
    PING,
    REKEY,
    SERVER,
    Records,
)
from make_vectors import flip
from vector_files import Case, Json, Subject

TEXT, BINARY, CREDIT = 7, 8, 9
SOCKET_HEAD = [[["X-Name", "caf\xe9"]], ["chat.v2"]]
CREDIT_BYTES = 262_144
CLOSE = (1000).to_bytes(2)


def last(data: bytes) -> bytes:
    return b"\0" + data


def more(data: bytes) -> bytes:
    return b"\1" + data


def read_case(
    name: str,
    messages: list[bytes],
    expect: str = "ok",
    sending: Records | None = None,
    events: list[list[Any]] | None = None,
    head: list[Any] | None = None,
) -> Case:
    """The reader gets ``messages`` of the connection, one after the other, and then its end."""
    records = sending or Records()
    given: Json = {
        "direction": "client" if records.direction == CLIENT else "server",
        "stream_hex": records.stream_id.hex(),
        "key_hex": records.key.hex(),
        "record_bytes": LIMIT,
        "messages_hex": [message.hex() for message in messages],
    }
    output = {"events": events or [], "head": head}
    return finish(f"socket-read-{name}", "read_socket", None, given, expect, output)


def of_client() -> Iterator[Case]:
    sending = Records()
    text, binary = "gr\xfc\xdfe".encode(), b"\x00\xff"
    good = sending.all(
        (TEXT, last(text)), (BINARY, last(binary)), (FINAL, CLOSE + "zu \u20ac".encode())
    )
    events: list[list[Any]] = [
        ["text", text.hex(), True],
        ["binary", binary.hex(), True],
        ["close", 1000, "zu \u20ac"],
    ]
    yield read_case("messages", good, events=events)
    yield read_case("several-records-in-a-message", [b"".join(good)], events=events)
    yield read_case(
        "empty-messages-of-the-connection", [b"", good[0], b"", *good[1:]], events=events
    )
    renewed = [
        sending.record(0, TEXT, last(text)),
        sending.record(1, REKEY) + sending.record(2, BINARY, last(binary), sending.next_key),
        sending.record(3, PING, b"", sending.next_key),
        sending.record(4, FINAL, CLOSE, sending.next_key),
    ]
    yield read_case("rekey-and-ping", renewed, events=[*events[:2], ["close", 1000, ""]])
    parts = sending.all(
        (TEXT, more(text[:3])),
        (CREDIT, (1).to_bytes(4)),
        (TEXT, more(text[3:4])),
        (TEXT, last(text[4:])),
        (BINARY, more(b"one")),
        (BINARY, last(b"")),
        (TEXT, last(b"")),
        (FINAL, b""),
    )
    events = [
        ["text", text[:3].hex(), False],
        ["text", text[3:4].hex(), False],
        ["text", text[4:].hex(), True],
        ["binary", b"one".hex(), False],
        ["binary", "", True],
        ["text", "", True],
        ["close", 1005, ""],
    ]
    yield read_case("fragments", parts, events=events)
    for code in (1000, 1003, 1007, 1014, 3000, 4999):
        whole = code.to_bytes(2) + b"r" * 123
        event = ["close", code, "r" * 123]
        yield read_case(f"close-{code}", sending.all((FINAL, whole)), events=[event])
    in_a_message = sending.all((TEXT, more(b"one")), (FINAL, CLOSE))
    yield read_case(
        "close-inside-a-message",
        in_a_message,
        events=[["text", b"one".hex(), False], ["close", 1000, ""]],
    )
    most = sending.all((CREDIT, (2**32 - 1 - CREDIT_BYTES).to_bytes(4)), (FINAL, CLOSE))
    yield read_case("most-credit", most, events=[["close", 1000, ""]])

    yield from changed(good)
    for name, records in (
        ("credit-of-0", [(CREDIT, bytes(4))]),
        ("credit-too-much", [(CREDIT, (2**32 - CREDIT_BYTES).to_bytes(4))]),
        ("credit-of-3-bytes", [(CREDIT, b"\0\0\1")]),
        ("credit-of-5-bytes", [(CREDIT, b"\0\0\0\0\1")]),
        ("text-without-its-flag", [(TEXT, b"")]),
        ("binary-without-its-flag", [(BINARY, b"")]),
        ("flag-of-2", [(TEXT, b"\2one")]),
        ("empty-fragment-that-is-not-the-last", [(TEXT, more(b""))]),
        ("binary-inside-text", [(TEXT, more(b"one")), (BINARY, last(b"two"))]),
        ("text-inside-binary", [(BINARY, more(b"one")), (TEXT, last(b"two"))]),
        ("text-not-utf-8", [(TEXT, last(b"\xff"))]),
        ("text-with-a-surrogate", [(TEXT, last(b"\xed\xa0\x80"))]),
        ("text-that-ends-inside-a-character", [(TEXT, last(b"\xe2\x82"))]),
        ("text-cut-inside-a-character-then-other", [(TEXT, more(b"\xe2\x82")), (TEXT, last(b"a"))]),
        ("data-of-a-body", [(DATA, b"x")]),
        ("head-of-the-client", [(HEAD, b"\0" + msgpack(SOCKET_HEAD))]),
        ("head-later", [(TEXT, last(b"one")), (HEAD, b"\0" + msgpack(SOCKET_HEAD))]),
        ("type-10", [(10, b"")]),
        ("final-of-a-body", [(FINAL, b"\0")]),
        ("close-999", [(FINAL, (999).to_bytes(2))]),
        ("close-1004", [(FINAL, (1004).to_bytes(2))]),
        ("close-1005", [(FINAL, (1005).to_bytes(2))]),
        ("close-1006", [(FINAL, (1006).to_bytes(2))]),
        ("close-1015", [(FINAL, (1015).to_bytes(2))]),
        ("close-2999", [(FINAL, (2999).to_bytes(2))]),
        ("close-5000", [(FINAL, (5000).to_bytes(2))]),
        ("close-reason-of-124-bytes", [(FINAL, CLOSE + b"r" * 124)]),
        ("close-reason-not-utf-8", [(FINAL, CLOSE + b"\xff")]),
        ("abort-without-a-reason", [(ABORT, b"")]),
        ("rekey-with-data", [(REKEY, b"x")]),
    ):
        yield read_case(name, sending.all(*records, (FINAL, CLOSE)), BROKEN)
    yield read_case("abort", sending.all((TEXT, last(b"one")), (ABORT, b"\4")), "aborted_stream")


def changed(good: list[bytes]) -> Iterator[Case]:
    """Records that were cut, changed, moved, repeated, or are of another socket."""
    sending = Records()
    first, second, final = good
    for at in range(3):
        for where, bit in (("length", 31), ("first", 32), ("tag", -1)):
            other = [*good[:at], flip(good[at], bit), *good[at + 1 :]]
            yield read_case(f"{where}-of-record-{at}-changed", other, BROKEN)
    for name, messages in (
        ("nothing", []),
        ("end-without-a-close", good[:2]),
        ("record-in-two-messages", [first[:9], first[9:], second, final]),
        ("record-cut-short", [first[:-1], second, final]),
        ("bytes-behind-a-record", [first + b"\0", second, final]),
        ("record-0-missing", [second, final]),
        ("record-1-missing", [first, final]),
        ("records-in-another-order", [second, first, final]),
        ("record-twice", [first, first, second, final]),
        ("record-after-the-close", [*good, sending.record(3, TEXT, last(b"x"))]),
        ("record-after-the-close-in-one-message", [b"".join(good) + good[0]]),
        ("length-above-the-limit", [(LIMIT + 1).to_bytes(4)]),
        ("length-2-32-less-1", [b"\xff\xff\xff\xff"]),
        ("of-another-socket", replace(sending, stream_id=bytes(16)).all((FINAL, CLOSE))),
        ("of-the-other-direction", replace(sending, direction=SERVER).all((FINAL, CLOSE))),
        ("under-another-key", replace(sending, key=bytes(32)).all((FINAL, CLOSE))),
    ):
        yield read_case(name, messages, BROKEN)


def of_server() -> Iterator[Case]:
    sending = Records(SERVER)
    whole = msgpack(SOCKET_HEAD)
    head, closed = (HEAD, b"\0" + whole), (FINAL, CLOSE)
    events: list[list[Any]] = [["text", b"one".hex(), True], ["close", 1000, ""]]
    one = (TEXT, last(b"one"))
    good = sending.all(head, one, closed)
    yield read_case("head-and-messages", good, sending=sending, events=events, head=SOCKET_HEAD)
    parts = sending.all((HEAD, more(whole[:5])), (HEAD, last(whole[5:])), one, closed)
    yield read_case("head-in-two-parts", parts, sending=sending, events=events, head=SOCKET_HEAD)
    plain: list[Any] = [[], []]
    records = sending.all((HEAD, last(msgpack(plain))), one, closed)
    yield read_case("head-without-protocol", records, sending=sending, events=events, head=plain)
    for name, wrong in (
        ("without-a-head", [one, closed]),
        ("close-before-the-head", [closed]),
        ("credit-before-the-head", [(CREDIT, (1).to_bytes(4)), head, closed]),
        ("head-twice", [head, head, closed]),
        ("head-without-its-end", [(HEAD, more(whole)), closed]),
        ("head-too-long", [(HEAD, more(bytes(4000)))] * 33),
    ):
        yield read_case(name, sending.all(*wrong), BROKEN, sending)
    aborted = sending.all((ABORT, b"\2"))
    yield read_case("abort-before-the-head", aborted, "aborted_stream", sending)
    for name, value in (
        ("of-a-response", [101, [], []]),
        ("map", {"headers": []}),
        ("two-protocols", [[], ["a", "b"]]),
        ("protocol-text", [[], "a"]),
        ("protocol-no-token", [[], ["a b"]]),
        ("header-above-u-00ff", [[["X", "\u0100"]], []]),
    ):
        records = sending.all((HEAD, last(msgpack(value))), closed)
        yield read_case(f"head-{name}", records, BROKEN, sending)


def written() -> Iterator[Case]:
    """What a sender writes."""
    for direction, name, head in ((SERVER, "server", SOCKET_HEAD), (CLIENT, "client", None)):
        sending, long = Records(direction), bytes(5000)
        size = LIMIT - 18
        records = sending.all(
            *([(HEAD, last(msgpack(head)))] if head else []),
            (CREDIT, (65_536).to_bytes(4)),
            (TEXT, last(b"one")),
            (BINARY, more(long[:size])),
            (BINARY, last(long[size:])),
            (BINARY, last(b"")),
            (FINAL, (4000).to_bytes(2) + b"bye"),
        )
        given = {
            "direction": name,
            "stream_hex": sending.stream_id.hex(),
            "key_hex": sending.key.hex(),
            "record_bytes": LIMIT,
            "head": head,
            "taken": 65_536,
            "messages": [["text", b"one".hex()], ["binary", long.hex()], ["binary", ""]],
            "close": [4000, "bye"],
        }
        output = {"records_hex": b"".join(records).hex()}
        yield Case(f"socket-write-{name}-ok", "write_socket", given, output=output)
    yield Case(
        "socket-write-close-without-a-code-ok",
        "write_socket",
        given | {"taken": 65_535, "messages": [], "close": [1005, ""]},
        output={"records_hex": Records().record(0, FINAL).hex()},
    )


def requests() -> Iterator[Case]:
    good: list[Any] = ["/chat?room=%2F", [["X-Name", "\xff"]], ["chat.v2", "chat.v1"], LIMIT]
    yield _request("whole", good)
    yield _request("without-protocols", [*good[:2], [], 65_536])
    for name, value in (
        ("target-of-another-host", ["//other/", *good[1:]]),
        ("target-absolute", ["ws://other/", *good[1:]]),
        ("header-above-u-00ff", [good[0], [["X", "\u0100"]], *good[2:]]),
        ("header-line-end", [good[0], [["X", "a\r\nb"]], *good[2:]]),
        ("protocol-no-token", [*good[:2], ["a,b"], LIMIT]),
        ("protocol-empty", [*good[:2], [""], LIMIT]),
        ("protocol-bytes", [*good[:2], [b"a"], LIMIT]),
        ("protocol-twice", [*good[:2], ["a", "a"], LIMIT]),
        ("protocol-of-257-characters", [*good[:2], ["a" * 257], LIMIT]),
        ("33-protocols", [*good[:2], [f"a{at}" for at in range(33)], LIMIT]),
        ("protocols-text", [*good[:2], "a", LIMIT]),
        ("record-bytes-4095", [*good[:3], 4095]),
        ("record-bytes-65537", [*good[:3], 65_537]),
        ("three-items", good[:3]),
        ("of-a-stream", ["GET", good[0], [], [], LIMIT]),
    ):
        yield _request(name, value, "malformed")


def _request(name: str, value: list[Any], expect: str = "ok") -> Case:
    given = {"plaintext_hex": msgpack(value).hex()}
    return finish(
        f"socket-request-{name}", "parse_socket_request", None, given, expect, {"request": value}
    )


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name, and what is in it."""
    return {
        "hardened_socket_records": Subject(
            "The messages of the connection that reach one end of a socket.",
            [*of_client(), *of_server()],
        ),
        "hardened_sent_sockets": Subject(
            "What one end of a socket writes, byte for byte.", written()
        ),
        "hardened_socket_requests": Subject("Socket requests that reach the server.", requests()),
    }
