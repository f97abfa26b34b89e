"""An inner application whose failures the log reports without details (decision 124)."""

from gateway.private_profile import hidden
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse

from .inner_application import InnerApplication
from .pipe import StreamedRequest, StreamedResponse
from .socket_ends import AppSocket


class PrivateApplication(InnerApplication):
    """Runs ``application``. Tasks that it starts are hidden as well."""

    __slots__ = ("_application",)

    def __init__(self, application: InnerApplication) -> None:
        self._application = application

    async def run(
        self, inside: HttpRequest, session: Session, *, field_bytes: bool = False
    ) -> HttpResponse:
        with hidden():
            return await self._application.run(inside, session, field_bytes=field_bytes)

    async def run_streamed(
        self, inside: StreamedRequest, session: Session
    ) -> HttpResponse | StreamedResponse:
        with hidden():
            return await self._application.run_streamed(inside, session)

    async def run_socket(
        self, inside: HttpRequest, protocols: tuple[str, ...], session: Session
    ) -> HttpResponse | AppSocket:
        with hidden():
            return await self._application.run_socket(inside, protocols, session)
