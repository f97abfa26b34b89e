"""HTTP to protocol and back.

The middleware stands before every route of the application. Below the prefix it serves the
protocol's own routes. Elsewhere a public route passes as it is; any other must come sealed, in
place or inside ``{prefix}/message``, and plaintext is refused, never handled.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from gateway.config.settings import Settings
from gateway.errors import (
    ForeignOrigin,
    LoginRequired,
    NoHost,
    RateLimited,
    TooManyBodies,
    UnsupportedContentEncoding,
)
from gateway.events import Events, LimitHit, MessageRejected, MessageServed
from gateway.logs import word
from gateway.policy.own_paths import OwnPaths
from gateway.policy.rate_limits import Limits
from gateway.policy.route_patterns import RoutePatterns
from gateway.policy.suites import SuitePolicy
from gateway.sessions.session import Session
from protocol.common.codec import MAX_JSON_MARKS, JsonObject, parse_json_envelope
from protocol.common.envelopes import Members
from protocol.common.errors import (
    MalformedMessage,
    RejectedMessage,
    RemoteProtocolError,
    UnsupportedSuite,
)
from protocol.common.messages import HttpRequest, HttpResponse

from .classic_routes import ClassicRoutes
from .client_script import ClientScript
from .cross_site import is_cross_site
from .hardened_routes import HELLO, HardenedRoutes, format_of
from .header_names import folded
from .hosts import is_one_host
from .inner import sealed_error
from .outer import OuterRequest, Reply
from .responses import error_reply, status_and_text
from .turns import give_way

# Apart from the rest, for those whose access log shows OUTCOME as well.
_refusals = logging.getLogger("certless.refused")
_log = logging.getLogger("certless")
# A rejection leaves at a multiple of this after its request came, so that the few microseconds
# by which one reason differs from another do not show (PROTOCOL §8.3).
_REJECTION_STEP_S = 0.010
# Who is told to come later is told so a little later, each at a time of his own: a flood that waits
# for its answers then leaves the loop to others.
_LATER_S = 0.1
_MESSAGE = "/message"


class Middleware:
    """What ``setup`` puts in front of an application."""

    def __init__(
        self, settings: Settings, limits: Limits, tag_of: Callable[[str], bytes], events: Events
    ) -> None:
        self._settings = settings
        self._tag_of = tag_of
        self._limits = limits
        self._events = events
        self._script = ClientScript(settings)
        self._own_paths = OwnPaths(settings.prefix)
        self._public = RoutePatterns(settings.public)
        self._suite_policy = SuitePolicy(settings.require)
        self._classic: ClassicRoutes | None = None
        self._hardened: HardenedRoutes | None = None
        self._own_routes: dict[str, Callable[[OuterRequest], Awaitable[Reply]]] = {}
        prefix = settings.prefix
        self._asks_for_mails = {prefix + settings.dialect.paths.session, prefix + HELLO}

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

    def is_public(self, raw_path: str) -> bool:
        """Whether a request for ``raw_path`` passes as it is; any other is answered here."""
        # What demands a suite is not public, whatever else was set.
        return (
            self._public.match(raw_path)
            and not self._own_paths.may_have(raw_path)
            and self._suite_policy.of(raw_path) is None
        )

    async def answer(self, request: OuterRequest) -> Reply:
        """The answer to one request that is not public."""
        path, arrived_s = request.raw_path, time.monotonic()
        try:
            if not request.has_one_host:
                raise NoHost("send one header Host, like example.org or 192.0.2.7:8080")
            _check_no_coding(request.headers)
            is_own = self._own_paths.have(path)
            reply = await (self._own(request, path) if is_own else self._in_place(request))
            if (session := request.session) is not None:
                seconds = time.monotonic() - arrived_s
                self._events.emit(MessageServed(bytes.fromhex(session.id), session.suite, seconds))
            return reply
        except RejectedMessage as error:
            await _wait_for_step(arrived_s)
            return self._refuse(request, error)
        except RateLimited as error:
            await asyncio.sleep(_LATER_S * random.uniform(0.5, 1.5))  # noqa: S311 (no secret)
            return self._refuse(request, error)
        except Exception as error:
            return self._refuse(request, error)

    def _refuse(self, request: OuterRequest, error: Exception) -> Reply:
        status, code, text = status_and_text(error)
        if status == 413 and not str(error):
            text = (
                f"the body is larger than {self._settings.max_body_bytes} bytes as it travels: "
                "sealing adds a third, and a third again to binary content"
            )
        request.outcome = code
        if isinstance(error, RejectedMessage) and _may_be_dense(request):
            # By its public size alone, and so for each rejection of that size.
            text += (
                f" (JSON inside has at most {MAX_JSON_MARKS} commas and opening brackets: send "
                f"more of it as text, in the body of a request to {self._settings.prefix}/message)"
            )
        if isinstance(error, RejectedMessage):
            request.outcome = f"{code} ({error.code}: {error})"
        exact = error.code if isinstance(error, RemoteProtocolError) else code
        self._events.emit(MessageRejected(exact, request.remote))
        _refusals.info("%s %s: %s", request.remote, word(request.raw_path), request.outcome)
        reply = error_reply(request, status, code, text)
        if isinstance(error, RateLimited):
            self._events.emit(LimitHit(error.limit, request.remote, error.user_tag))
            reply.headers["Retry-After"] = str(error.retry_after_s)
        if status == 401:
            reply.headers["WWW-Authenticate"] = f'Certless prefix="{self._settings.prefix}"'
        if status in (408, 413, 415) or isinstance(error, TooManyBodies):
            reply.closes = True
        return reply

    # --- the protocol's own routes ---

    async def _own(self, request: OuterRequest, path: str) -> Reply:
        serve = self._own_routes.get(path)
        if serve is None and (script := self._script.answer(request)):
            request.outcome = "client script"
            return script
        if serve is None:
            request.outcome = "not_found"
            return error_reply(request, 404, "not_found", "no such route")
        if request.method != "POST":
            request.outcome = "method"
            reply = error_reply(request, 405, "method", "use POST")
            reply.headers["Allow"] = "POST"
            return reply
        if path in self._asks_for_mails:
            if is_cross_site(request):
                raise ForeignOrigin("no logins from pages of other sites: send JSON or msgpack")
            self._limits.refuse_logins_from(request.remote)
        return await serve(request)

    async def _message(self, request: OuterRequest) -> Reply:
        form, body = format_of(request), await self._read(request)
        await give_way(len(body))
        members = Members(form, body)
        # msgpack is of the hardened suites alone; in JSON the header tells (PROTOCOL §15.1).
        if self._hardened and (form == "msgpack" or members.has("header")):
            return await self._hardened.message(request, members)
        if self._classic is None:
            return await _without_classic(request)
        return await self._classic.message(request, members.left())

    async def _in_place(self, request: OuterRequest) -> Reply:
        session = self._settings.dialect.paths.session if self._classic else "/session/hello"
        refusal = LoginRequired(
            f"this route takes sealed messages only: log in at {self._settings.prefix}{session}"
        )
        if request.method != "POST" or self._classic is None:
            raise refusal
        body = await self._read(request)
        await give_way(len(body))
        members = _members_of(body)
        if members is None or not self._classic.is_sealed(members):
            raise refusal
        return await self._classic.in_place(request, members)

    # --- what was inside ---

    async def dispatch(
        self, request: OuterRequest, inside: HttpRequest, session: Session
    ) -> HttpResponse:
        """What the application answers to ``inside``; what the gateway refuses, it says inside."""
        path = inside.target.partition("?")[0]
        if self._own_paths.may_have(path):
            return sealed_error(404, "not_found", "no route of the gateway exists inside a message")
        try:
            _check_no_coding(name for name, _ in inside.headers)
            hosts = [value for name, value in inside.headers if name.lower() == "host"]
            if not is_one_host(hosts, may_be_none=True):
                raise NoHost("send one header Host inside, like example.org, or none")
        except (UnsupportedContentEncoding, NoHost) as error:
            return sealed_error(*status_and_text(error))
        try:
            await self._limits.message(session.id)
        except RateLimited as error:
            request.outcome = f"session {session.id} (too_many)"
            tag = self._tag_of(session.user)
            self._events.emit(LimitHit(error.limit, request.remote, tag))
            told = sealed_error(*status_and_text(error))
            later = ("Retry-After", str(error.retry_after_s))
            return replace(told, headers=(*told.headers, later))
        demanded = self._suite_policy.violated_by(session.suite, path)
        if demanded is not None:
            request.outcome = f"session {session.id} (suite_required)"
            text = f"this route takes {demanded}: log in by a hardened suite"
            return sealed_error(403, "suite_required", text, suite=demanded)
        return await request.run(inside, session)

    async def _read(self, request: OuterRequest) -> bytes:
        return await request.read(self._settings.max_body_bytes)


def _check_no_coding(names: Iterable[str]) -> None:
    if any(folded(name) == "content-encoding" for name in names):
        raise UnsupportedContentEncoding("send the body without a Content-Encoding")


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
    """Whether as many values as are refused inside a seal have room in the request."""
    length = request.headers.get("Content-Length", "")
    return length.isascii() and length.isdigit() and int(length[:20]) > 2 * MAX_JSON_MARKS
