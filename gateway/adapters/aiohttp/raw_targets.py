"""Request targets with bytes beyond ASCII, as old clients send them, for ``serve``.

The parser of aiohttp (llhttp) refuses such a target. So these bytes are percent-encoded before the
parser reads them. ``request.rel_url`` has the encoded target, by which routes are chosen, and
``request.raw_path`` the original one, for the upstream. The parser alone decides where a request
ends: no byte that separates words, lines or messages is added or removed.

Only a read with which a request certainly begins is changed. Otherwise the changed bytes could be
in a body. The body would then be longer than its Content-Length, and its end would be read as
another request. So after a chunked body, or after a read with parts of two requests (pipelining), a
connection gets 400 for such a target, as from aiohttp. An application with its own server
(``certless.setup``) gets what that server accepts.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote_from_bytes

from aiohttp import StreamReader, hdrs, web

from .private_api import wrap_parsers

_Messages: TypeAlias = Sequence[tuple[Any, StreamReader]]

# A longer line is refused by the parser.
_LONGEST_LINE = 16 * 1024
_LINE = re.compile(rb"(?:\r?\n)*[A-Z]+ (/[\x21-\x7e\x80-\xff]*) HTTP/1\.[01]\r?\n")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
# Latin-1 reads these bytes as white space. A program that splits the line at white space would read
# a shorter path than the one that was checked.
_SPACES = re.compile(rb"[\x85\xa0]")


def accept_raw_targets(server: web.Server) -> None:
    """Let ``server``, which does not listen yet, take such targets."""
    wrap_parsers(server, _Parser)


def escaped(target: str) -> str:
    """``target`` with the bytes beyond ASCII percent-encoded."""
    if target.isascii():
        return target
    return quote_from_bytes(target.encode("utf-8", "surrogateescape"), safe=_ASCII)


def raw_target(request: web.Request) -> str:
    """Path and query as the client wrote them. aiohttp drops a "?" without a query."""
    written = request.raw_path.partition("#")[0]
    checked = request.rel_url.raw_path_qs
    return written if escaped(written) in (checked, f"{checked}?") else checked


def _body_bytes(headers: Mapping[str, str]) -> int:
    """The length of a body by its header; one that no body has if it is chunked."""
    if hdrs.TRANSFER_ENCODING in headers:
        return -1
    length = headers.get(hdrs.CONTENT_LENGTH, "0")
    return int(length) if length.isascii() and length.isdigit() else -1


class _Parser:
    """The parser of one connection."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._held = b""
        self._original: str | None = None
        # The next byte is the first one of a request.
        self._is_at_start = True
        # The head of this request, and all bytes that were read with it.
        self._head = bytearray()
        # The body of this request, and the number of its bytes that are still to be read.
        self._payload: StreamReader | None = None
        self._left = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._parser, name)
        if callable(found):
            # Methods are kept, because aiohttp asks for them again for each request.
            self.__dict__[name] = found
        return found

    def feed_data(self, data: bytes) -> tuple[_Messages, bool, bytes]:
        """Requests whose heads are complete, as the parser of aiohttp gives them."""
        if data and self._is_at_start:
            if self._held:
                data, self._held = self._held + data, b""
            if b"\n" not in data and len(data) <= _LONGEST_LINE:
                self._held = data
                return (), False, b""
            data = self._escaped(data)
            self._is_at_start = False
            self._payload = None
        messages, is_upgraded, tail = self._parser.feed_data(data)
        self._follow(data, messages)
        if messages and self._original is not None:
            (first, payload), *others = messages
            messages = [(first._replace(path=self._original), payload), *others]
            self._original = None
        return messages, is_upgraded, tail

    def _follow(self, data: bytes, messages: _Messages) -> None:
        """Set ``_is_at_start``: the request is complete, and nothing of the next one was read."""
        if self._payload is not None:
            self._left -= len(data)
        else:
            if not messages:
                self._head += data
                return
            head = self._head + data if self._head else data
            message, self._payload = messages[0]
            # The head ends here or later. If it ends later, more bytes come than are expected, and
            # the connection has no certain start any more.
            blank_line = _BLANK_LINE.search(head)
            head_bytes = blank_line.end() if blank_line else 0
            self._left = head_bytes + _body_bytes(message.headers) - len(head)
            self._head.clear()
        self._is_at_start = self._left == 0 and self._payload.is_eof()

    def _escaped(self, data: bytes) -> bytes:
        found = None if data.isascii() else _LINE.match(data)
        if found is None or found[1].isascii():
            return data
        path, mark, query = found[1].partition(b"?")
        if _SPACES.search(path):
            path = quote_from_bytes(path, safe=_ASCII).encode()
        self._original = (path + mark + query).decode("utf-8", "surrogateescape")
        target = quote_from_bytes(found[1], safe=_ASCII).encode()
        return data[: found.start(1)] + target + data[found.end(1) :]
