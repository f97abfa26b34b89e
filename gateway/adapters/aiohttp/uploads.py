"""A body on its way to the upstream: once it is sent, nothing of it is kept."""

from collections.abc import AsyncIterator

from gateway.pipeline.freed_memory import FREED

_CHUNK_BYTES = 65536


class Upload:
    """What is sent of a request, once. An upstream that hangs holds no memory by it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)
        self.is_sent = False

    def begin(self) -> AsyncIterator[bytes] | None:
        """What aiohttp is to send; None without a body."""
        self.is_sent = not self._body
        return self._chunks() if self._body else None

    def forget(self) -> None:
        """Keep nothing of it, sent or not: an error may keep who holds this."""
        self._body = b""
        FREED.add(self.length)

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, self.length, _CHUNK_BYTES):
            yield self._body[start : start + _CHUNK_BYTES]
        self.is_sent, self._body = True, b""
