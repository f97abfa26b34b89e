"""What comes over the wire and what goes back, in the terms of no framework.

An adapter (``aiohttp_app``, ``asgi``) makes an ``OuterRequest`` of its framework's request, asks
the ``Middleware``, and sends the ``Reply``. What was inside of a sealed message goes back to the
adapter by ``OuterRequest.run``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse


class OuterRequest(ABC):
    """A request as it came.

    ``raw_path`` and ``raw_target`` (with the query) are as they stand in the request line.
    ``remote`` is the visitor's address, as ``gateway.policy.client_address`` tells it.
    ``has_one_host`` where it names its Host as it should (``gateway.pipeline.hosts``).
    ``outcome`` is what became of the request, in words for the access log; ``session`` is set once
    a message of it was accepted.
    """

    __slots__ = (
        "content_type",
        "has_one_host",
        "headers",
        "method",
        "outcome",
        "raw_path",
        "raw_target",
        "remote",
        "session",
    )

    method: str
    raw_path: str
    raw_target: str
    headers: Mapping[str, str]
    content_type: str
    has_one_host: bool
    remote: str
    outcome: str
    session: Session | None

    @abstractmethod
    async def read(self, max_bytes: int) -> bytes:
        """The whole body. Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies."""

    @abstractmethod
    async def run(self, inside: HttpRequest, session: Session) -> HttpResponse:
        """What the application answers to ``inside``, as if it had come in this request's place.

        Nothing of it goes over the wire. An application that fails has answered 500.
        """


@dataclass(slots=True)
class Reply:
    """An answer to an ``OuterRequest``.

    After one that ``closes`` the connection takes no other request: what was not read of this one
    must not be taken for the next.
    """

    status: int
    headers: CIMultiDict[str]
    body: bytes
    closes: bool = False
