"""The body of a request in a stream, from wherever it comes (PROTOCOL §2.10)."""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias, runtime_checkable

from protocol.hardened.client_session import OpenedStream
from protocol.streams.bodies import AbortReason, BodyWriter
from protocol.streams.records import (
    MIN_RECORD_BYTES,
    MOST_RECORD_BYTES,
    Direction,
    RecordWriter,
)

from .clock import Clock

Progress: TypeAlias = Callable[[int, int | None], None]

# The longest piece that is read of a file: four of the longest records, and no short one.
_PIECE_BYTES = 4 * (MOST_RECORD_BYTES - MIN_RECORD_BYTES)


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
