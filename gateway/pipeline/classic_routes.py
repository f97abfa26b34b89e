"""The routes of the classic suite, and its sealed messages (PROTOCOL §5.5, §3.5)."""

from collections.abc import Awaitable, Callable

from gateway.config.settings import Settings
from gateway.login.classic import Login
from gateway.sessions.classic import LiveSession, Sessions
from gateway.sessions.session import Session
from protocol.classic.exchange import AcceptedRequest, ServerExchange
from protocol.common.codec import JsonObject, parse_json_envelope, serialize_json
from protocol.common.codes import session_id
from protocol.common.errors import MalformedMessage, RejectedMessage
from protocol.common.messages import (
    AuthenticateRequest,
    HttpRequest,
    SealedRequest,
    SessionRequest,
)
from protocol.streams.opening import OFFER_FIELD

from .dispatch import Dispatched, Dispatcher
from .outer import LARGE_BYTES, OuterRequest, Reply, give_way, read_login, reply_in
from .responses import sealed_error

# A response with one of these statuses has no body, so it cannot carry a seal.
_BODILESS = frozenset({204, 205, 304})
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "date", "server"})
# The offer of a client inside a seal (PROTOCOL §2.10.1). Here it would be an offer of anybody.
_NOT_KEPT = _BODY_HEADERS | {OFFER_FIELD}
# With these a server in front replaces the sealed body by a file, which is not sealed.
_FILES_INSTEAD = frozenset({"x-accel-redirect", "x-sendfile", "x-lighttpd-send-file"})
INNER_CONTENT_TYPE = "Certless-Content-Type"
INNER_CONTENT_ENCODING = "Certless-Content-Encoding"
INNER_STATUS = "Certless-Status"


