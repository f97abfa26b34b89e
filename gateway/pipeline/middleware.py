"""The entry of every request: public, a route of the protocol, sealed, or refused.

The middleware runs before every route of the application. Below the prefix it serves the routes of
the protocol. Elsewhere a public route passes unchanged. Any other request must come sealed, in
place or inside ``{prefix}/message``. Plaintext for such a route is refused.

The module is long because all requests enter here, and each kind of them has a branch.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from multidict import CIMultiDict

from gateway.config.settings import Settings
from gateway.errors import ForeignOrigin, LoginRequired, NoHost, RateLimited, TooManyBodies
from gateway.events import Events, LimitHit, MessageRejected, MessageServed
from gateway.logs import word
from gateway.policy.rate_limits import Limits
from gateway.policy.routes import RoutePolicy
from gateway.private_profile import NOT_LOGGED
from protocol.common.codec import MAX_JSON_MARKS, JsonObject, parse_json_envelope
from protocol.common.envelopes import Members
from protocol.common.errors import (
    MalformedMessage,
    RejectedMessage,
    RemoteProtocolError,
    UnsupportedSuite,
)

from .classic_routes import ClassicRoutes
from .client_script import ClientScript
from .cors import CrossOrigin
from .hardened_routes import HELLO, HardenedRoutes
from .login_page import LoginPage
from .outer import LARGE_BYTES, OuterRequest, Reply, give_way
from .request_headers import check_no_content_encoding, is_cross_site
from .responses import error_reply, status_and_text
from .socket_ends import Connection
from .socket_routes import SOCKET, SocketRoutes
from .stream_routes import STREAM, StreamRoutes

# A logger of its own, for integrators whose access log shows OUTCOME as well.
_refusals = logging.getLogger("certless.refused")
# A rejection leaves at a multiple of this time after its request came. So the few microseconds by
# which one reason differs from another do not show (PROTOCOL §1.13).
_REJECTION_STEP_S = 0.010
# Rate-limited replies are delayed by 50 to 150 ms at random. A flood that waits for its replies
# then leaves the event loop to other requests.
_LATER_S = 0.1
_MESSAGE = "/message"
# The close code of a connection for an error is this and the status.
_CLOSE_CODE_BASE = 4000

_Serve: TypeAlias = Callable[[OuterRequest], Awaitable[Reply]]


class Middleware:
    """Replies to every request that does not pass unchanged."""

    def __init__(
        self,
        settings: Settings,
        routes: RoutePolicy,
        limits: Limits,
        hardened: HardenedRoutes,
        classic: ClassicRoutes | None,
        streams: StreamRoutes,
        sockets: SocketRoutes,
        events: Events,
    ) -> None:
        """``classic`` is None if the classic suite is off."""
        self._settings = settings
        self._routes = routes
        self._limits = limits
        self._hardened = hardened
        self._classic = classic
        self._streams = streams
        self._sockets = sockets
        self._socket_path = settings.prefix + SOCKET
        self._stream_path = f"{settings.prefix}{STREAM}/"
        self._events = events
        self._script = ClientScript(settings)
        self._login_page = LoginPage(settings)
        self._cross_origin = CrossOrigin(settings.cors) if settings.cors else None
        prefix, paths = settings.prefix, settings.dialect.paths
        refused = dict.fromkeys(
            (prefix + path for path in (paths.session, paths.authenticate, paths.logout)),
            _without_classic,
        )
        self._protocol_routes: dict[str, _Serve] = {
            **(classic.routes if classic else refused),
            **hardened.routes,
            prefix + paths.message: self._message,
            prefix + _MESSAGE: self._message,
            prefix + STREAM: streams.open,
        }
        # Requests below the prefix that the private profile logs. A refused one can be a message.
        self._login_paths = {*(classic.routes if classic else refused), *hardened.routes}
        self._asks_for_mails = {prefix + paths.session, prefix + HELLO}

    @property
    def protocol_paths(self) -> tuple[str, ...]:
        """The paths of the protocol's own routes."""
        return (*self._protocol_routes, self._socket_path)

    def is_public(self, method: str, raw_path: str) -> bool:
        """Whether such a request passes unchanged. If not, ``answer`` it."""
        return self._routes.is_public(method, raw_path)

    async def answer(self, request: OuterRequest) -> Reply:
        """The reply to a request that is not public."""
        arrived_s = time.monotonic()
        try:
            reply = await self._reply(request)
        except Exception as error:
            reply = await self._refuse_later(request, error, arrived_s)
        if self._events.watched and (session := reply.session) is not None:
            seconds = time.monotonic() - arrived_s
            self._events.emit(MessageServed(bytes.fromhex(session.id), session.suite, seconds))
        if self._is_hidden(request, reply):
            reply.outcome = NOT_LOGGED
        if self._cross_origin is not None and self._routes.is_own(request.raw_path):
            self._cross_origin.allow(request, reply)
        return reply

    async def serve_socket(self, request: OuterRequest, connection: Connection) -> str:
        """Serve the WebSocket of ``request`` to its end; the outcome for the access log.

        An error outside a seal is the close of the connection (PROTOCOL §2.11.1).
        """
        outcome = await self._served_socket(request, connection)
        return NOT_LOGGED if self._settings.private_profile else outcome

    async def _served_socket(self, request: OuterRequest, connection: Connection) -> str:
        arrived_s = time.monotonic()
        try:
            return await self._sockets.serve(request, connection, arrived_s)
        except ConnectionError:
            return "socket (the client has gone)"
        except Exception as error:
            reply = await self._refuse_later(request, error, arrived_s)
            code = reply.outcome.partition(" ")[0]
            await connection.close(_CLOSE_CODE_BASE + reply.status, code)
            return reply.outcome

    async def _refuse_later(
        self, request: OuterRequest, error: Exception, arrived_s: float
    ) -> Reply:
        """The refusal, at a time that tells nothing and slows down floods."""
        if isinstance(error, RejectedMessage):
            await _wait_for_step(arrived_s)
        elif isinstance(error, RateLimited):
            await asyncio.sleep(_LATER_S * random.uniform(0.5, 1.5))  # noqa: S311 (no secret)
        return self._refuse(request, error)

    async def _reply(self, request: OuterRequest) -> Reply:
        if not request.has_one_host:
            raise NoHost("send one header Host, like example.org or 192.0.2.7:8080")
        check_no_content_encoding(request.headers)
        serve = self._protocol_routes.get(request.raw_path)
        if serve is not None:
            return self._refused(request) or await serve(request)
        if request.raw_path == self._socket_path:
            return _handshake(request)
        if request.raw_path.startswith(self._stream_path):
            return self._refused(request) or await self._streams.body(request)
        if not self._routes.is_own(request.raw_path):
            return await self._in_place(request)
        script = self._script.answer(request)
        return script or error_reply(request, 404, "not_found", "no such route")

    def _refuse(self, request: OuterRequest, error: Exception) -> Reply:
        status, code, text = status_and_text(error)
        outcome = code
        if status == 413 and not str(error):
            text = (
                f"the body is larger than {self._settings.max_body_bytes} bytes as it travels: "
                "sealing adds a third, and a third again to binary content"
            )
        if isinstance(error, RejectedMessage) and _may_be_dense(request):
            # This depends only on the public size, so every rejection of that size has this text.
            text += (
                f" (JSON inside has at most {MAX_JSON_MARKS} commas and opening brackets: send "
                f"more of it as text, in the body of a request to {self._settings.prefix}/message)"
            )
        if isinstance(error, RejectedMessage):
            outcome = f"{code} ({error.code}: {error})"
        exact = error.code if isinstance(error, RemoteProtocolError) else code
        self._events.emit(MessageRejected(exact, request.remote))
        if not self._is_private_path(request):
            _refusals.info("%s %s: %s", request.remote, word(request.raw_path), outcome)
        page = self._login_page.answer(request, outcome) if status == 401 else None
        reply = page or error_reply(request, status, code, text, outcome)
        if isinstance(error, RateLimited):
            self._events.emit(LimitHit(error.limit, request.remote, error.user_tag))
            reply.headers["Retry-After"] = str(error.retry_after_s)
        if reply.status == 401:
            reply.headers["WWW-Authenticate"] = f'Certless prefix="{self._settings.prefix}"'
        if status in (408, 413, 415) or isinstance(error, TooManyBodies):
            reply.closes = True
        return reply

    def _is_hidden(self, request: OuterRequest, reply: Reply) -> bool:
        """Whether the private profile has no line of this request in the access log."""
        if not self._settings.private_profile or reply.ends_session:
            return False
        return reply.session is not None or self._is_private_path(request)

    def _is_private_path(self, request: OuterRequest) -> bool:
        """Whether the private profile hides a refused request, or one for a script."""
        path = request.raw_path
        is_own = self._settings.private_profile and self._routes.is_own(path)
        return is_own and path not in self._login_paths

    # --- the routes of the protocol ---

    def _refused(self, request: OuterRequest) -> Reply | None:
        """The reply to a request that a route of the protocol does not take, or None.

        Raises: ForeignOrigin, RateLimited.
        """
        cross_origin = self._cross_origin
        if cross_origin is not None and (preflight := cross_origin.preflight(request)):
            return preflight
        if request.method != "POST":
            reply = error_reply(request, 405, "method", "use POST")
            reply.headers["Allow"] = "POST"
            return reply
        if request.raw_path in self._asks_for_mails:
            if is_cross_site(request):
                raise ForeignOrigin("no logins from pages of other sites: send JSON or msgpack")
            self._limits.refuse_logins_from(request.remote)
        return None

    async def _message(self, request: OuterRequest) -> Reply:
        # Only the hardened suites use msgpack. In JSON the header tells (PROTOCOL §5.5).
        if request.format == "msgpack":
            return await self._hardened.message(
                request, Members.parse("msgpack", await self._read(request))
            )
        members = parse_json_envelope(await self._read(request))
        if "header" in members:
            return await self._hardened.message(request, Members("json", members))
        if self._classic is None:
            return await _without_classic(request)
        return await self._classic.message(request, members)

    async def _read(self, request: OuterRequest) -> bytes:
        """The body. Only the parser keeps it, so that a large one is freed after that."""
        body = await request.read(self._settings.max_body_bytes)
        if len(body) > LARGE_BYTES:
            await give_way()
        return body

    # --- messages sealed in place ---

    async def _in_place(self, request: OuterRequest) -> Reply:
        session = self._settings.dialect.paths.session if self._classic else HELLO
        refusal = LoginRequired(
            f"this route takes sealed messages only: log in at {self._settings.prefix}{session}"
        )
        if request.method != "POST" or self._classic is None:
            raise refusal
        members = _members_of(await self._read(request))
        if members is None or not self._classic.is_sealed(members):
            raise refusal
        return await self._classic.in_place(request, members)


def _handshake(request: OuterRequest) -> Reply:
    if request.method != "GET":
        reply = error_reply(request, 405, "method", "use GET")
        reply.headers["Allow"] = "GET"
        return reply
    if not request.is_handshake:
        raise MalformedMessage("this route takes WebSockets: send the handshake of one")
    return Reply(101, CIMultiDict(), b"", "socket", opens_socket=True)


async def _without_classic(_: OuterRequest) -> Reply:
    raise UnsupportedSuite("classic is not spoken here: log in by a hardened suite")


async def _wait_for_step(arrived_s: float) -> None:
    passed_s = time.monotonic() - arrived_s
    await asyncio.sleep(_REJECTION_STEP_S - passed_s % _REJECTION_STEP_S)


def _members_of(body: bytes) -> JsonObject | None:
    try:
        return parse_json_envelope(body)
    except MalformedMessage:
        return None


def _may_be_dense(request: OuterRequest) -> bool:
    """Whether the request is long enough for more values than JSON inside a seal may have."""
    length = request.headers.get("Content-Length", "")
    return length.isascii() and length.isdigit() and int(length[:20]) > 2 * MAX_JSON_MARKS
