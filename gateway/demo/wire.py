"""What went over the gateway's own socket, to be looked at: the bytes that the tap has heard.

The last exchanges are kept, long ones without their middle, and everybody is shown only what his
own address has sent and got. It is for the demo: a request in plain is kept as readable as it came.
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
# Of each direction of an exchange so much is kept.
START_BYTES = 4096
END_BYTES = 1024


class Excerpt:
    """The size of what passed in one direction, its start and its end."""

    def __init__(self) -> None:
        self.size = 0
        self.start = b""
        self.end = b""

    def add(self, data: bytes) -> None:
        """``data`` passed."""
        self.size += len(data)
        room = START_BYTES - len(self.start)
        self.start += data[:room]
        self.end = (self.end + data[room:][-END_BYTES:])[-END_BYTES:]

    def as_json(self) -> dict[str, Any]:
        """``start_b64`` and ``end_b64`` are all there was, unless ``size`` is more than both."""
        return {
            "size": self.size,
            "start_b64": b64encode(self.start).decode(),
            "end_b64": b64encode(self.end).decode(),
        }


class Exchange:
    """A request and its answer, as bytes. ``id`` is new for each; ``when`` it began, in UTC."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.when = datetime.now(UTC)
        self.took_ms = 0.0
        self.request = Excerpt()
        self.response = Excerpt()
        self._began_s = time.monotonic()

    def end(self) -> None:
        """No byte follows."""
        self.took_ms = (time.monotonic() - self._began_s) * 1000

    def as_json(self) -> dict[str, Any]:
        """What ``/wire.json`` lists."""
        return {
            "id": self.id,
            "when": self.when.isoformat(timespec="milliseconds"),
            "took_ms": round(self.took_ms, 1),
            "request": self.request.as_json(),
            "response": self.response.as_json(),
        }


class Wire:
    """The last 100 exchanges of all connections, and word of a new one for those who wait."""

    def __init__(self) -> None:
        self._ended: deque[tuple[str, Exchange]] = deque(maxlen=MAX_EXCHANGES)
        self._news = News()

    def put(self, address: str, exchange: Exchange) -> None:
        """``exchange``, with ``address``, is over."""
        exchange.end()
        self._ended.append((address, exchange))
        self._news.tell()

    def of(self, address: str, after: str = "") -> list[Exchange]:
        """Those of ``address``, oldest first; only what ended after the one with the id ``after``.

        An id that is not known here excludes nothing, so a page that outlived a restart goes on.
        """
        own = [exchange for whose, exchange in self._ended if whose == address]
        known = [number for number, exchange in enumerate(own, 1) if exchange.id == after]
        return own[known[0] :] if known else own

    async def show(self, request: web.Request) -> web.Response:
        """``GET /wire.json``: all exchanges of who asks; with ``?after=ID``, once there are newer.

        That answer, too, comes after 25 seconds at the latest, and is then an empty list.
        """
        address, after = request.remote or "", request.query.get("after")
        if after is not None:
            await self._news.until(lambda: self.of(address, after))
        found = [one.as_json() for one in self.of(address, after or "")]
        return web.json_response(found, headers=headers())

    async def close(self, _: web.Application) -> None:
        """Let nobody wait any longer."""
        self._news.close()
