"""The body of a stream request: verified record by record, before the application reads it."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.errors import BodyTooLarge, BodyTooSlow, BrokenBody
from protocol.common.errors import AbortedStream, BrokenStream
from protocol.streams.bodies import AbortReason, BodyReader
from protocol.streams.records import MOST_RECORD_BYTES, Direction, RecordReader, StreamKeys

from .session_watch import CHECK_S, SessionEnded, SessionWatch

# A client that sends nothing of a body for so many checks (60 s) has gone.
_SILENCE_CHECKS = 4
# A body of a known length must come at this rate, with this tolerance (decision 100). Only time in
# which the application waits for it counts.
_LEAST_BYTES_PER_S = 240
_PATIENCE_S = 60
# So much of a body that the application did not read is still read, for so long.
_DISCARDED_BYTES = 1024 * 1024
_DISCARDED_S = 5
_FAILURES = (
    *(BrokenStream, AbortedStream, SessionEnded, ConnectionError, TimeoutError),
    *(BodyTooLarge, BodyTooSlow, BrokenBody),
)


class Upload:
    """The body of a stream request, verified piece by piece.

    ``length`` is None if it is unknown. ``is_complete`` is True once the end was verified, and
    ``error`` is what broke the body off.
    """

    def __init__(
        self,
        next_chunk: Callable[[], Awaitable[bytes]],
        keys: StreamKeys,
        length: int | None,
        max_bytes: int,
        watch: SessionWatch,
    ) -> None:
        self.length = length
        self.error: AbortReason | None = None
        self._next_chunk = next_chunk
        self._reader = BodyReader(RecordReader(keys, Direction.CLIENT, MOST_RECORD_BYTES), length)
        self._max_bytes = max_bytes
        self._received = 0
        self._first: list[bytes] = []
        self._watch = watch
        self._waited_s = 0.0
        self._arrived_bytes = 0

    @property
    def is_complete(self) -> bool:
        return self._reader.is_complete and self.error is None

    async def begin(self) -> None:
        """Wait for the first verified record: only the client can have made it.

        Raises: BrokenBody.
        """
        try:
            while not self._reader.has_begun:
                await self._feed()
                if (piece := self._reader.next()) is not None:
                    self._first.append(piece)
        except _FAILURES as error:
            raise self._broken_by(error) from None

    async def read(self) -> bytes:
        """The next verified bytes, and b"" at the verified end. Raises: BrokenBody."""
        if self.error is not None:
            raise BrokenBody("the body did not come whole")
        try:
            while (piece := self._next()) is None:
                if not await self._feed():
                    return b""
            self._received += len(piece)
            if self._received > self._max_bytes:
                raise BodyTooLarge
        except _FAILURES as error:
            raise self._broken_by(error) from None
        return piece

    def _broken_by(self, failure: Exception) -> BrokenBody:
        match failure:
            case AbortedStream():
                self.error = AbortReason.CANCELLED
            case BodyTooLarge():
                self.error = AbortReason.TOO_LARGE
            case BodyTooSlow() | TimeoutError():
                self.error = AbortReason.TIMEOUT
            case SessionEnded():
                self.error = AbortReason.SESSION_ENDED
            case _:
                self.error = AbortReason.BROKEN
        return BrokenBody("the body did not come whole")

    def _next(self) -> bytes | None:
        if self._first:
            return self._first.pop()
        return self._reader.next()

    async def _feed(self) -> bool:
        """Give the reader what comes next. False at the verified end."""
        data = await self._arrived()
        await self._watch.check()
        if data:
            self._reader.feed(data)
            return True
        if not self._reader.is_complete:
            self._reader.end()
        return False

    async def _arrived(self) -> bytes:
        """The next bytes. The session is checked while none come. Raises: TimeoutError."""
        loop = asyncio.get_running_loop()
        for _ in range(_SILENCE_CHECKS):
            began_s = loop.time()
            try:
                async with asyncio.timeout(CHECK_S):
                    data = await self._next_chunk()
            except TimeoutError:
                await self._watch.check()
                continue
            self._count(len(data), loop.time() - began_s)
            return data
        raise TimeoutError

    def _count(self, size: int, waited_s: float) -> None:
        """Raises: TimeoutError. A body of unknown length can be live, so it has no least rate."""
        self._arrived_bytes += size
        self._waited_s += waited_s
        allowed_s = _PATIENCE_S + self._arrived_bytes / _LEAST_BYTES_PER_S
        if self.length is not None and self._waited_s > allowed_s:
            raise TimeoutError

    async def discard(self) -> None:
        """Read what the application has left, if it is little."""
        left = _DISCARDED_BYTES
        try:
            async with asyncio.timeout(_DISCARDED_S):
                while left > 0 and (piece := await self.read()):
                    left -= len(piece)
        except (BrokenBody, TimeoutError):
            return
