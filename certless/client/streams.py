"""Requests and responses of any length at the Python client (PROTOCOL §2.10).

::

    async with client.stream("PUT", "/backup", data=Path("disk.img")) as response:
        print(response.status)
    async with client.stream("GET", "/backup") as response:
        await response.save("disk.img")

A body is given out piece by piece, each piece verified. A body that was cut off or changed is an
exception (StreamBroken), never a shorter body.
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self, TypeAlias, runtime_checkable

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from protocol.common.errors import AbortedStream, BrokenStream
from protocol.common.messages import HttpResponse
from protocol.hardened.client_session import OpenedStream
from protocol.streams.bodies import AbortReason, BodyWriter, Head, ResponseReader
from protocol.streams.opening import StreamRequest
from protocol.streams.records import (
    RESPONSE_SALT_BYTES,
    Direction,
    RecordReader,
    RecordWriter,
)

from .clock import Clock
from .codings import Decoder, decoder_for
from .content import charset_of, content_type_of, json_of, text_of
from .errors import Refused, StreamAborted, StreamBroken
from .transport import StreamedReply

Progress: TypeAlias = Callable[[int, int | None], None]

# The longest record that we take, and the longest piece that we read of a file.
RECORD_BYTES = 65_536
_PIECE_BYTES = 256 * 1024
# A rest of a response that is read at the end, to verify it.
_VERIFIED_BYTES = 64 * 1024


@runtime_checkable
class Body(Protocol):
    """A body to be sent: its length if it is known, and its pieces, once."""

    length: int | None

    def pieces(self) -> AsyncIterator[bytes]:
        """Raises what the source raises."""


StreamData: TypeAlias = bytes | str | Path | BinaryIO | AsyncIterable[bytes] | Body


class _Whole:
    """A body that is in memory."""

    def __init__(self, data: bytes) -> None:
        self.length: int | None = len(data)
        self._data = data

    async def pieces(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), _PIECE_BYTES):
            yield self._data[at : at + _PIECE_BYTES]


class _File:
    """A body in an open file: read in a thread, from where it is to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.length: int | None = None
        if file.seekable():
            start = file.tell()
            self.length = file.seek(0, os.SEEK_END) - start
            file.seek(start)

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(self._file.read, _PIECE_BYTES):
            yield piece


