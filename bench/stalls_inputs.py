"""The worst known inputs: JSON, msgpack and requests that take long to read or to refuse."""

import base64
import json
import secrets
from collections.abc import Iterator

import msgpack

from bench.stalls_server import ANSWERS
from protocol.common.messages import HttpRequest


def filled(unit: str, most: int, before: str = "", after: str = "") -> bytes:
    """``unit`` repeated, up to ``most`` bytes."""
    room = most - len((before + after).encode())
    return (before + unit * (room // len(unit.encode())) + after).encode()


def json_texts(most: int) -> Iterator[tuple[str, bytes]]:
    """Objects that take long to parse or to reject."""
    yield "small lists", filled("[],", most, '{"a":[', "[]]}")
    yield "small objects", filled("{},", most, '{"a":[', "{}]}")
    yield "numbers", filled("1,", most, '{"a":[', "1]}")
    yield "empty strings", filled('"",', most, '{"a":[', '""]}')
    yield "one deep nest", b"[" * most
    yield "4000 lists, then quotes", filled('"', most, "[" * 4000)
    yield "4000 lists, then a string", filled("x", most, "[" * 4000 + '"')
    yield "4000 lists, then escapes", filled("\\\\", most, "[" * 4000 + '"')
    yield "escapes", filled("\\n", most, '{"a":"', '"}')
    yield "unicode escapes", filled("\\u00e9", most, '{"a":"', '"}')
    yield "an escape and emoji", filled("\U0001f600", most, '{"a":"\\u00e9', '"}')
    yield "spaces", filled(" ", most)
    yield "one long integer", filled("1", most, '{"a":', "}")
    yield "one long fraction", filled("1", most, '{"a":0.', "}")
    yield "members", json.dumps({f"{n:x}": 1 for n in range(most // 13)}).encode()[:most]
    yield (
        "4000 values, then a string",
        filled("x", most, '{"b":[' + "[]," * 1990 + '[]],"a":"', '"}'),
    )
    key = "k" * 344
    ready = f'{{"token":"{"t" * 36}","key":"{key}","payload":"'
    yield "no session", filled("QUJD", most, ready, '"}')
    yield "no session, no base64", filled("=-", most, ready, '"}')
    header = base64.b64encode(b"CG1" + bytes(64)).decode()
    sealed = f'{{"header":"{header}","salt":"{"AAAA" * 5}AA==","sealed":"'
    yield "no hardened session", filled("QUJD", most, sealed, '"}')


def msgpack_texts(most: int) -> Iterator[tuple[str, bytes]]:
    yield "text", msgpack.packb({"a": "é" * (most // 2 - 64)})
    yield "one deep nest", b"\x91" * most
    yield "small lists", b"\xdd" + (most - 8).to_bytes(4) + b"\x90" * (most - 8)
    yield "lists of lists", msgpack.packb([[[1] * 128] * 7] * 128)[:most]
    yield "long names", msgpack.packb({"n" * (most - 64): 1})
    yield (
        "no session",
        msgpack.packb(
            {"header": b"CG1" + bytes(64), "salt": bytes(16), "sealed": bytes(most - 200)}
        ),
    )


def values(most: int) -> Iterator[tuple[str, str]]:
    """JSON values for the inside of a sealed message."""
    yield "letters", json.dumps("x" * (most - 2))
    yield "commas", json.dumps("," * (most - 2))
    yield "quotes", json.dumps('"' * (most // 2 - 2))
    yield "escapes", '"' + "\\u00e9" * (most // 6 - 2) + '"'
    yield "emoji", '"\\u00e9' + "\U0001f600" * (most // 4 - 10) + '"'
    yield "small lists", filled("[],", most, "[", "[]]").decode()
    yield "small objects", filled('{"":{}},', most, "[", "1]").decode()
    yield "numbers", filled("1,", most, "[", "1]").decode()
    many = ",".join(f'"{n:x}":1' for n in range(32_000))
    yield "32000 members and letters", f'[{{{many}}},"{"x" * (most - len(many) - 8)}"]'
    yield "32000 members and commas", f'[{{{many}}},"{"," * (most - len(many) - 8)}"]'
    quotes = '\\"' * (most // 2 - 60_000)
    yield "16000 objects and quotes", "[" + "{}," * 16_000 + f'"{quotes}"]'
    yield "one deep nest", "[" * (most // 2) + "]" * (most // 2)


def requests(most: int) -> Iterator[tuple[str, HttpRequest]]:
    """Requests for the inside of a sealed message."""

    def request(headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> HttpRequest:
        return HttpRequest("POST", "/x", headers, body)

    yield "random bytes", request(body=secrets.token_bytes(most * 3 // 4 - 512))
    yield "letters", request(body=b"x" * (most - 512))
    yield "a long header", request((("X", "x" * (most - 512)),))
    yield "Connection of many names", request((("Connection", "a," * (most // 2 - 512)),))
    yield "a long method", HttpRequest("M" * (most - 512), "/x", (), b"")
    yield "many headers", request((("X", "y"),) * (most // 32))
    yield "long target", HttpRequest("GET", "/" + "%41" * (most // 8), (), b"")
    for kind in ANSWERS:
        yield f"an answer of {kind}", HttpRequest("GET", f"/x?{kind.replace(' ', '%20')}", (), b"")
