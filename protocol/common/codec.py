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

The module is long because every format has the same limits.
"""

import binascii
import json
import math
from collections.abc import Callable, Iterator
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
_MSGPACK_LEAVES = frozenset({str, bytes, int})
MAX_ENVELOPE_MARKS = 4096
MAX_JSON_MARKS = 32_768
# The codec makes no second copy of longer bytes.
LARGE_BYTES = 131_072


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


def _brackets(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")


def _marks(data: bytes) -> int:
    """The number of commas and opening brackets; a text has at most one value more."""
    return data.count(b",") + _brackets(data)


def _check_marks(data: bytes) -> None:
    """Raises: MalformedMessage, if too many marks are outside of strings."""
    if len(data) <= MAX_JSON_MARKS or _marks(data) <= MAX_JSON_MARKS:
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


def _decoded(data: bytes) -> str:
    # Decode first: a plaintext that was decrypted under a wrong key fails in its first bytes.
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedMessage("not JSON") from None
    _check_marks(data)
    return text


def _value(text: str, brackets: int) -> JsonValue:
    """The value of ``text``, which has ``brackets`` opening brackets."""
    try:
        value: JsonValue = _DECODER.decode(text)
        # A text with fewer opening brackets than the limit cannot nest deeper. Most texts end here.
        if brackets > MAX_DEPTH:
            _check_depth(value)
        if "\\" in text and ("\\ud" in text or "\\uD" in text):
            # An escape can encode half of a surrogate pair, which is not a character.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedMessage("not JSON") from None
    return value


def _object(text: str, brackets: int) -> JsonObject:
    value = _value(text, brackets)
    if not isinstance(value, dict):
        raise MalformedMessage("not a JSON object")
    return value


def parse_json(data: bytes) -> JsonValue:
    """The value of ``data`` (UTF-8 JSON).

    Raises: MalformedMessage. Source: PROTOCOL §1.4.1, RFC 8259.
    """
    return _value(_decoded(data), _brackets(data))


def parse_json_object(data: bytes) -> JsonObject:
    """As ``parse_json``, but the value must be an object. Raises: MalformedMessage."""
    return _object(_decoded(data), _brackets(data))


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
    if len(data) > MAX_ENVELOPE_MARKS and _marks(data) > MAX_ENVELOPE_MARKS:
        raise MalformedMessage("more values than any message outside a seal has")
    text, brackets = _decoded(data), _brackets(data)
    # If the caller does not keep it, a large message is not in memory twice from here on.
    del data
    return _object(text, brackets)


def serialize_json(value: Any) -> bytes:
    """Compact UTF-8 JSON of ``value``. Raises: ValueError, for NaN and Infinity.

    Source: PROTOCOL §1.4.1.
    """
    return _ENCODER.encode(value).encode()


def _check_msgpack(value: object, depth: int) -> None:
    kind = type(value)
    if kind in _MSGPACK_LEAVES:
        return
    if depth == MAX_MSGPACK_DEPTH or (kind is not list and kind is not dict):
        raise MalformedMessage("a type that is not allowed in a message, or nested too deeply")
    inner: Any = value
    if kind is dict:
        for name in inner:
            if type(name) is not str:
                raise MalformedMessage("a member name must be text")
        inner = inner.values()
    for item in inner:
        # Most values are leaves. A call for each would take longer than the check.
        if type(item) not in _MSGPACK_LEAVES:
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
    if not _is_encoding(value, data):
        raise MalformedMessage("not the shortest msgpack, or a member name occurs twice")
    return value


def _is_encoding(value: MsgpackValue, data: bytes) -> bool:
    """Whether ``data`` is the shortest encoding of ``value``."""
    if len(data) <= LARGE_BYTES:
        return serialize_msgpack(value) == data
    end = 0
    for piece in _msgpack_pieces(value):
        if not data.startswith(piece, end):
            return False
        end += len(piece)
    return end == len(data)


def _msgpack_pieces(value: MsgpackValue) -> Iterator[bytes]:
    """The shortest encoding of ``value``. Large bytes are not copied."""
    if isinstance(value, bytes) and len(value) > LARGE_BYTES:
        yield b"\xc6" + len(value).to_bytes(4)  # bin 32
        yield value
    elif isinstance(value, list):
        yield msgpack.Packer().pack_array_header(len(value))
        for item in value:
            yield from _msgpack_pieces(item)
    elif isinstance(value, dict):
        yield msgpack.Packer().pack_map_header(len(value))
        for name, item in value.items():
            yield msgpack.packb(name)
            yield from _msgpack_pieces(item)
    else:
        yield msgpack.packb(value)


def serialize_msgpack(value: Any) -> bytes:
    """The shortest encoding of ``value``. Source: PROTOCOL §1.4.3."""
    for part in value.values() if type(value) is dict else value if type(value) is list else ():
        if type(part) is bytes and len(part) > LARGE_BYTES:
            return b"".join(_msgpack_pieces(value))
    packed: bytes = msgpack.packb(value)
    return packed


def encode_ascii(encoding: TextEncoding, data: bytes | bytearray | memoryview) -> bytes:
    """The text of ``encode_bytes`` in ASCII. In JSON no character of it needs an escape."""
    if encoding == "hex":
        return binascii.b2a_hex(data)
    return binascii.b2a_base64(data, newline=False)


def encode_bytes(encoding: TextEncoding, data: bytes | bytearray | memoryview) -> str:
    """``data`` as base64 (RFC 4648 §4, padded) or lower-case hex."""
    return encode_ascii(encoding, data).decode()


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


def serialize_encoded(encoding: TextEncoding, members: dict[str, Any]) -> bytes:
    """The JSON object of ``members``, of which bytes become text by ``encoding``.

    Such text needs no escapes, so large bytes are not copied as text. ``members`` is emptied: each
    is freed as soon as its text exists.
    """
    pieces = [b"{"]
    for name in list(members):
        pieces += (b"," if len(pieces) > 1 else b"", serialize_json(name), b":")
        if isinstance(members[name], bytes | bytearray):
            pieces += (b'"', encode_ascii(encoding, members.pop(name)), b'"')
        else:
            pieces.append(serialize_json(members.pop(name)))
    pieces.append(b"}")
    return b"".join(pieces)
