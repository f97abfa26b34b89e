"""Bodies of any length inside a session: sealed as records on their way (PROTOCOL §2.10).

A response that is long, or whose length is not known, leaves while the application writes it; a
request body reaches the application while it comes. Little of either is in memory.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.sessions.session import Session
from protocol.common.envelopes import Format
from protocol.common.messages import HttpResponse
from protocol.hardened.message_server import AcceptedMessage
from protocol.streams.bodies import AbortReason, BodyWriter, Head
from protocol.streams.records import (
    MOST_RECORD_BYTES,
    RESPONSE_SALT_BYTES,
    Direction,
    RecordWriter,
    StreamKeys,
)

from .outer import Reply, ReplyRecords
from .pipe import BodyFailed, Pipe, StreamedResponse
from .session_watch import SessionEnded, SessionWatch, steady_ms
from .upload import Upload

STREAM_TYPE = "application/certless-stream"
# A connection without data gets a PING this often.
_PING_S = 15
# A client that reads less than one record in so many checks (120 s) is cut off.
_STALL_CHECKS = 8
# Streams and sockets together. Beyond it, responses come whole and sockets are refused.
STREAMS_PER_USER = 32
_HEADERS = {
    "Content-Type": STREAM_TYPE,
    # No cache and no proxy may keep, change or hold back any of it (RFC 10036, nginx).
    "Cache-Control": "no-store, no-transform",
    "Incremental": "?1",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What a stream's records need besides its keys. ``end`` is called at the end of the stream."""

    record_bytes: int
    watch: SessionWatch
    session: Session
    outcome: str
    end: Callable[[], None]


def whole_as_stream(response: HttpResponse) -> StreamedResponse:
    """A response that is in memory, as one that is written."""
    pipe = Pipe()
    pipe.end(None, response.body)
    return StreamedResponse(response.status, response.headers, len(response.body), pipe)


class OpenStreams:
    """Counts the streams and sockets of each user: each can hold a connection to the upstream."""

    def __init__(self, most: int = STREAMS_PER_USER) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def begin(self, user: str) -> Callable[[], None] | None:
        """Count one more of ``user``. Call the result at its end. None: too many."""
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
    """The records of a stream."""

    def __init__(self, records: AsyncGenerator[bytes], body: Pipe, context: StreamContext) -> None:
        self._records = records
        self._body = body
        self._context = context
        # How often the piece that is being sent was checked; None while none is.
        self._checks: int | None = None

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[AsyncIterator[bytes]]:
        try:
            # ``_keep`` sets the time. A timer for each piece would cost too much.
            async with asyncio.timeout(None) as limit:
                keeping = asyncio.create_task(self._keep(limit))
                try:
                    async with aclosing(self._pieces()) as pieces:
                        yield pieces
                finally:
                    keeping.cancel()
        except TimeoutError:
            raise ConnectionResetError("the client does not read") from None
        finally:
            await self._records.aclose()
            self._body.abandon()
            self._context.end()

    async def _pieces(self) -> AsyncGenerator[bytes]:
        async for piece in self._records:
            self._checks = 0
            yield piece
            self._checks = None
        # The end of the HTTP body is sent now.
        self._checks = 0

    async def _keep(self, limit: asyncio.Timeout) -> None:
        """Keep the connection in use, and cut off a client that does not read."""
        while True:
            await asyncio.sleep(_PING_S)
            if self._checks is None:
                self._body.wake()
                continue
            self._checks += 1
            if self._checks == 1:
                # Perhaps it has just begun.
                continue
            if self._checks > _STALL_CHECKS or await self._context.watch.has_ended():
                limit.reschedule(asyncio.get_running_loop().time())
                return


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
    begin = len(grant).to_bytes(4) + grant
    return _reply(sealed_records(begin, keys, response, context), response.body, context)


def records_reply(
    keys: StreamKeys, response: StreamedResponse, context: StreamContext, upload: Upload
) -> Reply:
    """The reply to the body of a stream: a response salt, then records."""
    salt = secrets.token_bytes(RESPONSE_SALT_BYTES)
    records = sealed_records(salt, keys.salted(salt), response, context, upload)
    return _reply(records, response.body, context)


def abort_reply(keys: StreamKeys, reason: AbortReason, context: StreamContext) -> Reply:
    """The reply to a body that broke off."""
    body, salt = Pipe(), secrets.token_bytes(RESPONSE_SALT_BYTES)

    async def records() -> AsyncGenerator[bytes]:
        yield salt + _writer(keys.salted(salt), context).abort(reason, steady_ms())

    return _reply(records(), body, context)


def _reply(records: AsyncGenerator[bytes], body: Pipe, context: StreamContext) -> Reply:
    sending = _Records(records, body, context)
    headers = CIMultiDict(_HEADERS)
    return Reply(200, headers, b"", context.outcome, context.session, records=sending)


def _writer(keys: StreamKeys, context: StreamContext) -> BodyWriter:
    records = RecordWriter(keys, Direction.SERVER, context.record_bytes, steady_ms())
    return BodyWriter(records)


async def sealed_records(
    begin: bytes,
    keys: StreamKeys,
    response: StreamedResponse,
    context: StreamContext,
    upload: Upload | None = None,
) -> AsyncGenerator[bytes]:
    """``begin`` (a grant, or a response salt), then the records of ``response``.

    Closing the iterator tells the application that nobody reads.
    """
    writer, body = _writer(keys, context), response.body
    try:
        head = Head(response.status, response.headers, response.length)
        yield begin + writer.head(head, steady_ms())
        while (data := await body.read()) != b"":
            await context.watch.check()
            yield writer.ping(steady_ms()) if data is None else writer.data(data, steady_ms())
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
