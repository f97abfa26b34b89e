"""HTTP to protocol and back. The only room where errors become statuses.

The middleware stands before every route of the application. Below the prefix it serves the
protocol's own routes. Elsewhere a public route passes as it is; any other must come sealed, in
place or inside ``{prefix}/message``, and plaintext is refused, never handled.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web
from multidict import CIMultiDict

from protocol.codec import JsonObject, parse_json, parse_json_object, serialize_json
from protocol.codes import session_id
from protocol.errors import MalformedMessage, RejectedMessage, RemoteProtocolError
from protocol.exchange import AcceptedRequest, ServerExchange
from protocol.messages import (
    AuthenticateRequest,
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SealedRequest,
    SessionRequest,
)

from .client_script import ClientScript
from .config import Settings
from .errors import (
    BodyTooLarge,
    BrokenBody,
    CodingRefused,
    LoginRequired,
    StoreUnavailable,
)
from .inner import Handler, InnerRequest, inner_request, log_failure, run
from .login import Login
from .request_body import read_body
from .route_patterns import RoutePatterns
from .sessions import LiveSession, Session, Sessions

OUTCOME: web.RequestKey[str] = web.RequestKey("certless_outcome", str)

# Apart from the rest, for those whose access log shows OUTCOME as well.
_refusals = logging.getLogger("certless.refused")
# A rejection leaves at a multiple of this after its request came, so that the few microseconds
# by which one reason differs from another do not show (PROTOCOL §8.3).
_REJECTION_STEP_S = 0.010
_JSON_HEADERS = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-store"})
# Statuses that cannot carry a body, and so no seal.
_BODILESS = frozenset({204, 205, 304})
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "date", "server"})
INNER_CONTENT_TYPE = "Certless-Content-Type"
INNER_CONTENT_ENCODING = "Certless-Content-Encoding"
INNER_STATUS = "Certless-Status"


class Middleware:
    """What ``setup`` puts in front of an application."""

    def __init__(
        self,
        app: web.Application,
        settings: Settings,
        exchange: ServerExchange,
        sessions: Sessions,
        login: Login,
    ) -> None:
        self._app = app
        self._settings = settings
        self._exchange = exchange
        self._sessions = sessions
        self._login = login
        self._script = ClientScript(settings)
        self._public = RoutePatterns(settings.public)
        paths = settings.dialect.paths
        self._own_routes: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
            settings.prefix + paths.session: self._initiate,
            settings.prefix + paths.authenticate: self._authenticate,
            settings.prefix + paths.message: self._message,
            settings.prefix + paths.logout: self._logout,
        }

    @property
    def own_paths(self) -> tuple[str, ...]:
        """The paths that the protocol answers itself."""
        return tuple(self._own_routes)

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One request of the application."""
        if isinstance(request, InnerRequest):
            return await handler(request)
        path = request.rel_url.raw_path
        is_own = path == self._settings.prefix or path.startswith(self._settings.prefix + "/")
        if not is_own and self._public.match(path):
            return await handler(request)
        arrived_s = time.monotonic()
        try:
            if hdrs.CONTENT_ENCODING in request.headers:
                raise CodingRefused("send the body without a Content-Encoding")
            if is_own:
                return await self._own(request, path)
            return await self._in_place(request)
        except RejectedMessage as error:
            await _wait_for_step(arrived_s)
            return self._refuse(request, error)
        except Exception as error:
            return self._refuse(request, error)

    def _refuse(self, request: web.Request, error: Exception) -> web.Response:
        status, code, text = _visible(error)
        if status == 413:
            text = (
                f"the body is larger than {self._settings.max_body_bytes} bytes as it travels: "
                "sealing adds a third, and a third again to binary content"
            )
        request[OUTCOME] = code
        if isinstance(error, RejectedMessage):
            request[OUTCOME] = f"{code} ({error.code}: {error})"
        _refusals.info(
            "%s %s: %s", request.remote, request.rel_url.raw_path[:200], request[OUTCOME]
        )
        response = _json_response(status, {"error": code, "message": text})
        if status == 401:
            response.headers[hdrs.WWW_AUTHENTICATE] = f'Certless prefix="{self._settings.prefix}"'
        if status in (413, 415):
            # What was not read must not be taken for the next request.
            response.force_close()
        return response

    # --- the protocol's own routes ---

    async def _own(self, request: web.Request, path: str) -> web.Response:
        serve = self._own_routes.get(path)
        if serve is None and (script := self._script.answer(request)):
            request[OUTCOME] = "client script"
            return script
        if serve is None:
            request[OUTCOME] = "not_found"
            return _json_response(404, {"error": "not_found", "message": "no such route"})
        if request.method != hdrs.METH_POST:
            request[OUTCOME] = "method"
            response = _json_response(405, {"error": "method", "message": "use POST"})
            response.headers[hdrs.ALLOW] = hdrs.METH_POST
            return response
        return await serve(request)

    async def _initiate(self, request: web.Request) -> web.Response:
        names = self._settings.dialect.names
        request[OUTCOME] = "login asked"
        message = SessionRequest.parse(await self._read_object(request), names)
        grant = await self._login.initiate(message, request.remote or "an unknown address")
        return _json_response(201, grant.serialize(names))

    async def _authenticate(self, request: web.Request) -> web.Response:
        names = self._settings.dialect.names
        message = AuthenticateRequest.parse(await self._read_object(request), names)
        request[OUTCOME] = f"login {session_id(message.token).hex()}"
        return self._sealed_response(await self._login.authenticate(message))

    async def _message(self, request: web.Request) -> web.Response:
        accepted, session = await self._accept(request, await self._read_object(request))
        try:
            inside = accepted.http_request()
            response = await self._dispatch(request, inside, session)
        except (MalformedMessage, CodingRefused) as error:
            status, code, text = _visible(error)
            body = serialize_json({"error": code, "message": text})
            response = HttpResponse(status, ((hdrs.CONTENT_TYPE, "application/json"),), body)
        return self._sealed_response(
            accepted.seal_http_response(response, self._settings.clock(), secrets.token_bytes)
        )

    async def _logout(self, request: web.Request) -> web.Response:
        accepted, session = await self._accept(request, await self._read_object(request))
        await self._sessions.end(bytes.fromhex(session.id))
        return self._sealed_response(accepted.seal_response(b"{}", secrets.token_bytes))

    # --- sealed in place ---

    async def _in_place(self, request: web.Request) -> web.Response:
        refusal = LoginRequired(
            f"this route takes sealed messages only: log in at {self._settings.prefix}"
            f"{self._settings.dialect.paths.session}"
        )
        if request.method != hdrs.METH_POST:
            raise refusal
        members = _members_of(await self._read(request))
        names = self._settings.dialect.names
        if members is None or not {names.token, names.key, names.payload} <= members.keys():
            raise refusal
        accepted, session = await self._accept(request, members)
        kept = tuple(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _BODY_HEADERS
        )
        body = serialize_json(accepted.fields)
        headers = (*kept, (hdrs.CONTENT_TYPE, "application/json"))
        inside = HttpRequest(request.method, request.rel_url.raw_path_qs, headers, body)
        response = await self._dispatch(request, inside, session)
        return self._sealed_in_place(response, accepted)

    def _sealed_in_place(self, response: HttpResponse, accepted: AcceptedRequest) -> web.Response:
        """The handler's status and headers as they are, and its body sealed (PROTOCOL §6.1)."""
        sealed = accepted.seal_response(response.body, secrets.token_bytes)
        status = 200 if response.status in _BODILESS else response.status
        outer = self._sealed_response(sealed, status)
        for name, value in response.headers:
            if name.lower() not in _BODY_HEADERS:
                outer.headers.add(name, value)
            elif name.lower() == "content-type":
                outer.headers[INNER_CONTENT_TYPE] = value
            elif name.lower() == "content-encoding":
                outer.headers[INNER_CONTENT_ENCODING] = value
        if status != response.status:
            outer.headers[INNER_STATUS] = str(response.status)
        return outer

    # --- what every sealed message goes through ---

    async def _accept(
        self, request: web.Request, members: JsonObject
    ) -> tuple[AcceptedRequest, Session]:
        message = SealedRequest.parse(members, self._settings.dialect.names)
        live: LiveSession | None = await self._sessions.find(message.token)
        unwrapped = self._exchange.unwrap_request(message, live.keys if live else None)
        tried = False
        if live and unwrapped.passphrase_tag:
            tried = await self._sessions.try_passphrase(live.session, unwrapped.passphrase_tag)
        opened = unwrapped.open(tried, self._settings.clock())
        if live is None:  # open has raised; this is for the type checker
            raise RejectedMessage
        claimed = await self._sessions.claim(live.session, opened.nonce_claim)
        accepted = opened.accept(claimed)
        request[OUTCOME] = f"session {live.session.id}"
        return accepted, live.session

    async def _dispatch(
        self, request: web.Request, inside: HttpRequest, session: Session
    ) -> HttpResponse:
        if any(name.lower() == "content-encoding" for name, _ in inside.headers):
            raise CodingRefused("send the body without a Content-Encoding")
        inner = inner_request(request, inside, session, self._settings.max_body_bytes)
        # The application's own entry: resolves the route and runs its other middlewares.
        return await run(self._app._handle, inner)

    # --- reading and writing ---

    async def _read(self, request: web.Request) -> bytes:
        return await read_body(request, self._settings.max_body_bytes)

    async def _read_object(self, request: web.Request) -> JsonObject:
        return parse_json_object(await self._read(request))

    def _sealed_response(self, sealed: SealedMessage, status: int = 200) -> web.Response:
        return _json_response(status, sealed.serialize(self._settings.dialect.names))


