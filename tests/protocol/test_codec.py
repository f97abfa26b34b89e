"""Strict JSON and strict text encodings (PROTOCOL §1.4)."""

import json
from typing import Any

import msgpack
import pytest

from protocol.common.codec import (
    LARGE_BYTES,
    MAX_DEPTH,
    MAX_ENVELOPE_MARKS,
    MAX_INTEGER_CHARS,
    MAX_JSON_MARKS,
    MAX_MSGPACK_PARTS,
    TextEncoding,
    decode_bytes,
    encode_bytes,
    parse_json,
    parse_json_envelope,
    parse_json_object,
    parse_msgpack,
    serialize_encoded,
    serialize_json,
    serialize_msgpack,
)
from protocol.common.errors import MalformedMessage


def refuses(data: bytes) -> bool:
    try:
        parse_json(data)
    except MalformedMessage:
        return True
    return False


def test_depth_is_limited_at_the_edge() -> None:
    value: object = parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(value, list)
        (value,) = value
    assert value == []
    assert refuses(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_depth_counts_objects_and_lists_together() -> None:
    assert refuses(b'{"a":[' * 33 + b"]}" * 33)
    assert not refuses(b'{"a":[' * 32 + b"]}" * 32)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse_json(b"[" + b"[]," * 500 + b"{}]") == [[]] * 500 + [{}]


@pytest.mark.parametrize("text", ["[" * 500, '\\"' + "[" * 500, "\\\\", '{"' * 200, "]" * 500])
def test_brackets_inside_strings_are_not_counted(text: str) -> None:
    data = json.dumps([text, *([[]] * 100)]).encode()
    assert parse_json(data) == json.loads(data)


def test_a_string_that_does_not_end_hides_no_depth() -> None:
    assert refuses(b'["' + b"[" * 100_000)
    assert refuses(b'"\\' + b"[" * 100_000 + b'"' + b"[" * 100_000)
    assert refuses(b"[" * 100_000)
    assert refuses(b'{"a":' * 100_000)


def test_what_is_outside_a_seal_has_few_values() -> None:
    most = b"{" + b",".join(b'"%d":1' % n for n in range(MAX_ENVELOPE_MARKS)) + b"}"
    assert len(parse_json_envelope(most)) == MAX_ENVELOPE_MARKS
    with pytest.raises(MalformedMessage):
        parse_json_envelope(most[:-1] + b',"more":1}')
    with pytest.raises(MalformedMessage):
        parse_json_envelope(b'{"a":[' + b"[]," * 1_000_000 + b"[]]}")


@pytest.mark.parametrize("item", [b"0", b"[]", b'{"":0}', b'"x"'])
def test_no_json_has_more_values_than_the_limit(item: bytes) -> None:
    marks = 1 + item.count(b"[") + item.count(b"{")
    count = (MAX_JSON_MARKS - marks) // marks
    most = b"[" + item + (b"," + item) * count + b"]"
    assert len(parse_json(most)) == count + 1  # type: ignore[arg-type]
    with pytest.raises(MalformedMessage, match="more than 32768"):
        parse_json(most[:-1] + (b"," + item) * 2 + b"]")


@pytest.mark.parametrize("text", [",", "[", '\\",', "\\\\,", '\\\\\\",[{', '"{'])
def test_marks_inside_strings_are_no_values(text: str) -> None:
    data = json.dumps({"name ,[{\\": text * MAX_JSON_MARKS, "b": [1, 2]}).encode()
    assert parse_json(data) == json.loads(data)


def test_more_strings_than_values_have_room_are_not_looked_at() -> None:
    with pytest.raises(MalformedMessage, match="more than 32768"):
        parse_json(b'["",' + b'"x,"' * (2 * MAX_JSON_MARKS + 2) + b"]")


def test_arrays_and_maps_are_counted_as_they_are_made() -> None:
    parts: list[Any] = [[[] for _ in range(127)] for _ in range(7)] + [[{} for _ in range(126)]]
    assert parse_msgpack(serialize_msgpack(parts)) == parts
    assert 1 + sum(1 + len(part) for part in parts) == MAX_MSGPACK_PARTS
    with pytest.raises(MalformedMessage, match="too many"):
        parse_msgpack(serialize_msgpack([*parts, []]))


def test_integers_are_limited_at_the_edge() -> None:
    assert parse_json(b"9" * MAX_INTEGER_CHARS) == 10**MAX_INTEGER_CHARS - 1
    assert refuses(b"9" * (MAX_INTEGER_CHARS + 1))
    assert not refuses(b"-" + b"9" * (MAX_INTEGER_CHARS - 1))
    assert refuses(b"-" + b"9" * MAX_INTEGER_CHARS)
    # Python itself gives up at 4300 digits, with a ValueError of its own.
    assert refuses(b"[" + b"9" * 5000 + b"]")


def test_numbers_that_overflow_are_refused_and_those_that_vanish_are_not() -> None:
    assert refuses(b"1e309")
    assert refuses(b"-1e309")
    assert parse_json(b"1e308") == 1e308
    assert parse_json(b"1e-999") == 0


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'{"a":1,"\\u0061":1}', b'[{"":0,"":0}]'])
def test_a_name_may_not_occur_twice(data: bytes) -> None:
    assert refuses(data)


