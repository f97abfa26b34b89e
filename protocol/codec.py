"""Strict JSON and strict text encodings, with limits (PROTOCOL §3).

Rules: UTF-8 without a byte order mark; no duplicate member names; no member named ``__proto__``;
no NaN, no Infinity, no number that overflows; integers of at most 20 characters; nesting of at
most 64; nothing after the value. One text stands for one byte string: base64 with its padding
and its own alphabet, hex in lower case.
"""

import binascii
import json
import math
import re
from typing import Any, Literal, TypeAlias

from .errors import MalformedMessage

JsonObject: TypeAlias = dict[str, "JsonValue"]
JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | JsonObject | None"
TextEncoding: TypeAlias = Literal["base64", "hex"]

MAX_DEPTH = 64
MAX_INTEGER_CHARS = 20

# A string that does not end goes on to the end of the text: a second look at it from each of its
# quotes would take quadratic time.
_STRING = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def _unique_members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedMessage("a member name occurs twice")
    if "__proto__" in members:
        raise MalformedMessage("a member is named __proto__")
    return members


def _short_integer(text: str) -> int:
    if len(text) > MAX_INTEGER_CHARS:
        raise MalformedMessage("an integer is too long")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedMessage("a number is out of range")
    return number


def _no_constant(name: str) -> None:
    raise MalformedMessage(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_short_integer,
    parse_float=_finite,
    parse_constant=_no_constant,
)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check_depth(data: bytes) -> None:
    # Fewer opening brackets than the limit cannot nest deeper; that settles nearly every message.
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedMessage("nested too deeply")


def parse_json(data: bytes) -> JsonValue:
    """The value that ``data`` (UTF-8 JSON) stands for.

    Raises: MalformedMessage. Source: PROTOCOL §3, RFC 8259.
    """
    _check_depth(data)
    try:
        text = data.decode()
        value: JsonValue = _DECODER.decode(text)
        if "\\u" in text:
            # An escape can spell half of a surrogate pair, which is no character at all.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedMessage("not JSON") from None
    return value


def parse_json_object(data: bytes) -> JsonObject:
    """As ``parse_json``, for a text that must be an object. Raises: MalformedMessage."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise MalformedMessage("not a JSON object")
    return value


def serialize_json(value: Any) -> bytes:
    """Compact UTF-8 JSON of ``value``; NaN and Infinity are a ValueError. Source: PROTOCOL §3."""
    return _ENCODER.encode(value).encode()


def encode_bytes(encoding: TextEncoding, data: bytes) -> str:
    """``data`` as base64 (RFC 4648 §4, padded) or lower-case hex."""
    if encoding == "hex":
        return data.hex()
    return binascii.b2a_base64(data, newline=False).decode()


def decode_bytes(encoding: TextEncoding, text: str) -> bytes | None:
    """The bytes that ``text`` spells in its one canonical form, else None.

    None rather than an error: a wrong text must cost its sender the same time as a wrong key
    (PROTOCOL §8.3), so the caller goes on with a stand-in.
    """
    try:
        raw = bytes.fromhex(text) if encoding == "hex" else binascii.a2b_base64(text)
    except (ValueError, binascii.Error):
        return None
    return raw if encode_bytes(encoding, raw) == text else None
