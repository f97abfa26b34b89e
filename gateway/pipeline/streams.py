"""Bodies of any length inside a session: sealed as records on their way (PROTOCOL §2.10).

A response that is long, or whose length is not known, leaves while the application writes it; a
request body reaches the application while it comes. Little of either is in memory. A stream ends
with its session: the store is asked at least every 30 s.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.clock import Clock
from gateway.errors import BodyTooLarge, BodyTooSlow, BrokenBody, StoreUnavailable
from gateway.sessions.hardened import HardenedSessions
from gateway.sessions.session import Session
from protocol.common.envelopes import Format
from protocol.common.errors import AbortedStream, BrokenStream
from protocol.common.messages import HttpResponse
from protocol.hardened.message_server import AcceptedMessage
from protocol.streams.bodies import AbortReason, BodyReader, BodyWriter, Head
from protocol.streams.records import (
    MOST_RECORD_BYTES,
    Direction,
    RecordReader,
    RecordWriter,
    StreamKeys,
)

from .outer import Reply
from .pipe import BodyFailed, Pipe, StreamedResponse

STREAM_TYPE = "application/certless-stream"
# The store is asked this often, and a connection without data gets a PING this often.
_CHECK_S = 15
_PING_S = 15
# A client that sends nothing of a body for so long has gone.
_SILENCE_S = 60
# So much of a body that the application did not read is still read, for so long.
_DISCARDED_BYTES = 1024 * 1024
_DISCARDED_S = 5
_HEADERS = {
    "Content-Type": STREAM_TYPE,
    # No cache and no proxy may keep, change or hold back any of it (RFC 10036, nginx).
    "Cache-Control": "no-store, no-transform",
    "Incremental": "?1",
    "X-Accel-Buffering": "no",
}


class SessionEnded(Exception):
    """The session of a stream is over."""


class SessionWatch:
    """Asks the store, from time to time, whether a session is still open."""

    def __init__(self, sessions: HardenedSessions, session_id: bytes, clock: Clock) -> None:
        self._sessions = sessions
        self._session_id = session_id
        self._clock = clock
        self._asked_s = asyncio.get_running_loop().time()

    async def check(self) -> None:
        """Raises: SessionEnded, also if the store does not answer."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s < _CHECK_S:
            return
        self._asked_s = now_s
        try:
            found = await self._sessions.find(self._session_id, self._clock())
        except StoreUnavailable:
            raise SessionEnded from None
        if found is None or self._clock() >= found.record.expires_ms:
            raise SessionEnded


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
        self._watch = watch

    @property
    def is_complete(self) -> bool:
        return self._reader.is_complete

    async def read(self) -> bytes:
        """The next verified bytes, and b"" at the verified end. Raises: BrokenBody."""
        try:
            return await self._read()
        except BrokenStream:
            self.error = AbortReason.BROKEN
        except AbortedStream:
            self.error = AbortReason.CANCELLED
        except BodyTooLarge:
            self.error = AbortReason.TOO_LARGE
        except (BrokenBody, ConnectionError):
            self.error = AbortReason.BROKEN
        except (BodyTooSlow, TimeoutError):
            self.error = AbortReason.TIMEOUT
        except SessionEnded:
            self.error = AbortReason.SESSION_ENDED
        raise BrokenBody("the body did not come whole")

    async def _read(self) -> bytes:
        if self.error is not None:
            raise BrokenBody
        piece = await self._verified()
        self._received += len(piece)
        if self._received > self._max_bytes:
            raise BodyTooLarge
        if self._received == self.length and not self.is_complete:
            # A program that knows the length would take the body for whole without its end.
            await self._verified()
        return piece

    async def _verified(self) -> bytes:
        while (piece := self._reader.next()) is None:
            async with asyncio.timeout(_SILENCE_S):
                data = await self._next_chunk()
            await self._watch.check()
            if data:
                self._reader.feed(data)
            elif self._reader.is_complete:
                return b""
            else:
                self._reader.end()
        return piece

    async def discard(self) -> None:
        """Read what the application has left, if it is little."""
        left = _DISCARDED_BYTES
        try:
            async with asyncio.timeout(_DISCARDED_S):
                while left > 0 and (piece := await self.read()):
                    left -= len(piece)
        except (BrokenBody, TimeoutError):
            return


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What a stream's records need beside its keys."""

    record_bytes: int
    watch: SessionWatch
    session: Session
    outcome: str


def steady_ms() -> int:
    """Milliseconds by a clock that does not go back."""
    return round(asyncio.get_running_loop().time() * 1000)


def whole_as_stream(response: HttpResponse) -> StreamedResponse:
    """A response that is in memory, as one that is written."""
    pipe = Pipe()
    pipe.end(None, response.body)
    return StreamedResponse(response.status, response.headers, len(response.body), pipe)


def grant_reply(
    accepted: AcceptedMessage,
    form: Format,
    response: StreamedResponse,
    context: StreamContext,
    now_ms: int,
) -> Reply:
    """The reply to a message whose response is streamed: the grant, then the records."""
    envelope, keys = accepted.seal_grant(MOST_RECORD_BYTES, now_ms, secrets.token_bytes)
    grant = envelope.serialize(form)
    records = sealed_records(keys, response, context)
    return _reply(_after(len(grant).to_bytes(4) + grant, records), context)


def records_reply(
    keys: StreamKeys, response: StreamedResponse, context: StreamContext, upload: Upload
) -> Reply:
    """The reply to the body of a stream: records."""
    return _reply(sealed_records(keys, response, context, upload), context)


def abort_reply(keys: StreamKeys, reason: AbortReason, context: StreamContext) -> Reply:
    """The reply to a body that broke off."""

    async def records() -> AsyncGenerator[bytes]:
        yield _writer(keys, context).abort(reason, steady_ms())

    return _reply(records(), context)


def _reply(records: AsyncGenerator[bytes], context: StreamContext) -> Reply:
    headers = CIMultiDict(_HEADERS)
    return Reply(200, headers, b"", context.outcome, context.session, records=records)


async def _after(first: bytes, records: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for record in records:
        yield record


def _writer(keys: StreamKeys, context: StreamContext) -> BodyWriter:
    records = RecordWriter(keys, Direction.SERVER, context.record_bytes, steady_ms())
    return BodyWriter(records)


async def sealed_records(
    keys: StreamKeys,
    response: StreamedResponse,
    context: StreamContext,
    upload: Upload | None = None,
) -> AsyncGenerator[bytes]:
    """The records of ``response``. Closing the iterator tells the application that nobody reads."""
    writer, body = _writer(keys, context), response.body
    try:
        yield writer.head(Head(response.status, response.headers, response.length), steady_ms())
        while True:
            try:
                async with asyncio.timeout(_PING_S):
                    data = await body.read()
            except TimeoutError:
                await context.watch.check()
                yield writer.ping(steady_ms())
                continue
            if not data:
                break
            await context.watch.check()
            yield writer.data(data, steady_ms())
        if upload is not None and not upload.is_complete and upload.error is None:
            await upload.discard()
        verified = upload is None or upload.is_complete
        yield writer.final(steady_ms(), request_verified=verified)
    except SessionEnded:
        yield writer.abort(AbortReason.SESSION_ENDED, steady_ms())
    except BodyFailed as failure:
        broken = upload is not None and upload.error
        yield writer.abort(broken or failure.reason, steady_ms())
    finally:
        body.abandon()
