"""The routes of the hardened suites, and their sealed messages (PROTOCOL §15.1, §17)."""

import secrets
from collections.abc import Awaitable, Callable

from multidict import CIMultiDict

from gateway.config.settings import Settings
from gateway.errors import RateLimited
from gateway.events import Events, MessageRejected
from gateway.login.hardened import HardenedLogin
from gateway.login.resumption import Resumption
from gateway.policy.rate_limits import Limits
from gateway.sessions.hardened import HardenedSessions, LiveSession
from protocol.common.codec import parse_json_envelope
from protocol.common.envelopes import CONTENT_TYPES, MAX_LOGIN_BYTES, Format, Members
from protocol.common.errors import DecryptionFailed, MalformedMessage
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientShare,
    Hello,
    ResumptionHello,
)
from protocol.hardened.message_server import AcceptedMessage, StaleMessage, open_request
from protocol.hardened.replay_window import FreshnessClaim
from protocol.hardened.sealed_messages import Envelope

from .inner import Dispatch, json_inside, log_failure, sealed_error
from .outer import OuterRequest, Reply
from .turns import give_way, read_login

_CONTENT_TYPE_OF = {form: content_type for content_type, form in CONTENT_TYPES.items()}

HELLO = "/session/hello"
LOGOUT = "/session/logout"
PASSWORD = "/session/authenticate"


def format_of(request: OuterRequest) -> Format:
    """In which format a message came, and is answered."""
    return CONTENT_TYPES.get(request.content_type, "json")


def packed(request: OuterRequest, body: bytes, status: int = 200) -> Reply:
    """``body``, which was written in the format of the request."""
    content_type = _CONTENT_TYPE_OF[format_of(request)]
    headers = CIMultiDict({"Content-Type": content_type, "Cache-Control": "no-store"})
    return Reply(status, headers, body)


class HardenedRoutes:
    """HTTP to handshakes and sealed messages, and back."""

    def __init__(
        self,
        settings: Settings,
        login: HardenedLogin,
        resumption: Resumption,
        sessions: HardenedSessions,
        dispatch: Dispatch,
        limits: Limits,
        events: Events,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._login = login
        self._resumption = resumption
        self._sessions = sessions
        self._dispatch = dispatch
        self._events = events
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
        request.outcome = "login asked"
        form = format_of(request)
        hello = Hello.parse(form, await self._read(request))
        greeting = await self._login.greet(hello, request.remote)
        return packed(request, greeting.serialize(form))

    async def _share(self, request: OuterRequest) -> Reply:
        form = format_of(request)
        message = ClientShare.parse(form, await self._read(request))
        request.outcome = f"attempt {message.session_id.hex()}"
        return packed(request, (await self._login.share(message, request.remote)).serialize(form))

    async def _confirm(self, request: OuterRequest) -> Reply:
        form = format_of(request)
        message = ClientConfirmation.parse(form, await self._read(request))
        request.outcome = f"login {message.session_id.hex()}"
        confirmation = await self._login.confirm(message, request.remote)
        return packed(request, confirmation.serialize(form))

    async def _resume(self, request: OuterRequest) -> Reply:
        request.outcome = "resumption asked"
        form = format_of(request)
        hello = ResumptionHello.parse(form, await self._read(request))
        return packed(
            request, (await self._resumption.greet(hello, request.remote)).serialize(form)
        )

    async def _redeem(self, request: OuterRequest) -> Reply:
        form = format_of(request)
        message = ClientConfirmation.parse(form, await self._read(request))
        request.outcome = f"resumption {message.session_id.hex()}"
        confirmation = await self._resumption.redeem(message, request.remote)
        return packed(request, confirmation.serialize(form))

    # --- sealed messages ---

    async def message(self, request: OuterRequest, members: Members) -> Reply:
        """A sealed request, and the sealed answer to it."""
        clock = self._settings.clock
        envelope = Envelope.take(members)
        await give_way(len(envelope.sealed))
        now_ms = clock()
        live = await self._sessions.find(envelope.header.session_id, now_ms)
        server = live.server if live else None
        opened = open_request(envelope, server, now_ms, self._settings.window_ms)
        if live is None:  # open_request has raised; this is for the type checker
            raise DecryptionFailed
        if self._is_ahead(opened.claim, now_ms):
            await self._count_ahead(live, now_ms)
        claimed = await self._sessions.claim(live, opened.claim, now_ms)
        # A clock that is set back at this moment must not make fresh what the store took for late.
        now_ms = max(now_ms, clock())
        decided = opened.accept(claimed, now_ms)
        request.outcome = f"session {live.session.id}"
        if isinstance(decided, StaleMessage):
            request.outcome = f"session {live.session.id} ({decided.error})"
            self._events.emit(MessageRejected(decided.error, request.remote))
            answer = decided.seal_refusal(clock(), secrets.token_bytes)
        else:
            request.session = live.session
            await self._sessions.keep(live, decided.session, now_ms)
            response = await self._run(request, decided, live)
            await give_way(len(response.body))
            answer = decided.seal_response(response, clock(), secrets.token_bytes)
            await give_way(len(answer.sealed))
        return packed(request, answer.serialize(format_of(request)))

    async def _count_ahead(self, live: LiveSession, now_ms: int) -> None:
        try:
            await self._limits.message_ahead(live.session.id)
        except RateLimited:
            # What was not claimed must not be carried out when its time has come.
            await self._sessions.end(live, now_ms, with_tickets=False)
            raise

    def _is_ahead(self, claim: FreshnessClaim, now_ms: int) -> bool:
        """Whether the window, which ends with the claim, begins later than now."""
        return claim.fresh == "clock" and claim.expires_ms - 2 * self._settings.window_ms > now_ms

    async def _run(
        self, request: OuterRequest, accepted: AcceptedMessage, live: LiveSession
    ) -> HttpResponse:
        try:
            inside = accepted.http_request()
        except MalformedMessage as error:
            return sealed_error(400, error.public_code, str(error))
        path = inside.target.partition("?")[0]
        if (inside.method, path) == ("POST", self._logout_path):
            await self._sessions.end(live, self._settings.clock())
            return json_inside(200, {})
        if (inside.method, path) == ("POST", self._password_path):
            return await self._authenticate(live, inside)
        if live.kept.awaits_password:
            return sealed_error(
                401, "password_required", f"send the password to {self._password_path} first"
            )
        return await self._dispatch(request, inside, live.session)

    async def _authenticate(self, live: LiveSession, inside: HttpRequest) -> HttpResponse:
        """The directory's second check; one that fails ends the session (PROTOCOL §15.7)."""
        if not live.kept.awaits_password:
            return json_inside(200, {})
        if len(inside.body) > MAX_LOGIN_BYTES:
            text = f"what a password is sent in has at most {MAX_LOGIN_BYTES} bytes"
            return sealed_error(413, "too_large", text)
        try:
            payload = parse_json_envelope(inside.body)
        except MalformedMessage as error:
            return sealed_error(400, error.public_code, str(error))
        now_ms = self._settings.clock()
        live_now = await self._sessions.begin_check(live, now_ms)
        if live_now is None:
            return sealed_error(403, "rejected", "a password is being looked at already")
        is_right = False
        try:
            is_right = await self._login.second_check(live.record.username, live.kept.user, payload)
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
