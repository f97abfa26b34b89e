"""The request inside a sealed message: the checks before it runs, and its response.

A refusal is a response too: it is sealed, so only the client learns of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.errors import NoHost, RateLimited, UnsupportedContentEncoding
from gateway.events import Events, LimitHit
from gateway.policy.rate_limits import Limits
from gateway.policy.routes import RoutePolicy
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse

from .inner_application import InnerApplication
from .outer import OuterRequest
from .private_application import PrivateApplication
from .request_headers import check_inside
from .responses import sealed_error, status_and_text


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The response to seal. ``refusal`` is for the access log, empty unless a limit or a suite
    policy refused the request. ``ends_session`` if it was a logout.
    """

    response: HttpResponse
    refusal: str = ""
    ends_session: bool = False


class Dispatcher:
    """Runs requests that came inside accepted messages."""

    def __init__(
        self,
        routes: RoutePolicy,
        limits: Limits,
        tag_of: Callable[[str], bytes],
        events: Events,
        *,
        is_private: bool = False,
    ) -> None:
        """``tag_of`` gives the tag of a user by their name, for events.

        ``is_private`` is the private profile: the log gives no details of a failed request.
        """
        self._routes = routes
        self._limits = limits
        self._tag_of = tag_of
        self._events = events
        self._is_private = is_private

    def application_of(self, request: OuterRequest) -> InnerApplication:
        """The application that runs the request inside ``request``."""
        application = request.application
        return PrivateApplication(application) if self._is_private else application

    async def dispatch(
        self,
        request: OuterRequest,
        inside: HttpRequest,
        session: Session,
        *,
        field_bytes: bool = False,
    ) -> Dispatched:
        """The response to ``inside``, a request of ``session`` that came in ``request``.

        ``field_bytes`` as in ``InnerApplication.run``.
        """
        refused = await self.refusal(request, inside, session)
        if refused is not None:
            return refused
        run = self.application_of(request).run
        return Dispatched(await run(inside, session, field_bytes=field_bytes))

    async def refusal(
        self, request: OuterRequest, inside: HttpRequest, session: Session
    ) -> Dispatched | None:
        """The response to a request that must not run, or None. Counts it for the limits."""
        path = inside.target.partition("?")[0]
        may_be_own, demanded = self._routes.inside(session.suite, path)
        if may_be_own:
            text = "no route of the gateway exists inside a message"
            return Dispatched(sealed_error(404, "not_found", text))
        try:
            check_inside(inside.headers)
        except (UnsupportedContentEncoding, NoHost) as error:
            return Dispatched(sealed_error(*status_and_text(error)))
        try:
            if self._limits.counts_messages:
                await self._limits.message(session.id)
        except RateLimited as error:
            tag = self._tag_of(session.user)
            self._events.emit(LimitHit(error.limit, request.remote, tag))
            refused = sealed_error(*status_and_text(error))
            later = ("Retry-After", str(error.retry_after_s))
            response = replace(refused, headers=(*refused.headers, later))
            return Dispatched(response, "too_many")
        if demanded is not None:
            text = f"this route takes {demanded}: log in by a hardened suite"
            response = sealed_error(403, "suite_required", text, suite=demanded)
            return Dispatched(response, "suite_required")
        return None
