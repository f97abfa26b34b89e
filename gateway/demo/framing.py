"""Finds where HTTP/1 messages begin and end in a stream of bytes (RFC 9112 §6), for a listener.

It validates and refuses nothing: client and server do that. Bytes that it cannot parse belong to
the current message until the connection ends.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

# Longer than any head that aiohttp accepts.
MAX_HEAD_BYTES = 64 * 1024

_LENGTH = b"content-length"
_CODING = b"transfer-encoding"
_BODILESS = (b"204", b"304")


@dataclass(frozen=True, slots=True)
class Head:
    """The first line, and the headers by lower-case name; of equal names the last one."""

    first_line: bytes
    headers: Mapping[bytes, bytes]

    def word(self, place: int) -> bytes:
        """A word of the first line, or nothing: 0 is a request's method, 1 a response's status."""
        return dict(enumerate(self.first_line.split())).get(place, b"")


class End(Enum):
    """The message is complete."""

    END = "end"


# Bytes of the message, its head when complete, its end; None means that more bytes are needed.
Event: TypeAlias = bytes | Head | End
_Steps: TypeAlias = Generator[Event | None, None, None]


class Stream:
    """One direction of a connection."""

    def __init__(self, is_answer_to_head: Callable[[], bool] | None = None) -> None:
        """``is_answer_to_head`` says if a response answers HEAD; for requests it is None."""
        self._is_answer_to_head = is_answer_to_head
        self._waiting = b""
        self._steps = self._follow()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Parse the next bytes, in pieces of any size. Every byte is returned exactly once."""
        self._waiting += data
        while (event := next(self._steps)) is not None:
            yield event

    def _follow(self) -> _Steps:
        try:
            while True:
                head = yield from self._head()
                yield head
                if self._is_interim(head):
                    continue
                if self._has_body(head):
                    yield from self._body(head.headers)
                yield End.END
        except ValueError:
            while True:
                yield from self._something()
                yield from self._take(len(self._waiting))

    def _is_interim(self, head: Head) -> bool:
        """Whether it is an interim response (1xx), which belongs to the final one."""
        return self._is_answer_to_head is not None and head.word(1).startswith(b"1")

    def _has_body(self, head: Head) -> bool:
        return self._is_answer_to_head is None or not (
            self._is_answer_to_head() or head.word(1) in _BODILESS
        )

    def _body(self, headers: Mapping[bytes, bytes]) -> _Steps:
        if b"chunked" in headers.get(_CODING, b"").lower():
            while size := int((yield from self._line()).partition(b";")[0], 16):
                yield from self._exactly(size + len(b"\r\n"))
            while (yield from self._line()).strip():
                pass
        elif self._is_answer_to_head and _LENGTH not in headers:
            raise ValueError("the body lasts until the connection ends")
        else:
            yield from self._exactly(int(headers.get(_LENGTH, b"0")))

    def _head(self) -> Generator[Event | None, None, Head]:
        first_line = b""
        while not first_line.strip():
            first_line = yield from self._line()
        headers: dict[bytes, bytes] = {}
        size = len(first_line)
        while (line := (yield from self._line())).strip():
            size += len(line)
            if size > MAX_HEAD_BYTES:
                raise ValueError("the head is too long")
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        return Head(first_line.strip(), headers)

    def _line(self) -> Generator[Event | None, None, bytes]:
        line = b""
        while not line.endswith(b"\n"):
            yield from self._something()
            line += yield from self._take(self._waiting.find(b"\n") + 1 or len(self._waiting))
            if len(line) > MAX_HEAD_BYTES:
                raise ValueError("the line is too long")
        return line

    def _exactly(self, count: int) -> _Steps:
        while count > 0:
            yield from self._something()
            count -= len((yield from self._take(count)))

    def _something(self) -> _Steps:
        while not self._waiting:
            yield None

    def _take(self, count: int) -> Generator[Event | None, None, bytes]:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        yield taken
        return taken
