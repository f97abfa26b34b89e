"""HTTP to protocol and back. The only room where errors become statuses.

The middleware stands before every route of the application. Below the prefix it serves the
protocol's own routes. Elsewhere a public route passes as it is; any other must come sealed, in
place or inside ``{prefix}/message``, and plaintext is refused, never handled.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from protocol.codec import JsonObject, parse_json_envelope
from protocol.envelopes import Members, serialize_members
from protocol.errors import (
    MalformedMessage,
    RejectedMessage,
    RemoteProtocolError,
    UnsupportedSuite,
)
from protocol.messages import HttpRequest, HttpResponse

from .classic_routes import ClassicRoutes
from .client_script import ClientScript
from .config import Settings
from .errors import (
    BodyTooLarge,
    BrokenBody,
    CodingRefused,
    LoginRequired,
    StoreUnavailable,
)
from .events import Events, MessageRejected, MessageServed
from .hardened_routes import HardenedRoutes, format_of, packed
from .inner import (
    OUTCOME,
    SESSION,
    Handler,
    InnerRequest,
    inner_request,
    log_failure,
    run,
    told_inside,
)
from .request_body import read_body
from .requirements import Requirements
from .route_patterns import RoutePatterns
from .sessions import Session

__all__ = ["OUTCOME", "Middleware"]

# Apart from the rest, for those whose access log shows OUTCOME as well.
_refusals = logging.getLogger("certless.refused")
# A rejection leaves at a multiple of this after its request came, so that the few microseconds
# by which one reason differs from another do not show (PROTOCOL §8.3).
_REJECTION_STEP_S = 0.010
_MESSAGE = "/message"


class Middleware:
    """What ``setup`` puts in front of an application."""

    def __init__(self, app: web.Application, settings: Settings, events: Events) -> None:
        self._app = app
        self._settings = settings
        self._events = events
        self._script = ClientScript(settings)
        self._public = RoutePatterns(settings.public)
        self._requirements = Requirements(settings.require)
        self._classic: ClassicRoutes | None = None
        self._hardened: HardenedRoutes | None = None
        self._own_routes: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {}

    def serve(self, hardened: HardenedRoutes, classic: ClassicRoutes | None) -> None:
        """Called once, with the routes that the protocol answers itself."""
        self._hardened, self._classic = hardened, classic
        prefix, paths = self._settings.prefix, self._settings.dialect.paths
        refused = dict.fromkeys(
            (prefix + path for path in (paths.session, paths.authenticate, paths.logout)),
            _without_classic,
        )
        self._own_routes = {
            **(classic.routes if classic else refused),
            **hardened.routes,
            prefix + paths.message: self._message,
            prefix + _MESSAGE: self._message,
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
        # What demands a suite is not public, whatever else was set.
        if not is_own and self._public.match(path) and self._requirements.of(path) is None:
            return await handler(request)
        arrived_s = time.monotonic()
        try:
            if hdrs.CONTENT_ENCODING in request.headers:
                raise CodingRefused("send the body without a Content-Encoding")
            response = await (self._own(request, path) if is_own else self._in_place(request))
            if (session := request.get(SESSION)) is not None:
                seconds = time.monotonic() - arrived_s
                self._events.tell(MessageServed(bytes.fromhex(session.id), session.suite, seconds))
            return response
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
        exact = error.code if isinstance(error, RemoteProtocolError) else code
        self._events.tell(MessageRejected(exact, request.remote or ""))
        _refusals.info(
            "%s %s: %s", request.remote, request.rel_url.raw_path[:200], request[OUTCOME]
        )
        response = _told(request, status, code, text)
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
            return _told(request, 404, "not_found", "no such route")
        if request.method != hdrs.METH_POST:
            request[OUTCOME] = "method"
            response = _told(request, 405, "method", "use POST")
            response.headers[hdrs.ALLOW] = hdrs.METH_POST
            return response
        return await serve(request)

    async def _message(self, request: web.Request) -> web.Response:
        form = format_of(request)
        members = Members(form, await self._read(request))
        # msgpack is of the hardened suites alone; in JSON the header tells (PROTOCOL §15.1).
        if self._hardened and (form == "msgpack" or members.has("header")):
            return await self._hardened.message(request, members)
        if self._classic is None:
            return await _without_classic(request)
        return await self._classic.message(request, members.left())

    async def _in_place(self, request: web.Request) -> web.Response:
        session = self._settings.dialect.paths.session if self._classic else "/session/hello"
        refusal = LoginRequired(
            f"this route takes sealed messages only: log in at {self._settings.prefix}{session}"
        )
        if request.method != hdrs.METH_POST or self._classic is None:
            raise refusal
        members = _members_of(await self._read(request))
        if members is None or not self._classic.is_sealed(members):
            raise refusal
        return await self._classic.in_place(request, members)

    # --- what was inside ---

    async def dispatch(
        self, request: web.Request, inside: HttpRequest, session: Session
    ) -> HttpResponse:
        """What the application answers to ``inside``; what the gateway refuses, it says inside."""
        if any(name.lower() == "content-encoding" for name, _ in inside.headers):
            refused = CodingRefused("send the body without a Content-Encoding")
            return told_inside(*_visible(refused))
        path = inside.target.partition("?")[0]
        demanded = self._requirements.missed_by(session.suite, path)
        if demanded is not None:
            request[OUTCOME] = f"session {session.id} (suite_required)"
            text = f"this route takes {demanded}: log in by a hardened suite"
            return told_inside(403, "suite_required", text, suite=demanded)
        inner = inner_request(request, inside, session, self._settings.max_body_bytes)
        # The application's own entry: resolves the route and runs its other middlewares.
        return await run(self._app._handle, inner)

    async def _read(self, request: web.Request) -> bytes:
        return await read_body(request, self._settings.max_body_bytes)


async def _without_classic(_: web.Request) -> web.Response:
    raise UnsupportedSuite("classic is not spoken here: log in by a hardened suite")


async def _wait_for_step(arrived_s: float) -> None:
    passed_s = time.monotonic() - arrived_s
    await asyncio.sleep(_REJECTION_STEP_S - passed_s % _REJECTION_STEP_S)


def _members_of(body: bytes) -> JsonObject | None:
    try:
        return parse_json_envelope(body)
    except MalformedMessage:
        return None


def _told(request: web.Request, status: int, code: str, text: str) -> web.Response:
    """An error outside a seal, in the format of the request."""
    body = serialize_members(format_of(request), {"error": code, "message": text})
    return packed(request, body, status)


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
