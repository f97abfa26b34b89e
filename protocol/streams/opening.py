"""How a stream is opened: what is inside the envelopes, and the keys (PROTOCOL, "Streams").

::

    stream request   [method, target, headers, length, record_bytes]   kind 4, client
    stream grant     {"stream", "record_bytes"}                        kind 5, server
    socket request   [target, headers, protocols, record_bytes]        kind 6, client

A grant answers a stream request or, where a request offered it, a plain request: then the records
of the response follow it. The keys of both directions come from the inputs of the grant's own
message key, under a label of their own.
"""

import re
from dataclasses import dataclass
from typing import Self

from protocol.common.codec import MsgpackValue, parse_msgpack, serialize_msgpack
from protocol.common.envelopes import Members, serialize_members
from protocol.common.errors import MalformedMessage
from protocol.common.messages import (
    FieldLines,
    check_field_bytes,
    is_token,
    parse_field_lines,
    parse_request_line,
)

from .bodies import length_value, parse_length
from .records import LEAST_RECORD_BYTES, MOST_RECORD_BYTES, STREAM_ID_BYTES

OFFER_FIELD = "certless-stream"
MAX_PROTOCOLS = 32
MAX_PROTOCOL_CHARS = 256
# The offer of a client that takes no stream. Its header values are bytes all the same.
NO_STREAM = 0
_LIMIT = re.compile(r"0|[0-9]{4,5}")


def parse_record_limit(value: object) -> int:
    """The longest record that a receiver takes, in sealed bytes. Raises: MalformedMessage."""
    if type(value) is not int or not LEAST_RECORD_BYTES <= value <= MOST_RECORD_BYTES:
        raise MalformedMessage(
            f"a record limit is from {LEAST_RECORD_BYTES} to {MOST_RECORD_BYTES} bytes"
        )
    return value


def stream_offer(headers: FieldLines) -> int | None:
    """The record limit of a client that takes a stream as the response, NO_STREAM, or None.

    Raises: MalformedMessage, for an offer that is none, and for values that are no bytes: with an
    offer, header values of the request and its response are text of U+0000 to U+00FF.
    """
    offers = [value for name, value in headers if name.lower() == OFFER_FIELD]
    if not offers:
        return None
    if len(offers) > 1 or not _LIMIT.fullmatch(offers[0]):
        raise MalformedMessage("Certless-Stream must be one number")
    check_field_bytes(headers)
    return NO_STREAM if offers[0] == "0" else parse_record_limit(int(offers[0]))


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A request whose body follows as records. ``length`` is that of the body, None if unknown."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    length: int | None
    record_bytes: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: MalformedMessage."""
        value = parse_msgpack(data)
        if not isinstance(value, list) or len(value) != 5:
            raise MalformedMessage(
                "a stream request is method, target, headers, length and record_bytes"
            )
        method, target, headers, length, record_bytes = value
        return cls(
            *parse_request_line(method, target),
            parse_field_lines(headers),
            parse_length(length),
            parse_record_limit(record_bytes),
        )

    def serialize(self) -> bytes:
        pairs: list[MsgpackValue] = [[name, value] for name, value in self.headers]
        return serialize_msgpack(
            [self.method, self.target, pairs, length_value(self.length), self.record_bytes]
        )


def parse_protocols(value: object) -> tuple[str, ...]:
    """The subprotocols of a client: tokens of HTTP, each once. Raises: MalformedMessage."""
    if not isinstance(value, list) or len(value) > MAX_PROTOCOLS:
        raise MalformedMessage(f"subprotocols are a list of at most {MAX_PROTOCOLS}")
    checked = []
    for name in value:
        if not isinstance(name, str) or len(name) > MAX_PROTOCOL_CHARS or not is_token(name):
            raise MalformedMessage("a subprotocol is a token of HTTP")
        checked.append(name)
    if len(set(checked)) < len(checked):
        raise MalformedMessage("a subprotocol is named twice")
    return tuple(checked)


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """A request for a WebSocket. The method is always GET."""

    target: str
    headers: tuple[tuple[str, str], ...]
    protocols: tuple[str, ...]
    record_bytes: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: MalformedMessage."""
        value = parse_msgpack(data)
        if not isinstance(value, list) or len(value) != 4:
            raise MalformedMessage(
                "a socket request is target, headers, protocols and record_bytes"
            )
        target, headers, protocols, record_bytes = value
        return cls(
            parse_request_line("GET", target)[1],
            parse_field_lines(headers),
            parse_protocols(protocols),
            parse_record_limit(record_bytes),
        )

    def serialize(self) -> bytes:
        pairs: list[MsgpackValue] = [[name, value] for name, value in self.headers]
        return serialize_msgpack([self.target, pairs, list(self.protocols), self.record_bytes])


@dataclass(frozen=True, slots=True)
class StreamGrant:
    """The server's consent: the stream's id (16 bytes), and the longest record that it takes."""

    stream_id: bytes
    record_bytes: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: MalformedMessage."""
        inside = Members.parse("msgpack", data)
        stream_id = inside.raw("stream", STREAM_ID_BYTES)
        record_bytes = parse_record_limit(inside.number("record_bytes", MOST_RECORD_BYTES))
        inside.end()
        return cls(stream_id, record_bytes)

    def serialize(self) -> bytes:
        return serialize_members(
            "msgpack", {"stream": self.stream_id, "record_bytes": self.record_bytes}
        )
