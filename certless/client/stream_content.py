"""The body of a streamed response: given out piece by piece, each verified (PROTOCOL §2.10)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Self

from protocol.common.errors import AbortedStream, BrokenStream
from protocol.streams.bodies import ResponseReader

from .codings import Decoder
from .errors import OutcomeUnknown, StreamAborted, StreamBroken
from .transport import StreamedReply

# The rest of a response that is read at the end, to verify it.
_VERIFIED_BYTES = 64 * 1024


@contextmanager
def stream_errors() -> Iterator[None]:
    """Raises the client's errors for those of the protocol."""
    try:
        yield
    except BrokenStream as error:
        raise StreamBroken(str(error)) from None
    except AbortedStream as error:
        raise StreamAborted(error.reason) from None


async def feed(reader: ResponseReader, reply: StreamedReply) -> None:
    """Give the reader what comes next. Raises: BrokenStream, NoAnswer."""
    if data := await reply.chunk():
        reader.feed(data)
    else:
        reader.end()


class StreamContent:
    """The body of a streamed response: ``async for chunk in response.content``."""

    def __init__(
        self,
        reader: ResponseReader | None,
        reply: StreamedReply | None,
        whole: bytes = b"",
        *,
        is_upload: bool = False,
    ) -> None:
        """``whole`` is a body that came in one message, without a reader.

        ``is_upload``: the response says at its end whether the request was verified.
        """
        self._is_upload = is_upload
        self._reader = reader
        self._reply = reply
        self._whole = whole
        self._decoder: Decoder | None = None
        self._pieces: Iterator[bytes] = iter(())

    def decode(self, decoder: Decoder) -> None:
        """Give the body out as ``decoder`` decodes it."""
        self._decoder = decoder

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.readany()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def readany(self) -> bytes:
        """The next verified bytes, decoded, and b"" at the verified end.

        Raises: StreamBroken, StreamAborted, NoAnswer, BodyNotDecoded, OutcomeUnknown.
        """
        if self._decoder is None:
            return await self._verified()
        while (piece := next(self._pieces, None)) is None:
            if not (data := await self._verified()):
                self._decoder.end()
                return b""
            self._pieces = self._decoder.feed(data)
        return piece

    def _check_request(self) -> None:
        reader = self._reader
        if reader is None or reader.head is None or not self._is_upload:
            return
        if reader.head.status < 400 and not reader.request_verified:
            raise OutcomeUnknown(
                "the gateway answered without the whole body: check whether it was processed"
            )

    async def verify(self) -> None:
        """After an upload: read a short rest, which says whether the request was verified.

        Raises as ``readany``.
        """
        left = _VERIFIED_BYTES if self._is_upload else 0
        while left > 0 and (chunk := await self._verified()):
            left -= len(chunk)

    async def _verified(self) -> bytes:
        if self._reader is None or self._reply is None:
            whole, self._whole = self._whole, b""
            return whole
        with stream_errors():
            while (chunk := self._reader.next()) is None:
                if self._reader.is_complete:
                    # The end of the records must be the end of the HTTP body too.
                    self._reader.feed(await self._reply.chunk())
                    self._check_request()
                    return b""
                await feed(self._reader, self._reply)
            return chunk

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Pieces of ``size`` bytes; the last can be shorter. Raises as ``readany``."""
        held = bytearray()
        async for chunk in self:
            held += chunk
            while len(held) >= size:
                yield bytes(held[:size])
                del held[:size]
        if held:
            yield bytes(held)

    async def read(self) -> bytes:
        """All that is left, in memory. Raises as ``readany``."""
        return b"".join([chunk async for chunk in self])
