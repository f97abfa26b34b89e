"""The classic messages, and the HTTP messages inside all suites (PROTOCOL §1.8, §3.3 to §3.5).

``parse`` turns an outer JSON object into a value or raises MalformedMessage. ``serialize`` returns
the object. The names of the members are data (``FieldNames``), because they differ between the
Node programs that speak this protocol. The module is long because it holds every message of part
3.
"""

import re
from codecs import utf_8_decode
from dataclasses import dataclass
from typing import Self, TypeAlias
from urllib.parse import quote

from .codec import (
    LARGE_BYTES,
    JsonObject,
    JsonValue,
    MsgpackValue,
    decode_bytes,
    encode_ascii,
    encode_bytes,
    serialize_json,
)
from .errors import MalformedMessage

FieldLines: TypeAlias = tuple[tuple[str, str], ...]

MAX_TARGET_CHARS = 8192
MAX_METHOD_CHARS = 64
MAX_HEADERS = 128
MAX_HEADER_CHARS = 65_536

_HTTP_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_ESCAPED_IN_TWO = b'"\\\t\n\r'
# Backslashes come first, because the others bring backslashes.
_ESCAPES = (
    (b"\\", b"\\\\"),
    (b'"', b'\\"'),
    (b"\t", b"\\t"),
    (b"\n", b"\\n"),
    (b"\r", b"\\r"),
)
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_TARGET = re.compile(r"/(?!/)[^\x00-\x20\x7f#\\]*")
_PRINTABLE = bytes(range(0x21, 0x7F))
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})


@dataclass(frozen=True, slots=True)
class FieldNames:
    """The names of members on the wire. A dialect can change each of them."""

    username: str = "username"
    token: str = "token"
    key: str = "key"
    payload: str = "payload"
    iv: str = "iv"
    public_key: str = "publicKey"
    timestamp: str = "timestamp"
    nonce: str = "nonce"
    password: str = "password"
    request: str = "request"
    response: str = "response"


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise MalformedMessage(f"member {name!r} must be a string")
    return value


def _optional_text(members: JsonObject, name: str) -> str | None:
    return _text(members, name) if members.get(name) is not None else None


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Client to server: the username, in plaintext (PROTOCOL §3.3.1)."""

    username: str

    @classmethod
    def parse(cls, members: JsonObject, names: FieldNames) -> Self:
        return cls(_text(members, names.username))

    def serialize(self, names: FieldNames) -> JsonObject:
        return {names.username: self.username}


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """Server to client: the token of the future session (PROTOCOL §3.3.1)."""

    token: str

    @classmethod
    def parse(cls, members: JsonObject, names: FieldNames) -> Self:
        return cls(_text(members, names.token))

    def serialize(self, names: FieldNames) -> JsonObject:
        return {names.token: self.token}


@dataclass(frozen=True, slots=True)
class AuthenticateRequest:
    """Client to server: a payload under the code, still encoded (PROTOCOL §3.3.2)."""

    token: str
    payload: str
    iv: str | None = None

    @classmethod
    def parse(cls, members: JsonObject, names: FieldNames) -> Self:
        return cls(
            _text(members, names.token),
            _text(members, names.payload),
            _optional_text(members, names.iv),
        )

    def serialize(self, names: FieldNames) -> JsonObject:
        members: JsonObject = {names.token: self.token, names.payload: self.payload}
        return members if self.iv is None else {**members, names.iv: self.iv}


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A wrapped passphrase and the payload under it, still encoded (PROTOCOL §3.4)."""

    key: str
    payload: str
    iv: str | None = None

    @classmethod
    def parse(cls, members: JsonObject, names: FieldNames) -> Self:
        return cls(
            _text(members, names.key),
            _text(members, names.payload),
            _optional_text(members, names.iv),
        )

    def serialize(self, names: FieldNames) -> JsonObject:
        members: JsonObject = {names.key: self.key, names.payload: self.payload}
        return members if self.iv is None else {**members, names.iv: self.iv}


@dataclass(frozen=True, slots=True)
class SealedRequest:
    """Client to server: the session's token and a sealed message (PROTOCOL §3.4)."""

    token: str
    sealed: SealedMessage

    @classmethod
    def parse(cls, members: JsonObject, names: FieldNames) -> Self:
        return cls(_text(members, names.token), SealedMessage.parse(members, names))

    def serialize(self, names: FieldNames) -> JsonObject:
        return {names.token: self.token, **self.sealed.serialize(names)}