async def _wait_for_step(arrived_s: float) -> None:
    passed_s = time.monotonic() - arrived_s
    await asyncio.sleep(_REJECTION_STEP_S - passed_s % _REJECTION_STEP_S)


def _members_of(body: bytes) -> JsonObject | None:
    try:
        value = parse_json(body)
    except MalformedMessage:
        return None
    return value if isinstance(value, dict) else None


def _json_response(status: int, value: Any) -> web.Response:
    return web.Response(status=status, body=serialize_json(value), headers=_JSON_HEADERS)


def _visible(error: Exception) -> tuple[int, str, str]:
    """Status, public code and text of what went wrong. A rejection has one of each."""
    match error:
        case RejectedMessage():
            return 403, error.public_code, "not accepted; if this lasts, log in again"
        case RemoteProtocolError():
            return 400, error.public_code, str(error)
        case LoginRequired():
            return 401, "login_required", str(error)
        case BodyTooLarge():
            return 413, "too_large", str(error)
        case BrokenBody():
            return 400, "malformed", str(error)
        case CodingRefused():
            return 415, "content_encoding", str(error)
        case StoreUnavailable():
            log_failure("store", error)
            return 503, "unavailable", "not accepted; try again in a moment"
        case _:
            log_failure("gateway", error)
            return 500, "internal", "the gateway failed"
