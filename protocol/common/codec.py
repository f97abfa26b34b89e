"""Strict JSON, strict msgpack and strict text encodings, with limits (PROTOCOL §1.4).

JSON: UTF-8 without a byte order mark; no duplicate member names; no member named ``__proto__``;
no NaN, no Infinity, no number that overflows; integers of at most 20 characters; a nesting depth of
at most 64; nothing after the value. Each byte string has one text: base64 with padding in the
standard alphabet, or hex in lower case.

msgpack: integers, texts, bytes, arrays, and maps with texts as names; nothing else. The nesting
depth is at most 4, and an array or a map has at most 128 items. Every value has its shortest
encoding. The parser checks this by encoding the value again, which also finds a duplicate name.

The parsers limit the number of values before they create any: 8 MB of empty lists would take half
a gigabyte of memory and several seconds. Any text of 8 MiB takes well below 100 ms.
"""

import binascii
import json
import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgpack

from .errors import MalformedMessage

JsonObject: TypeAlias = dict[str, "JsonValue"]
JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | JsonObject | None"
MsgpackValue: TypeAlias = "int | str | bytes | list[MsgpackValue] | dict[str, MsgpackValue]"
TextEncoding: TypeAlias = Literal["base64", "hex"]

MAX_DEPTH = 64
MAX_INTEGER_CHARS = 20
MAX_MSGPACK_DEPTH = 4
MAX_MSGPACK_ITEMS = 128
MAX_MSGPACK_PARTS = 1024
MAX_ENVELOPE_MARKS = 4096
MAX_JSON_MARKS = 32_768


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


def _marks(data: bytes) -> int:
    """The number of commas and opening brackets; a text has at most one value more."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _check_marks(data: bytes, marks: int) -> None:
    """Raises: MalformedMessage, if too many of the ``marks`` are outside of strings."""
    if marks <= MAX_JSON_MARKS:
        return
    # Without escapes every quote begins or ends a string. Each value has at most two strings, its
    # name and itself. So the number of quotes alone shows that there are too many strings.
    quoted = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if quoted.count(b'"') <= 4 * (MAX_JSON_MARKS + 1):
        bare = b"".join(quoted.split(b'"')[::2])
        if _marks(bare) <= MAX_JSON_MARKS:
            return
    raise MalformedMessage(f"more than {MAX_JSON_MARKS} commas and opening brackets")


def _check_depth(value: JsonValue) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for part in level
            if isinstance(part, list | dict)
            for item in (part if isinstance(part, list) else part.values())
        ]
    if any(isinstance(part, list | dict) for part in level):
        raise MalformedMessage("nested too deeply")


def parse_json(data: bytes) -> JsonValue:
    """The value of ``data`` (UTF-8 JSON).

    Raises: MalformedMessage. Source: PROTOCOL §1.4.1, RFC 8259.
    """
    try:
        # Decode first: a plaintext that was decrypted under a wrong key fails in its first bytes.
        text = data.decode()
        marks = _marks(data)
        _check_marks(data, marks)
        value: JsonValue = _DECODER.decode(text)
        # A text with fewer opening brackets than the limit cannot nest deeper. Most texts end here.
        if marks > MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH:
            _check_depth(value)
        if "\\" in text and ("\\ud" in text or "\\uD" in text):
            # An escape can encode half of a surrogate pair, which is not a character.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedMessage("not JSON") from None
    return value


def parse_json_object(data: bytes) -> JsonObject:
    """As ``parse_json``, but the value must be an object. Raises: MalformedMessage."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise MalformedMessage("not a JSON object")
    return value


def read_members(plaintext: bytes, valid: bool) -> JsonObject | None:
    """The members of a decrypted JSON object, or None.

    An invalid plaintext is parsed too: the work after a failed decryption must be the same
    (PROTOCOL §1.13).
    """
    try:
        members = parse_json_object(plaintext)
    except MalformedMessage:
        return None
    return members if valid else None


def parse_json_envelope(data: bytes) -> JsonObject:
    """As ``parse_json_object``, for a message whose sender is not authenticated yet.

    Such an object is nearly flat: it has at most 4096 commas and opening brackets. Raises:
    MalformedMessage.
    """
    if _marks(data) > MAX_ENVELOPE_MARKS:
        raise MalformedMessage("more values than any message outside a seal has")
    return parse_json_object(data)


def serialize_json(value: Any) -> bytes:
    """Compact UTF-8 JSON of ``value``. Raises: ValueError, for NaN and Infinity.

    Source: PROTOCOL §1.4.1.
    """
    return _ENCODER.encode(value).encode()


def _check_msgpack(value: object, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is bytes or kind is int:
        return
    if depth == MAX_MSGPACK_DEPTH or (kind is not list and kind is not dict):
        raise MalformedMessage("a type that is not allowed in a message, or nested too deeply")
    inner: Any = value
    if kind is dict:
        if not all(type(name) is str for name in inner):
            raise MalformedMessage("a member name must be text")
        inner = inner.values()
    for item in inner:
        _check_msgpack(item, depth + 1)


def _counting() -> Callable[[Any], Any]:
    """A hook that counts the arrays and maps, and raises MalformedMessage above the limit."""
    left = MAX_MSGPACK_PARTS

    def count(part: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise MalformedMessage("too many arrays and maps")
        return part

    return count


def parse_msgpack(data: bytes) -> MsgpackValue:
    """The value of ``data``, if ``data`` is the shortest encoding of it.

    Raises: MalformedMessage. Source: PROTOCOL §1.4.3.
    """
    count = _counting()
    try:
        value: MsgpackValue = msgpack.unpackb(
            data,
            max_array_len=MAX_MSGPACK_ITEMS,
            max_map_len=MAX_MSGPACK_ITEMS,
            max_ext_len=0,
            list_hook=count,
            object_hook=count,
        )
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException):
        raise MalformedMessage("not msgpack") from None
    _check_msgpack(value, 0)
    if serialize_msgpack(value) != data:
        raise MalformedMessage("not the shortest msgpack, or a member name occurs twice")
    return value


def serialize_msgpack(value: Any) -> bytes:
    """The shortest encoding of ``value``. Source: PROTOCOL §1.4.3."""
    packed: bytes = msgpack.packb(value)
    return packed


def encode_bytes(encoding: TextEncoding, data: bytes) -> str:
    """``data`` as base64 (RFC 4648 §4, padded) or lower-case hex."""
    if encoding == "hex":
        return data.hex()
    return binascii.b2a_base64(data, newline=False).decode()


def decode_bytes(encoding: TextEncoding, text: str) -> bytes | None:
    """The bytes that ``text`` encodes, or None if ``text`` is not in the canonical form.

    It returns None instead of raising, because a wrong text must take the same time as a wrong key
    (PROTOCOL §1.13): the caller continues with other bytes.
    """
    try:
        if encoding == "hex":
            raw = bytes.fromhex(text)
            return raw if raw.hex() == text else None
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    # a2b_base64 does not check the unused bits, which are in the last four characters.
    last = encode_bytes(encoding, raw[-(len(raw) % 3 or 3) :])
    return raw if last == text[-4:] else None
