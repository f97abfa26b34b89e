"""Bodies of any length inside a session: sealed as records on their way (PROTOCOL §2.10).

A response that is long, or whose length is not known, leaves while the application writes it; a
request body reaches the application while it comes. Little of either is in memory. A stream ends
with its session: the store is asked at least every 30 s.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

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
    RESPONSE_SALT_BYTES,
    Direction,
    RecordReader,
    RecordWriter,
    StreamKeys,
)

from .outer import Reply, ReplyRecords
from .pipe import BodyFailed, Pipe, StreamedResponse

STREAM_TYPE = "application/certless-stream"
# The store is asked this often, and a connection without data gets a PING this often.
CHECK_S = 15
_PING_S = 15
# A client that sends nothing of a body for so many checks (60 s) has gone.
_SILENCE_CHECKS = 4
# A client that reads less than one record in so many checks (120 s) is cut off.
_STALL_CHECKS = 8
# More streams at once get their responses whole, and no grants.
STREAMS_PER_USER = 32
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
        if now_s - self._asked_s < CHECK_S:
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
        self._first: list[bytes] = []
        self._watch = watch

    @property
    def is_complete(self) -> bool:
        return self._reader.is_complete and self.error is None

    async def begin(self) -> None:
        """Wait for the first verified record: only the client can have made it.

        Raises: BrokenBody.
        """
        await self._checked(self._begin())

    async def _begin(self) -> bytes:
        while not self._reader.has_begun:
            await self._feed()
            if (piece := self._reader.next()) is not None:
                self._first.append(piece)
        return b""

    async def read(self) -> bytes:
        """The next verified bytes, and b"" at the verified end. Raises: BrokenBody."""
        return await self._checked(self._read())

    async def _checked(self, reading: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            return await reading
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
        while (piece := self._next()) is None:
            if not await self._feed():
                return b""
        self._received += len(piece)
        if self._received > self._max_bytes:
            raise BodyTooLarge
        return piece

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
        for _ in range(_SILENCE_CHECKS):
            try:
                async with asyncio.timeout(CHECK_S):
                    return await self._next_chunk()
            except TimeoutError:
                await self._watch.check()
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


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What a stream's records need besides its keys. ``end`` is called at the end of the stream."""

    record_bytes: int
    watch: SessionWatch
    session: Session
    outcome: str
    end: Callable[[], None]


def steady_ms() -> int:
    """Milliseconds by a clock that does not go back."""
    return round(asyncio.get_running_loop().time() * 1000)


def whole_as_stream(response: HttpResponse) -> StreamedResponse:
    """A response that is in memory, as one that is written."""
    pipe = Pipe()
    pipe.end(None, response.body)
    return StreamedResponse(response.status, response.headers, len(response.body), pipe)


class OpenStreams:
    """Counts the streams of each user, because each can hold a connection to the upstream."""

    def __init__(self, most: int = STREAMS_PER_USER) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def begin(self, user: str) -> Callable[[], None] | None:
        """Count one more stream of ``user``. Call the result at its end. None: too many."""
        if self._open[user] >= self._most:
            return None
        self._open[user] += 1
        is_open = True

        def end() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                self._open[user] -= 1
                if not self._open[user]:
                    del self._open[user]

        return end


class _Records(ReplyRecords):
    """The records of a stream. ``begin`` precedes them: a grant, or a response salt."""

    def __init__(
        self,
        begin: bytes,
        records: AsyncGenerator[bytes],
        body: Pipe,
        context: StreamContext,
    ) -> None:
        self._begin = begin
        self._records = records
        self._body = body
        self._context = context

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._begin
        async for record in self._records:
            yield record

    async def sent(self, sending: Awaitable[None]) -> None:
        task = asyncio.ensure_future(sending)
        try:
            for _ in range(_STALL_CHECKS):
                if (await asyncio.wait({task}, timeout=CHECK_S))[0]:
                    return task.result()
                await self._context.watch.check()
        except SessionEnded:
            raise ConnectionResetError(
                "the session has ended, and the client does not read"
            ) from None
        finally:
            task.cancel()
        raise ConnectionResetError("the client does not read")

    async def aclose(self) -> None:
        await self._records.aclose()
        self._body.abandon()
        self._context.end()


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
    return _reply(len(grant).to_bytes(4) + grant, records, response.body, context)


def records_reply(
    keys: StreamKeys, response: StreamedResponse, context: StreamContext, upload: Upload
) -> Reply:
    """The reply to the body of a stream: a response salt, then records."""
    salt = secrets.token_bytes(RESPONSE_SALT_BYTES)
    records = sealed_records(keys.salted(salt), response, context, upload)
    return _reply(salt, records, response.body, context)


def abort_reply(keys: StreamKeys, reason: AbortReason, context: StreamContext) -> Reply:
    """The reply to a body that broke off."""
    body, salt = Pipe(), secrets.token_bytes(RESPONSE_SALT_BYTES)

    async def records() -> AsyncGenerator[bytes]:
        yield _writer(keys.salted(salt), context).abort(reason, steady_ms())

    return _reply(salt, records(), body, context)


def _reply(
    begin: bytes, records: AsyncGenerator[bytes], body: Pipe, context: StreamContext
) -> Reply:
    sending = _Records(begin, records, body, context)
    headers = CIMultiDict(_HEADERS)
    return Reply(200, headers, b"", context.outcome, context.session, records=sending)


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
        if upload is not None and upload.error is not None:
            raise BodyFailed(upload.error)
        verified = upload is None or upload.is_complete
        yield writer.final(steady_ms(), request_verified=verified)
    except SessionEnded:
        yield writer.abort(AbortReason.SESSION_ENDED, steady_ms())
    except BodyFailed as failure:
        broken = upload is not None and upload.error
        yield writer.abort(broken or failure.reason, steady_ms())
    finally:
        body.abandon()
