"""The first inputs for tests/client_c/fuzz.c: messages of each kind, many of them from the vectors.

``python tests/support/make_c_corpus.py FOLDER`` writes them, for each parser in a folder of
its own. The first byte is the parser, and 128 more for a client with ``clock``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vector_files import read_all

from protocol.common.codec import serialize_msgpack
from protocol.hardened.sealed_messages import Header, Kind
from protocol.hardened.suites import ECDH_GCM, FRESHNESS

PARSERS = ["hello", "share", "confirmation", "answer", "state", "code", "request"]
PARSERS += ["http", "records", "grant"]
HELLO, SHARE, CONFIRMATION, ANSWER, STATE, CODE, REQUEST, HTTP, RECORDS, GRANT = range(len(PARSERS))
TAG = bytes(16)


def of_vectors() -> Iterator[tuple[int, bytes]]:
    for case in read_all(["hardened_client_logins", "hardened_client_resumptions"]).values():
        for name, parser in (("M1", HELLO), ("M3", SHARE), ("R2", SHARE), ("M5", CONFIRMATION)):
            message = case["input"].get(name, {})
            if "hex" in message:
                yield parser, bytes.fromhex(message["hex"])
    for case in read_all(["hardened_responses"]).values():
        if "hex" in case["input"]["message"]:
            yield ANSWER, bytes.fromhex(case["input"]["message"]["hex"])
    for case in read_all(["hardened_msgpack"]).values():
        yield ANSWER, bytes.fromhex(case["input"]["hex"])
    for case in read_all(["typed_codes"]).values():
        yield CODE, case["input"]["text"].encode("utf-8", "surrogatepass")[:2000]


def boxes() -> Iterator[bytes]:
    """ServerConfirmation; without cryptography, every proof and every box is right."""
    terms: dict[str, Any] = {"time_ms": 1_767_225_600_000, "session_s": 43_200}
    ticket: dict[str, Any] = {"ticket": TAG, "ticket_s": 2_592_000}
    for inside in (terms, terms | ticket, terms | {"ticket": TAG}, {**ticket, **terms, "x": 1}):
        yield serialize_msgpack({"cB": bytes(32), "box": serialize_msgpack(inside) + TAG})


def answers() -> Iterator[bytes]:
    refused = {"error": "stale_timestamp", "time_ms": 9, "window_ms": 60_000}
    plaintexts: dict[Kind, list[Any]] = {
        Kind.RESPONSE: [
            [200, [], b""],
            [404, [["Content-Type", "text/plain"], ["A", "\u00e9"]], b"x" * 300],
            [599, [["a", "b"]] * 128, b"x" * 70000],
            [200, [["a", "b"]] * 129, b""],
        ],
        Kind.REFUSAL: [refused, refused | {"error": "stale_epoch"}],
        Kind.STREAM_GRANT: [{"stream": TAG, "record_bytes": 4096}],
    }
    for kind, values in plaintexts.items():
        for fresh in FRESHNESS:
            header = Header(ECDH_GCM, kind, 0, TAG, fresh, 0, request_tag=TAG).serialize()
            for value in values:
                sealed = serialize_msgpack(value) + TAG
                yield serialize_msgpack({"header": header, "salt": TAG, "sealed": sealed})


def records() -> Iterator[bytes]:
    """The records of a response, in order and with one that does not belong there."""

    def record(type_: int, data: bytes) -> bytes:
        return (len(data) + 17).to_bytes(4) + bytes([type_]) + data + TAG

    for length in ([], [4]):
        head = serialize_msgpack([200, [["A", "\u00e9"]], length])
        parts = [record(1, b"\1" + head[:4]), record(6, b""), record(1, b"\0" + head[4:])]
        body = [record(2, b"bo"), record(5, b""), record(2, b"dy"), record(3, b"\1")]
        yield b"".join(parts + body)
        yield b"".join([*parts, *body[::-1]])
        yield b"".join([*parts, record(4, b"\2"), record(9, b"")])


def others() -> Iterator[tuple[int, bytes]]:
    for flags in (1, 3):
        yield STATE, b"CLT1" + bytes([flags, 2]) + bytes(156)
    for request in (b"PUT\0/a?b\0A\0b c\0body", b"GET\0/\0a\0\0", b"TRACE\0/\0a\0b\0"):
        yield REQUEST, request
    for body in (
        b"Content-Length: 4\r\n\r\nbody",
        b"Transfer-Encoding: chunked\r\n\r\n2;x\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        b"Retry-After: 5\r\n\r\nbody",
    ):
        for start in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 X\r\n\r\nHTTP/1.0 429 X\r\n"):
            yield HTTP, start + body


def corpus() -> Iterator[bytes]:
    inputs = [*of_vectors(), *others()]
    inputs += [(CONFIRMATION, box) for box in boxes()] + [(RECORDS, each) for each in records()]
    inputs += [(parser, each) for each in answers() for parser in (ANSWER, GRANT)]
    for parser, data in inputs:
        yield bytes([parser]) + data
        yield bytes([parser | 128]) + data


def write(folder: Path) -> list[Path]:
    files = []
    for number, data in enumerate(corpus()):
        files.append(folder / PARSERS[data[0] & 127] / f"{number:04}")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        files[-1].write_bytes(data)
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))
