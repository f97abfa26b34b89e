"""A body on its way to the upstream. It is freed once it is sent."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.pipeline.memory_release import FREED

_CHUNK_BYTES = 65536


class StreamedUpload:
    """A body that is still coming. ``is_broken`` is set if it breaks off."""

    def __init__(self, request: web.Request) -> None:
        self.length = request.content_length
        self.is_broken = False
        self._content = request.content
        self._loop = asyncio.get_running_loop()
        self._offered_s: float | None = None

    @property
    def stalled_s(self) -> float:
        """How long the upstream has not taken what it was offered."""
        return 0 if self._offered_s is None else self._loop.time() - self._offered_s

    def begin(self) -> AsyncIterator[bytes]:
        """The chunks for aiohttp to send."""
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._content.iter_any():
                self._offered_s = self._loop.time()
                yield chunk
                self._offered_s = None
        except web.RequestPayloadError:
            self.is_broken = True
            raise


class Upload:
    """A body that is sent once. An upstream that hangs does not keep it in memory."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)
        self.is_sent = False

    def begin(self) -> AsyncIterator[bytes] | None:
        """The chunks for aiohttp to send, or None without a body."""
        self.is_sent = not self._body
        return self._chunks() if self._body else None

    def forget(self) -> None:
        """Free the body, sent or not. An error can hold a reference to this object."""
        self._body = b""
        FREED.add(self.length)

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, self.length, _CHUNK_BYTES):
            yield self._body[start : start + _CHUNK_BYTES]
        self.is_sent, self._body = True, b""
