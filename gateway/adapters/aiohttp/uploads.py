"""A request body on its way to the upstream. It is freed once it is sent."""

from collections.abc import AsyncIterator

from gateway.errors import BrokenBody
from gateway.pipeline.memory_release import FREED
from gateway.pipeline.pipe import RequestBody

CHUNK_BYTES = 65536


class StreamedUpload:
    """A body that is still coming. ``is_broken`` is set if it breaks off."""

    def __init__(self, body: RequestBody) -> None:
        self.length = body.length
        self.is_broken = False
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks to send. Raises: BrokenBody."""
        try:
            while chunk := await self._body.read():
                yield chunk
        except BrokenBody:
            self.is_broken = True
            raise


class Upload:
    """A body that is sent once. An upstream that hangs does not keep it in memory."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)
        self.is_sent = False

    def take(self) -> bytes:
        """The whole body, which is sent now."""
        body, self._body, self.is_sent = self._body, b"", True
        return body

    def forget(self) -> None:
        """Free the body, sent or not. An error can hold a reference to this object."""
        self._body = b""
        FREED.add(self.length)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks to send."""
        for start in range(0, self.length, CHUNK_BYTES):
            yield self._body[start : start + CHUNK_BYTES]
        self.is_sent, self._body = True, b""
