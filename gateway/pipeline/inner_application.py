"""The interface to the program that runs a request from a sealed message.

An application of aiohttp, an application of ASGI and the upstream of the reverse proxy implement
it. The ``Dispatcher`` and the routes of streams and sockets call it.
"""

from abc import ABC, abstractmethod

from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse

from .pipe import StreamedRequest, StreamedResponse
from .socket_ends import AppSocket


class InnerApplication(ABC):
    """Runs the request that came inside one outer request. It writes nothing to the client.

    If the program fails, the response is an error with a status of 500 or more.
    """

    __slots__ = ()

    @abstractmethod
    async def run(
        self, inside: HttpRequest, session: Session, *, field_bytes: bool = False
    ) -> HttpResponse:
        """The response to ``inside``, as if ``inside`` had come in plain.

        Header values of ``inside`` and of the response are text, or one character for each byte if
        ``field_bytes`` is set.
        """

    @abstractmethod
    async def run_streamed(
        self, inside: StreamedRequest, session: Session
    ) -> HttpResponse | StreamedResponse:
        """As ``run`` with ``field_bytes``.

        A response that is long, or of unknown length, is returned while its body is written.
        """

    @abstractmethod
    async def run_socket(
        self, inside: HttpRequest, protocols: tuple[str, ...], session: Session
    ) -> HttpResponse | AppSocket:
        """The WebSocket that the program opens for ``inside``, or the response that refuses it."""