def test_the_same_name_may_occur_in_different_objects() -> None:
    assert parse_json(b'[{"a":1},{"a":{"a":2}}]') == [{"a": 1}, {"a": {"a": 2}}]


def test_names_differ_as_code_points() -> None:
    data = '{"\u00e9":1,"e\u0301":2}'.encode()
    assert parse_json(data) == {"\u00e9": 1, "e\u0301": 2}


def test_proto_is_refused_as_a_name_only() -> None:
    assert refuses(b'{"a":[{"__proto__":null}]}')
    assert parse_json(b'{"a":"__proto__","__proto":1}') == {"a": "__proto__", "__proto": 1}


def test_half_a_surrogate_pair_is_refused_wherever_it_stands() -> None:
    for data in (b'"\\ud800"', b'"\\udc00\\ud800"', b'{"a":["\\uDFFF"]}', b'{"\\ud800":1}'):
        assert refuses(data)
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001f600"
    # A backslash that is itself escaped begins no escape.
    assert parse_json(b'"\\\\ud800"') == "\\ud800"


def test_bytes_that_are_not_utf8_are_refused() -> None:
    for data in (b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", b"\xfe\xff\x00{"):
        assert refuses(data)


@pytest.mark.parametrize("data", [b"[]", b'"a"', b"1", b"null", b"true"])
def test_an_object_is_asked_for(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="object"):
        parse_json_object(data)


def test_an_object_is_given() -> None:
    assert parse_json_object(b' {"a":{}} ') == {"a": {}}


def test_errors_do_not_quote_the_message() -> None:
    secret = "hunter2"
    for data in (
        f'{{"{secret}":1,"{secret}":2}}'.encode(),
        f'"{secret}'.encode(),
        secret.encode(),
        b'"\xff' + secret.encode(),
    ):
        with pytest.raises(MalformedMessage) as raised:
            parse_json(data)
        assert secret not in str(raised.value)
        assert raised.value.__cause__ is None


def test_serialized_json_is_compact_utf8_and_keeps_order() -> None:
    assert serialize_json({"b": [1, 2.5], "a": "\u00e9"}) == '{"b":[1,2.5],"a":"\u00e9"}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_what_is_not_json_is_not_serialized(value: object) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        serialize_json(value)


LARGE = bytes(LARGE_BYTES + 1)


@pytest.mark.parametrize("value", [LARGE, [1, LARGE], {"a": LARGE, "b": [LARGE, "x", {"c": b""}]}])
def test_large_bytes_have_the_same_msgpack(value: Any) -> None:
    data = serialize_msgpack(value)
    assert data == msgpack.packb(value)
    assert parse_msgpack(data) == value


def test_large_msgpack_must_be_the_shortest_too() -> None:
    longer = b"\xcc\x01"  # 1, in two bytes
    for data in (
        b"\x92" + longer + serialize_msgpack(LARGE),
        b"\x92" + serialize_msgpack(LARGE) + longer,
        b"\x82\xa1a" + serialize_msgpack(LARGE) + b"\xa1a" + serialize_msgpack(LARGE),
    ):
        with pytest.raises(MalformedMessage):
            parse_msgpack(data)


@pytest.mark.parametrize("encoding", ["base64", "hex"])
@pytest.mark.parametrize("data", [b"", bytearray(b"ab"), LARGE])
def test_bytes_in_json_are_their_text(encoding: TextEncoding, data: bytes) -> None:
    members = {'the "data"': data, "n": 1, "text": "\u00e9\n"}
    expected = {**members, 'the "data"': encode_bytes(encoding, data)}
    assert serialize_encoded(encoding, members) == serialize_json(expected)
    assert not members
    assert serialize_encoded(encoding, {}) == b"{}"


@pytest.mark.parametrize("encoding", ["base64", "hex"])
@pytest.mark.parametrize("data", [b"", b"\0", b"ab", b"\xff" * 33])
def test_bytes_and_text_are_one_to_one(encoding: TextEncoding, data: bytes) -> None:
    assert decode_bytes(encoding, encode_bytes(encoding, data)) == data


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("base64", "YQ"),
        ("base64", "YQ="),
        ("base64", "YQ==="),
        ("base64", "YQ==YQ=="),
        ("base64", "YR=="),
        ("base64", "Y Q=="),
        ("base64", "YQ==\n"),
        ("base64", "\nYQ=="),
        ("base64", "Y*Q=="),
        ("base64", "_-8="),
        ("base64", "="),
        ("base64", "\u0661Q=="),
        ("base64", "\ud800Q=="),
        ("hex", "6"),
        ("hex", "6A"),
        ("hex", "6a "),
        ("hex", "6a 6a"),
        ("hex", "0x6a"),
        ("hex", "6g"),
        ("hex", "\uff16\uff11"),
        ("hex", "\ud800"),
    ],
)
def test_any_other_spelling_stands_for_nothing(encoding: TextEncoding, text: str) -> None:
    assert decode_bytes(encoding, text) is None
