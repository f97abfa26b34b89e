"""Messages on the wire (PROTOCOL §3.3 to §3.6). spec/vectors has the single faults."""

from dataclasses import FrozenInstanceError, fields

import pytest

from protocol.common.codec import LARGE_BYTES, JsonObject, JsonValue, serialize_json
from protocol.common.errors import MalformedMessage
from protocol.common.messages import (
    MAX_HEADER_CHARS,
    MAX_HEADERS,
    MAX_METHOD_CHARS,
    AuthenticateRequest,
    FieldNames,
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SealedRequest,
    SessionGrant,
    SessionRequest,
)

NAMES = FieldNames()
OWN_NAMES = FieldNames(**{f.name: f"x-{f.name}" for f in fields(FieldNames)})


@pytest.mark.parametrize("names", [NAMES, OWN_NAMES])
@pytest.mark.parametrize("iv", [None, "0123456789abcdef"])
def test_every_message_comes_back_as_it_was(names: FieldNames, iv: str | None) -> None:
    sealed = SealedMessage("key", "payload", iv)
    request = SessionRequest("ada")
    assert SessionRequest.parse(request.serialize(names), names) == request
    grant = SessionGrant("token")
    assert SessionGrant.parse(grant.serialize(names), names) == grant
    login = AuthenticateRequest("token", "payload", iv)
    assert AuthenticateRequest.parse(login.serialize(names), names) == login
    assert SealedMessage.parse(sealed.serialize(names), names) == sealed
    whole = SealedRequest("token", sealed)
    assert SealedRequest.parse(whole.serialize(names), names) == whole


def test_an_iv_that_is_not_there_is_not_written() -> None:
    assert SealedMessage("k", "p").serialize(NAMES) == {"key": "k", "payload": "p"}
    assert AuthenticateRequest("t", "p").serialize(NAMES) == {"token": "t", "payload": "p"}


def test_the_names_of_the_dialect_are_the_names_on_the_wire() -> None:
    own = SealedRequest("t", SealedMessage("k", "p", "i")).serialize(OWN_NAMES)
    assert own == {"x-token": "t", "x-key": "k", "x-payload": "p", "x-iv": "i"}
    with pytest.raises(MalformedMessage):
        SealedRequest.parse(own, NAMES)


def test_members_that_nobody_asked_for_are_ignored() -> None:
    assert SessionRequest.parse({"username": "ada", "admin": True}, NAMES) == SessionRequest("ada")


def test_an_error_names_the_member_and_not_its_value() -> None:
    with pytest.raises(MalformedMessage, match="'token'") as raised:
        SealedRequest.parse({"token": ["hunter2"], "key": "k", "payload": "p"}, NAMES)
    assert "hunter2" not in str(raised.value)


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SessionRequest("ada").username = "eve"  # type: ignore[misc]


@pytest.mark.parametrize("body", [b"", b"text \xc3\xa9", b"\xff\x00", "\ufeffx".encode()])
def test_an_http_request_comes_back_as_it_was(body: bytes) -> None:
    request = HttpRequest("POST", "/a?b=%20", (("X-A", "1"), ("x-a", "2\t\u00e9")), body)
    assert HttpRequest.parse(request.serialize()) == request


@pytest.mark.parametrize("status", [200, 204, 404, 599])
def test_an_http_response_comes_back_as_it_was(status: int) -> None:
    response = HttpResponse(status, (("Set-Cookie", "a"), ("Set-Cookie", "b")), b"\xff")
    assert HttpResponse.parse(response.serialize()) == response


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"status": None},
        {"status": 100},
        {"status": 200.0},
        {"status": True},
        {"status": 200, "headers": 1},
        {"status": 200, "body": "*", "encoding": "base64"},
    ],
)
def test_what_is_no_response_is_refused(value: JsonValue) -> None:
    with pytest.raises(MalformedMessage):
        HttpResponse.parse(value)


def test_a_text_body_is_taken_as_it_is_and_a_value_becomes_json() -> None:
    assert HttpRequest.parse({"path": "/", "body": '{"a": 1}'}).body == b'{"a": 1}'
    request = HttpRequest.parse({"path": "/", "body": [0, "\u00e9"]})
    assert (request.body, request.headers) == (
        '[0,"\u00e9"]'.encode(),
        (("Content-Type", "application/json"),),
    )
    # A value is JSON also where the sender says utf8, which is about text.
    assert HttpRequest.parse({"path": "/", "body": 0, "encoding": "utf8"}).body == b"0"