def _headers(value: JsonValue) -> tuple[tuple[str, str], ...]:
    """Checked header fields in order, from an object or a list of pairs."""
    if value is None:
        return ()
    pairs: list[JsonValue] = (
        [[name, text] for name, text in value.items()] if isinstance(value, dict) else []
    )
    if isinstance(value, list):
        pairs = value
    elif not isinstance(value, dict):
        raise MalformedMessage("headers must be an object or a list of pairs")
    return _header_pairs(pairs)


def _header_pairs(pairs: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(pairs, list) or len(pairs) > MAX_HEADERS:
        raise MalformedMessage("headers must be a list, and not too many")
    checked = []
    left = MAX_HEADER_CHARS
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise MalformedMessage("a header must be a pair of name and value")
        name, text = pair
        if not isinstance(name, str) or not isinstance(text, str):
            raise MalformedMessage("a header's name and value must be strings")
        left -= len(name) + len(text)
        if left < 0:
            raise MalformedMessage(f"headers have more than {MAX_HEADER_CHARS} characters")
        if not _HTTP_TOKEN.fullmatch(name):
            raise MalformedMessage("a header name is not valid")
        if not _HEADER_VALUE.fullmatch(text):
            raise MalformedMessage("a header value is not valid")
        checked.append((name, text))
    return tuple(checked)


def parse_field_lines(pairs: object) -> tuple[tuple[str, str], ...]:
    """Header fields whose values are bytes, as text of U+0000 to U+00FF: a list of pairs.

    Raises: MalformedMessage.
    """
    checked = _header_pairs(pairs)
    check_field_bytes(checked)
    return checked


def check_field_bytes(headers: FieldLines) -> None:
    """Raises: MalformedMessage, if a value is not text of U+0000 to U+00FF."""
    if any(char > "\xff" for _, value in headers for char in value):
        raise MalformedMessage("a header value holds a character above U+00FF")


def is_token(text: str) -> bool:
    """Whether ``text`` is a token of HTTP (RFC 9110 §5.6.2)."""
    return _HTTP_TOKEN.fullmatch(text) is not None


def parse_status(value: object) -> int:
    """The status of a whole response, 200 to 599. Raises: MalformedMessage."""
    if type(value) is not int or not 200 <= value <= 599:
        raise MalformedMessage("status must be from 200 to 599")
    return value


def _pairs_of(headers: tuple[tuple[str, str], ...]) -> list[MsgpackValue]:
    return [[name, text] for name, text in headers]


def parse_request_line(method: object, target: object) -> tuple[str, str]:
    """The checked method in upper case, and the checked target percent-encoded.

    Raises: MalformedMessage.
    """
    if not isinstance(method, str) or not isinstance(target, str):
        raise MalformedMessage("method and target must be strings")
    if len(method) > MAX_METHOD_CHARS or not _HTTP_TOKEN.fullmatch(method):
        raise MalformedMessage("method is not valid")
    if method.upper() in _REFUSED_METHODS:
        raise MalformedMessage("method is not valid")
    if len(target) > MAX_TARGET_CHARS or not _TARGET.fullmatch(target):
        raise MalformedMessage("path must start with one slash and hold no space or #")
    # Characters beyond ASCII are percent-encoded as UTF-8. All others stay as they are.
    return method.upper(), target if target.isascii() else quote(target, safe=_PRINTABLE)


def _body(members: JsonObject) -> tuple[bytes, bool]:
    """The bytes of a body, and whether the body is a JSON value."""
    body, encoding = members.get("body"), members.get("encoding")
    if encoding not in (None, "utf8", "base64"):
        raise MalformedMessage("encoding must be utf8 or base64")
    if body is None:
        return b"", False
    if encoding == "base64":
        if not isinstance(body, str):
            raise MalformedMessage("a base64 body must be a string")
        raw = decode_bytes("base64", body)
        if raw is None:
            raise MalformedMessage("body is not base64")
        return raw, False
    if isinstance(body, str):
        return body.encode(), False
    return serialize_json(body), True


def _is_text(body: bytes) -> bool:
    """Whether ``body`` is text that is shorter as text in JSON than as base64.

    JSON takes six characters for a control character, and two for quotes, backslashes, tabs and
    line ends. If a third of a body takes two, or any character takes six, base64 is shorter (in
    the latter case nearly always).
    """
    if len(body.translate(None, _CONTROLS)) < len(body):
        return False
    longer = len(body) - len(body.translate(None, _ESCAPED_IN_TWO))
    if longer * 3 > len(body):
        return False
    return body.isascii() or _is_utf8(body)


def _is_utf8(body: bytes) -> bool:
    """Whether ``body`` is UTF-8. In pieces, because text can take four times as much memory."""
    view, end = memoryview(body), 0
    try:
        while end < len(body):
            last = end + LARGE_BYTES >= len(body)
            end += utf_8_decode(view[end : end + LARGE_BYTES], "strict", last)[1]
    except UnicodeDecodeError:
        return False
    return True


def _body_members(body: bytes) -> JsonObject:
    if _is_text(body):
        return {"body": body.decode()}
    return {"body": encode_bytes("base64", body), "encoding": "base64"}


def _body_pieces(body: bytes) -> tuple[bytes, ...]:
    """The JSON of ``_body_members`` at the end of an object, without a copy as text."""
    if not _is_text(body):
        return b',"body":"', encode_ascii("base64", body), b'","encoding":"base64"}'
    for char, escaped in _ESCAPES:
        body = body.replace(char, escaped)
    return b',"body":"', body, b'"}'


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The HTTP request inside a sealed message (PROTOCOL §1.8).

    ``target`` is in origin form (path and query, ASCII). ``headers`` are pairs in order.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, value: JsonValue) -> Self:
        """From the JSON of the classic suite. Raises: MalformedMessage."""
        if not isinstance(value, dict):
            raise MalformedMessage("request must be an object")
        method, target = parse_request_line(
            _text(value, "method") if "method" in value else "GET", _text(value, "path")
        )
        headers = _headers(value.get("headers"))
        body, is_json = _body(value)
        if is_json and not any(name.lower() == "content-type" for name, _ in headers):
            headers += (("Content-Type", "application/json"),)
        return cls(method, target, headers, body)

    @classmethod
    def parse_array(cls, value: MsgpackValue) -> Self:
        """As the hardened suites write it (§2.6.3). Raises: MalformedMessage."""
        if not isinstance(value, list) or len(value) != 4:
            raise MalformedMessage("a request is method, target, headers and body")
        method, target, headers, body = value
        if not isinstance(body, bytes):
            raise MalformedMessage("a body must be bytes")
        return cls(*parse_request_line(method, target), _header_pairs(headers), body)

    def to_array(self) -> list[MsgpackValue]:
        return [self.method, self.target, _pairs_of(self.headers), self.body]

    def serialize(self) -> JsonObject:
        return {
            "method": self.method,
            "path": self.target,
            "headers": [[name, text] for name, text in self.headers],
            **_body_members(self.body),
        }


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The HTTP response inside a sealed message (PROTOCOL §1.8)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, value: JsonValue) -> Self:
        """From the JSON of the classic suite. Raises: MalformedMessage."""
        if not isinstance(value, dict):
            raise MalformedMessage("response must be an object")
        status = parse_status(value.get("status"))
        return cls(status, _headers(value.get("headers")), _body(value)[0])

    @classmethod
    def parse_array(cls, value: MsgpackValue) -> Self:
        """As the hardened suites write it (§2.6.3). Raises: MalformedMessage."""
        if not isinstance(value, list) or len(value) != 3:
            raise MalformedMessage("a response is status, headers and body")
        status, headers, body = value
        if not isinstance(body, bytes):
            raise MalformedMessage("a body must be bytes")
        return cls(parse_status(status), _header_pairs(headers), body)

    def to_array(self) -> list[MsgpackValue]:
        return [self.status, _pairs_of(self.headers), self.body]

    def serialize(self) -> JsonObject:
        return {**self._head(), **_body_members(self.body)}

    def json_in(self, members: JsonObject, name: str) -> bytes:
        """The JSON of ``members`` and ``serialize`` as the last of them, called ``name``.

        A large body is copied once, and once more if it needs escapes.
        """
        start = serialize_json({**members, name: self._head()})[:-2]
        return b"".join((start, *_body_pieces(self.body), b"}"))

    def _head(self) -> JsonObject:
        headers: list[JsonValue] = [[name, text] for name, text in self.headers]
        return {"status": self.status, "headers": headers}