class ClassicRoutes:
    """Replies to logins and sealed messages of the classic suite."""

    def __init__(
        self,
        settings: Settings,
        exchange: ServerExchange,
        sessions: Sessions,
        login: Login,
        dispatcher: Dispatcher,
    ) -> None:
        self._settings = settings
        self._exchange = exchange
        self._sessions = sessions
        self._login = login
        self._dispatcher = dispatcher
        prefix, paths = settings.prefix, settings.dialect.paths
        self.routes: dict[str, Callable[[OuterRequest], Awaitable[Reply]]] = {
            prefix + paths.session: self._initiate,
            prefix + paths.authenticate: self._authenticate,
            prefix + paths.logout: self._logout,
        }

    async def _initiate(self, request: OuterRequest) -> Reply:
        names = self._settings.dialect.names
        message = SessionRequest.parse(await self._read_object(request), names)
        grant = await self._login.initiate(message, request.remote)
        return reply_in("json", serialize_json(grant.serialize(names)), "login asked", status=201)

    async def _authenticate(self, request: OuterRequest) -> Reply:
        names = self._settings.dialect.names
        message = AuthenticateRequest.parse(await self._read_object(request), names)
        sealed = await self._login.authenticate(message, request.remote)
        outcome = f"login {session_id(message.token).hex()}"
        return reply_in("json", serialize_json(sealed.serialize(names)), outcome)

    async def message(self, request: OuterRequest, members: JsonObject) -> Reply:
        """The reply to a whole sealed request."""
        accepted, live = await self._accept(members)
        session = live.session
        ran = await self._run(request, accepted, session)
        if len(ran.response.body) > LARGE_BYTES:
            await give_way()
        outcome = _outcome(session, ran)
        plaintext = accepted.write_http_response(ran.response, self._settings.clock())
        # From here on only what the next step needs stays in memory.
        del ran
        if len(plaintext) > LARGE_BYTES:
            await give_way()
        body = accepted.seal_response(plaintext)
        return reply_in("json", body, outcome, session)

    async def _run(
        self, request: OuterRequest, accepted: AcceptedRequest, session: Session
    ) -> Dispatched:
        """The response to the request inside the message."""
        try:
            inside = accepted.http_request()
        except MalformedMessage as error:
            return Dispatched(sealed_error(400, error.public_code, str(error)))
        if len(inside.body) > LARGE_BYTES:
            await give_way()
        return await self._dispatcher.dispatch(request, inside, session)

    async def _logout(self, request: OuterRequest) -> Reply:
        accepted, live = await self._accept(await self._read_object(request))
        await self._sessions.end(live)
        body = accepted.seal_response(b"{}")
        reply = reply_in("json", body, f"session {live.session.id} (logout)", live.session)
        reply.ends_session = True
        return reply

    # --- sealed in place ---

    def is_sealed(self, members: JsonObject | None) -> bool:
        """Whether ``members`` are the members of a message sealed in place."""
        names = self._settings.dialect.names
        return members is not None and {names.token, names.key, names.payload} <= members.keys()

    async def in_place(self, request: OuterRequest, members: JsonObject) -> Reply:
        """The reply to a sealed body at a route of the application. Its body is sealed too."""
        accepted, live = await self._accept(members)
        session = live.session
        ran = await self._run_in_place(request, accepted, session)
        if len(ran.response.body) > LARGE_BYTES:
            await give_way()
        body = accepted.seal_response(ran.response.body)
        return _reply_in_place(body, ran, session)

    async def _run_in_place(
        self, request: OuterRequest, accepted: AcceptedRequest, session: Session
    ) -> Dispatched:
        kept = tuple(
            (name, value) for name, value in request.field_lines if name.lower() not in _NOT_KEPT
        )
        headers = (*kept, ("Content-Type", "application/json"))
        body = serialize_json(accepted.fields)
        inside = HttpRequest(request.method, request.raw_target, headers, body)
        if len(body) > LARGE_BYTES:
            await give_way()
        return await self._dispatcher.dispatch(request, inside, session, field_bytes=True)

    # --- every sealed message ---

    async def _accept(self, members: JsonObject) -> tuple[AcceptedRequest, LiveSession]:
        message = SealedRequest.parse(members, self._settings.dialect.names)
        # A large payload must not stay in memory until the answer.
        members.clear()
        size = len(message.sealed.payload)
        if size > LARGE_BYTES:
            await give_way()
        now_ms = self._settings.clock()
        live = await self._sessions.find(message.token, now_ms)
        unwrapped = self._exchange.unwrap_request(message, live.keys if live else None)
        del message
        tried = False
        if live and unwrapped.passphrase_tag:
            tag = unwrapped.passphrase_tag
            tried = await self._sessions.try_passphrase(live.session, tag, now_ms)
        decrypted = unwrapped.decrypt(tried)
        if size > LARGE_BYTES:
            await give_way()
        opened = decrypted.read(now_ms)
        if live is None:  # for the type checker: read has raised
            raise RejectedMessage
        if size > LARGE_BYTES:
            await give_way()
        claimed = await self._sessions.claim(live.session, opened.nonce_claim, now_ms)
        return opened.accept(claimed), live

    async def _read_object(self, request: OuterRequest) -> JsonObject:
        return parse_json_envelope(await read_login(request, self._settings.max_body_bytes))


def _outcome(session: Session, ran: Dispatched) -> str:
    return f"session {session.id} ({ran.refusal})" if ran.refusal else f"session {session.id}"


def _reply_in_place(body: bytes, ran: Dispatched, session: Session) -> Reply:
    """Status and headers of the handler, unchanged, with the sealed body (PROTOCOL §3.5.1)."""
    response = ran.response
    status = 200 if response.status in _BODILESS else response.status
    outer = reply_in("json", body, _outcome(session, ran), session, status)
    for name, value in response.headers:
        if name.lower() not in _BODY_HEADERS | _FILES_INSTEAD:
            outer.headers.add(name, value)
        elif name.lower() == "content-type":
            outer.headers[INNER_CONTENT_TYPE] = value
        elif name.lower() == "content-encoding":
            outer.headers[INNER_CONTENT_ENCODING] = value
    if status != response.status:
        outer.headers[INNER_STATUS] = str(response.status)
    return outer
