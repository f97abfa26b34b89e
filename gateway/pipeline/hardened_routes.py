"""The routes of the hardened suites, and their sealed messages (PROTOCOL §5.5, §2.6).

The module is long because all routes share the steps from a message to its sealed answer.
"""

import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.config.settings import Settings
from gateway.errors import RateLimited, SessionChanged, StoreUnavailable
from gateway.events import Events, MessageRejected
from gateway.login.hardened import HardenedLogin
from gateway.login.resumption import Resumption
from gateway.policy.rate_limits import Limits
from gateway.sessions.hardened import HardenedSessions, LiveSession
from protocol.common.codec import parse_json_envelope
from protocol.common.envelopes import MAX_LOGIN_BYTES, Members
from protocol.common.errors import DecryptionFailed, MalformedMessage
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
)
from protocol.hardened.message_server import (
    AcceptedMessage,
    OpenedMessage,
    StaleMessage,
    open_request,
)
from protocol.hardened.replay_window import FreshnessClaim
from protocol.hardened.sealed_messages import Envelope, Kind
from protocol.streams.opening import OFFER_FIELD, stream_offer

from .dispatch import Dispatched, Dispatcher
from .inner import log_failure
from .outer import HEADERS_IN, LARGE_BYTES, OuterRequest, Reply, give_way, read_login, reply_in
from .pipe import StreamedRequest, StreamedResponse
from .responses import json_inside, sealed_error
from .session_watch import SessionWatch
from .streams import OpenStreams, StreamContext, grant_reply

HELLO = "/session/hello"
LOGOUT = "/session/logout"
PASSWORD = "/session/authenticate"
# How often the record of a session can change between its load and a claim.
_MOST_CHANGES = 3


@dataclass(frozen=True, slots=True)
class _Streamed:
    """A streamed response, to a client that takes records of ``record_bytes``."""

    response: StreamedResponse
    record_bytes: int
    end: Callable[[], None]