class _Path:
    """A body in the file of a path, which is open only while it is sent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self.length = _File(file).length

    async def pieces(self) -> AsyncIterator[bytes]:
        with await asyncio.to_thread(self._path.open, "rb") as file:
            async for piece in _File(file).pieces():
                yield piece


class _Iterated:
    """A body that is made while it is sent."""

    length: int | None = None

    def __init__(self, data: AsyncIterable[bytes]) -> None:
        self._data = data

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._data:
            yield piece


def body_of(data: StreamData) -> Body:
    """``data`` as a body. Raises: OSError (the file cannot be opened), TypeError."""
    match data:
        case bytes():
            return _Whole(data)
        case str():
            return _Whole(data.encode())
        case Path():
            return _Path(data)
        case AsyncIterable():
            return _Iterated(data)
        case Body():
            return data
        case _ if hasattr(data, "read"):
            return _File(data)
        case _:
            raise TypeError(
                "data must be bytes, text, a Path, a binary file, an async iterable or a Body"
            )


async def sealed_body(
    opened: OpenedStream, body: Body, steady: Clock, progress: Progress | None
) -> AsyncIterator[bytes]:
    """The records of ``body``. Raises what its source raises, and ValueError for a wrong length."""
    records = RecordWriter(opened.keys, Direction.CLIENT, opened.record_bytes, steady())
    writer, sent = BodyWriter(records), 0
    # The gateway runs the request only after a record that it has verified.
    yield writer.ping(steady())
    try:
        async for piece in body.pieces():
            sent += len(piece)
            if body.length is not None and sent > body.length:
                raise ValueError("the body is longer than it was at first")
            if piece:
                yield writer.data(piece, steady())
            if progress is not None:
                progress(sent, body.length)
        if body.length not in (None, sent):
            raise ValueError("the body is shorter than it was at first")
    except Exception:
        yield writer.abort(AbortReason.CANCELLED, steady())
        raise
    yield writer.final(steady())


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

        Raises: StreamBroken, StreamAborted, NoAnswer, BodyNotDecoded.
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
            raise StreamBroken(
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


class StreamResponse:
    """A response whose body is read while it comes."""

    def __init__(
        self,
        method: str,
        url: URL,
        head: Head,
        content: StreamContent,
        reply: StreamedReply | None,
    ) -> None:
        self.method = method
        self.url = url
        self.status, self.length = head.status, head.length
        # As aiohttp decodes the bytes of a value.
        self.headers = CIMultiDictProxy(
            CIMultiDict(
                (name, value.encode("latin-1").decode("utf-8", "surrogateescape"))
                for name, value in head.headers
            )
        )
        self.content = content
        self._reply = reply
        decoder = decoder_for(self.headers.getall("Content-Encoding", []))
        # Whether ``content`` is decoded, so that Content-Encoding does not describe it any more.
        self.is_decoded = decoder is not None
        if decoder is not None:
            # The declared length is that of the encoded body.
            self.length = None
            content.decode(decoder)

    @property
    def ok(self) -> bool:
        """Whether ``status`` is below 400."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return content_type_of(self.headers)

    @property
    def charset(self) -> str:
        """The charset of Content-Type; utf-8 if there is none, or if Python does not know it."""
        return charset_of(self.headers)

    async def read(self) -> bytes:
        """The body, in memory.

        Raises: StreamBroken, StreamAborted, NoAnswer, BodyNotDecoded.
        """
        return await self.content.read()

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The body as text, by ``encoding`` or else by ``charset``. Raises as ``read``."""
        return text_of(await self.read(), self.headers, encoding, errors)

    async def json(self, encoding: str | None = None) -> Any:
        """The body as JSON, whatever its media type is. Raises as ``read``."""
        return json_of(await self.read(), self.headers, encoding)

    async def save(self, path: str | Path, progress: Progress | None = None) -> int:
        """Write the body to ``path``, which is there only once the body is whole; its length.

        ``progress(received, length)`` is called for each piece; ``length`` is None if unknown.
        Raises: OSError, and as ``read``.
        """
        final = Path(path)
        part = final.with_name(f"{final.name}.part")
        received = 0
        try:
            with part.open("wb") as file:
                async for chunk in self.content:
                    await asyncio.to_thread(file.write, chunk)
                    received += len(chunk)
                    if progress is not None:
                        progress(received, self.length)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
        return received

    def raise_for_status(self) -> None:
        """Raises: Refused, for a status of 400 or more."""
        if not self.ok:
            raise Refused(self.status, "http", f"{self.method} {self.url.path}")

    def close(self) -> None:
        """Let go of the connection; what was not read is lost."""
        if self._reply is not None:
            self._reply.close()

    def __repr__(self) -> str:
        return f"<StreamResponse {self.method} {self.url.path} {self.status}>"


@dataclass(frozen=True, slots=True)
class StreamCall:
    """One call of ``Client.stream``. The response names ``url``."""

    url: URL
    request: StreamRequest
    body: Body | None
    progress: Progress | None


def whole_response(call: StreamCall, inside: HttpResponse) -> StreamResponse:
    """A response that came in one message."""
    head = Head(inside.status, inside.headers, len(inside.body))
    content = StreamContent(None, None, inside.body)
    return StreamResponse(call.request.method, call.url, head, content, None)


async def streamed_response(
    call: StreamCall, opened: OpenedStream, reply: StreamedReply
) -> StreamResponse:
    """The response of a stream, once its head has come.

    Raises: StreamBroken, StreamAborted, NoAnswer, BodyNotDecoded.
    """
    is_upload = call.body is not None
    keys = opened.keys
    try:
        if is_upload:
            # The answer to a body begins with a salt, from which its key comes.
            keys = keys.salted(await reply.exactly(RESPONSE_SALT_BYTES))
        records = RecordReader(keys, Direction.SERVER, RECORD_BYTES)
        reader = ResponseReader(records, is_bodiless=call.request.method == "HEAD")
        with stream_errors():
            while (head := reader.read_head()) is None:
                await feed(reader, reply)
        content = StreamContent(reader, reply, is_upload=is_upload)
        return StreamResponse(call.request.method, call.url, head, content, reply)
    except BaseException:
        reply.close()
        raise


class StreamContext:
    """``async with client.stream(...) as response``: at its end the connection is let go of."""

    def __init__(self, request: Awaitable[StreamResponse]) -> None:
        self._request = request
        self._response: StreamResponse | None = None

    async def __aenter__(self) -> StreamResponse:
        self._response = await self._request
        return self._response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is None:
            return
        try:
            if kind is None and self._response.ok:
                await self._response.content.verify()
        finally:
            self._response.close()