def test_a_null_body_is_none() -> None:
    request = HttpRequest.parse({"path": "/", "body": None, "encoding": "base64"})
    assert (request.body, request.headers) == (b"", ())


def test_methods_are_written_in_capitals() -> None:
    assert HttpRequest.parse({"path": "/", "method": "patch"}).method == "PATCH"
    assert HttpRequest.parse({"path": "/", "method": "m-search"}).method == "M-SEARCH"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/%41%zz%", "/%41%zz%"),
        ("/a;b=c,d/@:!$&'()*+~[]", "/a;b=c,d/@:!$&'()*+~[]"),
        ('/"<>`{|}^', '/"<>`{|}^'),
        ("/\u0085\u2028", "/%C2%85%E2%80%A8"),
        ("/a//b", "/a//b"),
        ("/?//x", "/?//x"),
    ],
)
def test_a_target_is_ascii_and_otherwise_as_it_came(path: str, target: str) -> None:
    assert HttpRequest.parse({"path": path}).target == target


def test_as_many_headers_as_the_limit() -> None:
    pairs: list[JsonValue] = [["X", "y"]] * MAX_HEADERS
    assert len(HttpRequest.parse({"path": "/", "headers": pairs}).headers) == MAX_HEADERS
    with pytest.raises(MalformedMessage, match="too many"):
        HttpRequest.parse({"path": "/", "headers": [*pairs, ["X", "y"]]})


@pytest.mark.parametrize("escaped", ['"', "\\", "\n", "\r", "\t"])
def test_a_body_travels_in_its_shorter_form(escaped: str) -> None:
    for count, encoding in ((100, None), (101, "base64")):
        body = (escaped * count).ljust(300, "x").encode()
        response = HttpResponse(200, (), body)
        assert response.serialize().get("encoding") == encoding
        assert HttpResponse.parse(response.serialize()) == response


def test_headers_as_long_as_the_limit() -> None:
    longest = [["X", "\u00e9" * (MAX_HEADER_CHARS - 3)], ["Y", "y"]]
    assert len(HttpRequest.parse({"path": "/", "headers": longest}).headers) == 2  # type: ignore[dict-item]
    longest[1][1] = "yy"
    with pytest.raises(MalformedMessage, match="more than 65536 characters"):
        HttpRequest.parse({"path": "/", "headers": longest})  # type: ignore[dict-item]


def test_a_method_as_long_as_the_limit() -> None:
    assert HttpRequest.parse({"path": "/", "method": "m" * MAX_METHOD_CHARS}).method == "M" * 64
    with pytest.raises(MalformedMessage, match="method"):
        HttpRequest.parse({"path": "/", "method": "M" * (MAX_METHOD_CHARS + 1)})


def test_headers_of_null_are_none() -> None:
    assert HttpRequest.parse({"path": "/", "headers": None}).headers == ()


TWO_BYTES = "\u00e9".encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain",
        b'"\\\t\n\r and enough other text',
        b'{"a":"\\n"}' + bytes(range(0x20, 0x7F)) * 3,
        b"\x7f",
        b"\0",
        b'"' * 9,
        TWO_BYTES,
        TWO_BYTES[:1],
        b"a" * (LARGE_BYTES - 1) + TWO_BYTES,
        b"a" * (LARGE_BYTES - 1) + TWO_BYTES[:1],
        b"a" * (LARGE_BYTES - 1) + TWO_BYTES[:1] + b"a",
        TWO_BYTES * LARGE_BYTES,
    ],
    ids=range(13),
)
def test_a_response_is_written_as_json_would_write_it(body: bytes) -> None:
    response = HttpResponse(200, (("X-A", '"'),), body)
    members: JsonObject = {"n": "x"}
    whole: JsonObject = {**members, "the response": response.serialize()}
    assert response.json_in(members, "the response") == serialize_json(whole)
    assert HttpResponse.parse(whole["the response"]) == response