class HardenedRoutes:
    """Replies to handshakes and sealed messages of the hardened suites."""

    def __init__(
        self,
        settings: Settings,
        login: HardenedLogin,
        resumption: Resumption,
        sessions: HardenedSessions,
        dispatcher: Dispatcher,
        limits: Limits,
        events: Events,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._login = login
        self._resumption = resumption
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._events = events
        self.open_streams = OpenStreams()
        self._logout_path = settings.prefix + LOGOUT
        self._password_path = settings.prefix + PASSWORD
        self.routes: dict[str, Callable[[OuterRequest], Awaitable[Reply]]] = {
            settings.prefix + path: serve
            for path, serve in {
                HELLO: self._hello,
                "/session/share": self._share,
                "/session/confirm": self._confirm,
                "/session/resume": self._resume,
                "/session/resume/confirm": self._redeem,
            }.items()
        }

    async def _read(self, request: OuterRequest) -> bytes:
        return await read_login(request, self._settings.max_body_bytes)

    # --- handshakes ---

    async def _hello(self, request: OuterRequest) -> Reply:
        form = request.format
        hello = ClientHello.parse(form, await self._read(request))
        greeting = await self._login.greet(hello, request.remote)
        return reply_in(form, greeting.serialize(form), "login asked")

    async def _share(self, request: OuterRequest) -> Reply:
        form = request.format
        message = ClientShare.parse(form, await self._read(request))
        share = await self._login.share(message, request.remote)
        return reply_in(form, share.serialize(form), f"attempt {message.session_id.hex()}")

    async def _confirm(self, request: OuterRequest) -> Reply:
        form = request.format
        message = ClientConfirmation.parse(form, await self._read(request))
        confirmation = await self._login.confirm(message, request.remote)
        return reply_in(form, confirmation.serialize(form), f"login {message.session_id.hex()}")

    async def _resume(self, request: OuterRequest) -> Reply:
        form = request.format
        hello = ResumptionClientHello.parse(form, await self._read(request))
        greeting = await self._resumption.greet(hello, request.remote)
        return reply_in(form, greeting.serialize(form), "resumption asked")

    async def _redeem(self, request: OuterRequest) -> Reply:
        form = request.format
        message = ClientConfirmation.parse(form, await self._read(request))
        confirmation = await self._resumption.redeem(message, request.remote)
        outcome = f"resumption {message.session_id.hex()}"
        return reply_in(form, confirmation.serialize(form), outcome)

    # --- sealed messages ---

    async def accept(
        self, request: OuterRequest, members: Members, kind: Kind
    ) -> tuple[LiveSession, AcceptedMessage] | Reply:
        """A sealed message of ``kind``, verified and claimed, or the refusal of it.

        Raises: MalformedMessage, RejectedMessage, RateLimited, StoreUnavailable.
        """
        clock = self._settings.clock
        envelope = Envelope.take(members)
        if len(envelope.sealed) > LARGE_BYTES:
            await give_way()
        now_ms = clock()
        live, opened, claimed = await self._claimed(envelope, kind, now_ms)
        # If the clock is set back now, a message that was late for the store must stay late.
        now_ms = max(now_ms, clock())
        decided = opened.accept(claimed, now_ms)
        if isinstance(decided, StaleMessage):
            form, outcome = members.form, f"session {live.session.id} ({decided.error})"
            self._events.emit(MessageRejected(decided.error, request.remote))
            refusal = decided.seal_refusal(clock(), secrets.token_bytes)
            return reply_in(form, refusal.serialize(form), outcome)
        if decided.moved:
            await self._sessions.keep(live, decided.session, now_ms)
        return live, decided

    async def _claimed(
        self, envelope: Envelope, kind: Kind, now_ms: int
    ) -> tuple[LiveSession, OpenedMessage, bool]:
        """The session, the message under its seal, and whether the store has claimed the message.

        If the session is remembered, and the store has another record, it begins again with the
        record of the store. So nothing depends on what is remembered.
        """
        session_id, window_ms = envelope.header.session_id, self._settings.window_ms
        live = self._sessions.remembered(session_id)
        if live is not None:
            try:
                opened = open_request(envelope, live.server, now_ms, window_ms, kind)
                return live, opened, await self._claim(live, opened, now_ms)
            except DecryptionFailed:
                # Another process can have begun an epoch.
                if not await self._sessions.is_outdated(live, now_ms):
                    raise
            except SessionChanged:
                pass
        for _ in range(_MOST_CHANGES):
            live = await self._sessions.find(session_id, now_ms)
            server = live.server if live else None
            opened = open_request(envelope, server, now_ms, window_ms, kind)
            if live is None:  # for the type checker: open_request has raised
                raise DecryptionFailed
            with contextlib.suppress(SessionChanged):
                return live, opened, await self._claim(live, opened, now_ms)
        raise StoreUnavailable("the session keeps changing; send the message again")

    async def _claim(self, live: LiveSession, opened: OpenedMessage, now_ms: int) -> bool:
        claimed = await self._sessions.claim(live, opened.claim, now_ms)
        # A replay does not count: anybody on the network can send it, and must not end the session.
        if claimed and self._is_ahead(opened.claim, now_ms):
            await self._count_ahead(live, now_ms)
        return claimed

    async def message(self, request: OuterRequest, members: Members) -> Reply:
        """A sealed request, and the sealed answer to it."""
        accepted = await self.accept(request, members, Kind.REQUEST)
        if isinstance(accepted, Reply):
            return accepted
        live, message = accepted
        form, outcome, clock = members.form, f"session {live.session.id}", self._settings.clock
        ran = await self._run(request, message, live)
        if isinstance(ran, _Streamed):
            watch = SessionWatch(self._sessions, live.record.session_id, clock)
            context = StreamContext(
                ran.record_bytes, watch, live.session, f"{outcome} (stream)", ran.end
            )
            return grant_reply(message, form, ran.response, context, clock())
        if ran.refusal:
            outcome = f"{outcome} ({ran.refusal})"
        if len(ran.response.body) > LARGE_BYTES:
            await give_way()
        answer = message.seal_response(ran.response, clock(), secrets.token_bytes)
        ends_session = ran.ends_session
        # A large response must not stay in memory beside its seal.
        del ran
        if len(answer.sealed) > LARGE_BYTES:
            await give_way()
        headers = CIMultiDict(HEADERS_IN[form])
        body = answer.serialize(form)
        return Reply(200, headers, body, outcome, live.session, ends_session=ends_session)

    async def _count_ahead(self, live: LiveSession, now_ms: int) -> None:
        try:
            await self._limits.message_ahead(live.session.id)
        except RateLimited:
            # The store must not keep the salts of more messages until their time.
            await self._sessions.end(live, now_ms, with_tickets=False)
            raise

    def _is_ahead(self, claim: FreshnessClaim, now_ms: int) -> bool:
        """Whether the time window of the message, which ends with the claim, begins after now."""
        return claim.fresh == "clock" and claim.expires_ms - 2 * self._settings.window_ms > now_ms

    async def _run(
        self, request: OuterRequest, accepted: AcceptedMessage, live: LiveSession
    ) -> "Dispatched | _Streamed":
        # The longest record for the client, NO_STREAM, or None.
        offer = None
        try:
            inside = accepted.http_request()
            if any(name.lower() == OFFER_FIELD for name, _ in inside.headers):
                offer = stream_offer(inside.headers)
        except MalformedMessage as error:
            return Dispatched(sealed_error(400, error.public_code, str(error)))
        path = inside.target.partition("?")[0]
        if (inside.method, path) == ("POST", self._logout_path):
            await self._sessions.end(live, self._settings.clock())
            return Dispatched(json_inside(200, {}), "logout", ends_session=True)
        if (inside.method, path) == ("POST", self._password_path):
            return Dispatched(await self._authenticate(live, inside))
        if live.kept.awaits_password:
            return Dispatched(self.password_required())
        end = self.open_streams.begin(live.session.user) if offer else None
        if offer is None or end is None:
            has_bytes = offer is not None
            return await self._dispatcher.dispatch(
                request, inside, live.session, field_bytes=has_bytes
            )
        response: HttpResponse | StreamedResponse | None = None
        try:
            refused = await self._dispatcher.refusal(request, inside, live.session)
            if refused is not None:
                return refused
            streamed = StreamedRequest(inside)
            application = self._dispatcher.application_of(request)
            response = await application.run_streamed(streamed, live.session)
        finally:
            if not isinstance(response, StreamedResponse):
                end()
        if isinstance(response, StreamedResponse):
            return _Streamed(response, offer, end)
        return Dispatched(response)

    def password_required(self) -> HttpResponse:
        """The response while a second check is awaited (PROTOCOL §2.4.7)."""
        text = f"send the password to {self._password_path} first"
        return sealed_error(401, "password_required", text)

    async def _authenticate(self, live: LiveSession, inside: HttpRequest) -> HttpResponse:
        """The second check of the directory. A failure ends the session (PROTOCOL §2.4.7)."""
        if not live.kept.awaits_password:
            return json_inside(200, {})
        if len(inside.body) > MAX_LOGIN_BYTES:
            text = f"a message with a password has at most {MAX_LOGIN_BYTES} bytes"
            return sealed_error(413, "too_large", text)
        try:
            payload = parse_json_envelope(inside.body)
        except MalformedMessage as error:
            return sealed_error(400, error.public_code, str(error))
        now_ms = self._settings.clock()
        live_now = await self._sessions.begin_check(live, now_ms)
        if live_now is None:
            return sealed_error(403, "rejected", "another password is being checked already")
        is_right = False
        try:
            is_right = await self._login.second_check(
                live.record.username, live.kept.user, live.record.session_id, payload
            )
        except Exception as error:
            log_failure("directory", error)
            return sealed_error(500, "internal", "the gateway failed; log in again")
        finally:
            if not is_right:
                await self._sessions.end(live, now_ms)
        if not is_right:
            return sealed_error(403, "rejected", "not accepted; log in again")
        await self._sessions.end_check(live_now, now_ms)
        return json_inside(200, {})
