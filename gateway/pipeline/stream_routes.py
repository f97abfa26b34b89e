"""The routes of streams: one opens a stream, the other takes its body (PROTOCOL §2.10)."""

import secrets
from collections.abc import Callable
from dataclasses import replace

from gateway.config.settings import Settings
from gateway.errors import BrokenBody, RateLimited
from gateway.sessions.hardened import HardenedSessions, LiveSession
from gateway.sessions.session import Session
from gateway.sessions.streams import GrantedStream, GrantedStreams
from protocol.common.codec import decode_bytes
from protocol.common.envelopes import Members
from protocol.common.errors import DecryptionFailed, MalformedMessage
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.sealed_messages import Kind
from protocol.streams.bodies import AbortReason
from protocol.streams.opening import StreamRequest
from protocol.streams.records import MOST_RECORD_BYTES, STREAM_ID_BYTES

from .dispatch import Dispatcher
from .hardened_routes import HardenedRoutes
from .outer import OuterRequest, Reply, reply_in
from .pipe import StreamedRequest, StreamedResponse
from .responses import sealed_error
from .session_watch import SessionEnded, SessionWatch
from .streams import StreamContext, abort_reply, records_reply, whole_as_stream
from .upload import Upload

STREAM = "/stream"
_TOO_MANY = "too many streams at once: end one first"


class StreamRoutes:
    """Stream requests, and the bodies that follow them."""

    def __init__(
        self,
        settings: Settings,
        hardened: HardenedRoutes,
        sessions: HardenedSessions,
        granted: GrantedStreams,
        dispatcher: Dispatcher,
    ) -> None:
        self._settings = settings
        self._hardened = hardened
        self._sessions = sessions
        self._granted = granted
        self._dispatcher = dispatcher

    async def open(self, request: OuterRequest) -> Reply:
        """A stream request, and the grant of its stream."""
        body = await request.read(self._settings.max_body_bytes)
        members = Members.parse(request.format, body)
        accepted = await self._hardened.accept(request, members, Kind.STREAM_REQUEST)
        if isinstance(accepted, Reply):
            return accepted
        live, message = accepted
        outcome, clock = f"session {live.session.id}", self._settings.clock
        try:
            asked = message.stream_request()
            response = await self._refused(request, asked, live)
        except MalformedMessage as error:
            response = sealed_error(400, error.public_code, str(error))
        if response is not None:
            sealed = message.seal_response(response, clock(), secrets.token_bytes)
            outcome = f"{outcome} (stream refused)"
            return reply_in(members.form, sealed.serialize(members.form), outcome, live.session)
        envelope, keys = message.seal_grant(MOST_RECORD_BYTES, clock(), secrets.token_bytes)
        await self._granted.keep(keys, live.record.session_id, asked, clock())
        granted = envelope.serialize(members.form)
        return reply_in(members.form, granted, f"{outcome} (stream granted)", live.session)

    async def _refused(
        self, request: OuterRequest, asked: StreamRequest, live: LiveSession
    ) -> HttpResponse | None:
        if live.kept.awaits_password:
            return self._hardened.password_required()
        limit = self._settings.max_stream_bytes
        if (asked.length or 0) > limit:
            return sealed_error(413, "too_large", f"a body has at most {limit} bytes here")
        if not self._granted.may_grant(live.record.session_id, self._settings.clock()):
            return sealed_error(429, "too_many", "too many streams wait for their body: send one")
        inside = HttpRequest(asked.method, asked.target, asked.headers, b"")
        refused = await self._dispatcher.refusal(request, inside, live.session)
        return None if refused is None else refused.response

    async def body(self, request: OuterRequest) -> Reply:
        """The body of a granted stream, taken once; the reply is the response as records."""
        digits, clock = request.raw_path.rpartition("/")[2], self._settings.clock
        stream_id = decode_bytes("hex", digits) or b""
        if len(stream_id) != STREAM_ID_BYTES:
            raise MalformedMessage("the id of a stream is 32 hexadecimal digits")
        granted = await self._granted.take(stream_id, clock())
        live = await self._sessions.find(granted.session_id, clock())
        if live is None or live.kept.awaits_password:
            raise DecryptionFailed("the session of the stream has ended")
        asked, session = granted.stream_request(), live.session
        end = self._hardened.open_streams.begin(session.user)
        if end is None:
            raise RateLimited(_TOO_MANY, 1, "streams")
        try:
            return await self._answer(request, granted, asked, session, end)
        except BaseException:
            end()
            raise

    async def _answer(
        self,
        request: OuterRequest,
        granted: GrantedStream,
        asked: StreamRequest,
        session: Session,
        end: Callable[[], None],
    ) -> Reply:
        clock = self._settings.clock
        watch = SessionWatch(self._sessions, granted.session_id, clock)
        context = StreamContext(
            asked.record_bytes, watch, session, f"session {session.id} (stream)", end
        )
        upload = Upload(
            request.next_chunk, granted.keys, asked.length, self._settings.max_stream_bytes, watch
        )
        head = HttpRequest(asked.method, asked.target, asked.headers, b"")
        response: HttpResponse | StreamedResponse | None = None
        try:
            await upload.begin()
            streamed = StreamedRequest(head, upload)
            running = self._dispatcher.application_of(request).run_streamed(streamed, session)
            response = await watch.during(running)
        except BrokenBody:
            """``upload.error`` says why."""
        except SessionEnded:
            upload.error = AbortReason.SESSION_ENDED
        if response is None or upload.error is not None:
            if isinstance(response, StreamedResponse):
                response.body.abandon()
            reason = upload.error or AbortReason.FAILED
            context = replace(context, outcome=f"{context.outcome}: {reason.name.lower()}")
            return abort_reply(granted.keys, reason, context)
        if isinstance(response, HttpResponse):
            response = whole_as_stream(response)
        return records_reply(granted.keys, response, context, upload)
