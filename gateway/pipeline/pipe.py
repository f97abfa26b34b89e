"""Bodies on their way from one task to another, and the requests and responses that have them."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from protocol.common.messages import HttpRequest
from protocol.streams.bodies import AbortReason

# The most that a pipe holds. One read returns all of it.
_HELD_BYTES = 256 * 1024
# The memory of a piece beside its bytes. It counts, because an application can write single bytes.
_PIECE_COST = 256


class BodyFailed(Exception):
    """The application failed, or wrote too much, before the end of its body."""

    def __init__(self, reason: AbortReason) -> None:
        super().__init__(reason.name.lower())
        self.reason = reason


class Pipe:
    """Bytes from one writer to one reader, in order."""

    def __init__(self) -> None:
        self._held: list[memoryview] = []
        self._cost = 0
        self._is_over = False
        self._is_abandoned = False
        self._error: BodyFailed | None = None
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody reads any more."""
        return self._is_abandoned

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Waits for the reader while much is held. Raises: ConnectionResetError (no reader)."""
        self._check()
        view = memoryview(data)
        for at in range(0, len(view), _HELD_BYTES):
            piece = view[at : at + _HELD_BYTES]
            if not isinstance(data, bytes):
                # The writer can change it later.
                piece = memoryview(bytes(piece))
            while self._held and self._cost + len(piece) > _HELD_BYTES:
                self._taken.clear()
                await self._taken.wait()
                self._check()
            self._hold(piece)

    def _hold(self, piece: memoryview) -> None:
        self._held.append(piece)
        self._cost += _PIECE_COST + len(piece)
        self._changed.set()

    def _check(self) -> None:
        if self._is_abandoned:
            raise ConnectionResetError("the client has gone")

    def end(self, error: BodyFailed | None = None, last: bytes = b"") -> None:
        """No more will come but ``last``: the end of the body, or ``error`` for the reader.

        The first call counts.
        """
        if self._is_over:
            return
        self._is_over, self._error = True, error
        self._changed.set()
        if last:
            self._hold(memoryview(last))

    def abandon(self) -> None:
        """Nobody reads any more: the writer gets an error."""
        self._is_abandoned = True
        self._held.clear()
        self._cost = 0
        self._taken.set()

    def wake(self) -> None:
        """Let a reader that waits continue without data."""
        self._changed.set()

    async def read(self) -> bytes | memoryview | None:
        """All that is held, b"" at the end, and None after ``wake``. Raises: BodyFailed."""
        if not self._held and not self._is_over:
            self._changed.clear()
            await self._changed.wait()
        if not self._held:
            if not self._is_over:
                return None
            if self._error is not None:
                raise self._error
            return b""
        pieces, self._held = self._held, []
        self._cost = 0
        self._taken.set()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """A response whose body is still being written. ``length`` is None if it is unknown.

    Header values are text of U+0000 to U+00FF, one character for each byte (PROTOCOL §2.10.1).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int | None
    body: Pipe


class RequestBody(Protocol):
    """The body of a request that is still coming. ``length`` is None if it is unknown."""

    length: int | None

    async def read(self) -> bytes:
        """The next verified bytes, and b"" at the verified end. Raises: BrokenBody."""


@dataclass(frozen=True, slots=True)
class StreamedRequest:
    """A request of a client that takes a stream as its response.

    ``body`` is there if the request's own body is still coming; then that of ``whole`` is empty.
    Header values are text as in ``StreamedResponse``.
    """

    whole: HttpRequest
    body: RequestBody | None = None
