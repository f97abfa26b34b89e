"""Request targets with bytes beyond ASCII, as old clients send them, for ``serve``.

The parser of aiohttp (llhttp) refuses such a target. So these bytes are percent-encoded before the
parser reads them. ``request.rel_url`` has the encoded target, by which routes are chosen, and
``request.raw_path`` the original one, for the upstream. The parser alone decides where a request
ends: no byte that separates words, lines or messages is added or removed.

Only a request that begins in a read of its own is changed. One that is sent before the response to
the request before it (pipelining) can get 400, as from aiohttp. An application with its own server
(``certless.setup``) gets what that server accepts.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import quote_from_bytes

from aiohttp import StreamReader, web

from .private_api import wrap_parsers

_Messages: TypeAlias = Sequence[tuple[Any, StreamReader]]

# A longer line is refused by the parser.
_LONGEST_LINE = 16 * 1024
_LINE = re.compile(rb"(?:\r?\n)*[A-Z]+ (/[\x21-\x7e\x80-\xff]*) HTTP/1\.[01]\r?\n")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
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


class _Parser:
    """The parser of one connection."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._held = b""
        self._is_in_head = False
        # The body of the last request.
        self._payload: StreamReader | None = None
        self._original: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[_Messages, bool, bytes]:
        """Requests whose heads are complete, as the parser of aiohttp gives them."""
        if data and not self._is_in_head and (self._payload is None or self._payload.is_eof()):
            data, self._held = self._held + data, b""
            if b"\n" not in data and len(data) <= _LONGEST_LINE:
                self._held = data
                return (), False, b""
            data = self._escaped(data)
            self._is_in_head = True
        messages, is_upgraded, tail = self._parser.feed_data(data)
        if messages:
            self._is_in_head = False
            self._payload = messages[-1][1]
            if self._original is not None:
                (first, payload), *others = messages
                messages = [(first._replace(path=self._original), payload), *others]
                self._original = None
        return messages, is_upgraded, tail

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
