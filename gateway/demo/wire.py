"""The bytes that went over the gateway's socket, as the tap recorded them, for the page.

It keeps the last exchanges, long ones without their middle. Each client sees only the exchanges of
its own address. It is only for the demo: plain requests are kept in readable form.
"""

import secrets
import time
from base64 import b64encode
from collections import deque
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.pages import headers

from .news import News

MAX_EXCHANGES = 100
# The number of bytes that are kept of each direction.
START_BYTES = 4096
END_BYTES = 1024


class Excerpt:
    """The size of one direction, its start and its end."""

    def __init__(self) -> None:
        self.size = 0
        self.start = b""
        self.end = b""

    def add(self, data: bytes) -> None:
        """Add ``data``."""
        self.size += len(data)
        left = START_BYTES - len(self.start)
        self.start += data[:left]
        self.end = (self.end + data[left:][-END_BYTES:])[-END_BYTES:]

    def as_json(self) -> dict[str, Any]:
        """``start_b64`` and ``end_b64`` are all bytes, unless ``size`` is more than both."""
        return {
            "size": self.size,
            "start_b64": b64encode(self.start).decode(),
            "end_b64": b64encode(self.end).decode(),
        }


class Exchange:
    """A request and its response, as bytes. ``id`` is unique; ``when`` is its start, in UTC."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.when = datetime.now(UTC)
        self.took_ms = 0.0
        self.request = Excerpt()
        self.response = Excerpt()
        self._began_s = time.monotonic()

    def end(self) -> None:
        """Both directions are complete."""
        self.took_ms = (time.monotonic() - self._began_s) * 1000

    def as_json(self) -> dict[str, Any]:
        """The form in ``/wire.json``."""
        return {
            "id": self.id,
            "when": self.when.isoformat(timespec="milliseconds"),
            "took_ms": round(self.took_ms, 1),
            "request": self.request.as_json(),
            "response": self.response.as_json(),
        }


class Wire:
    """The last 100 exchanges of all connections; notifies waiting requests of a new one."""

    def __init__(self) -> None:
        self._ended: deque[tuple[str, Exchange]] = deque(maxlen=MAX_EXCHANGES)
        self._news = News()

    def put(self, address: str, exchange: Exchange) -> None:
        """Add ``exchange`` with ``address``, which is complete."""
        exchange.end()
        self._ended.append((address, exchange))
        self._news.notify()

    def of(self, address: str, after: str = "") -> list[Exchange]:
        """The exchanges of ``address``, oldest first; with ``after``, only those after that id.

        An unknown id excludes nothing, so a page from before a restart continues.
        """
        own = [exchange for whose, exchange in self._ended if whose == address]
        known = [number for number, exchange in enumerate(own, 1) if exchange.id == after]
        return own[known[0] :] if known else own

    async def show(self, request: web.Request) -> web.Response:
        """``GET /wire.json``: all exchanges of the client's address.

        With ``?after=ID``: those after that id, when there are any. After 25 seconds without a new
        one, the response is an empty list.
        """
        address, after = request.remote or "", request.query.get("after")
        if after is not None:
            await self._news.until(lambda: self.of(address, after))
        found = [one.as_json() for one in self.of(address, after or "")]
        return web.json_response(found, headers=headers())

    async def close(self, _: web.Application) -> None:
        """End all waits."""
        self._news.close()
