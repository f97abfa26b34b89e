"""The request as it came over the wire, and the reply to it, independent of a framework.

An adapter (``gateway.adapters``) makes an ``OuterRequest`` of the request of its framework, asks
the ``Middleware`` and sends the ``Reply``. ``OuterRequest.application`` runs the request that was
inside a sealed message.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.errors import BodyTooLarge
from gateway.sessions.session import Session
from protocol.common.envelopes import CONTENT_TYPES, MAX_LOGIN_BYTES, Format

from .inner_application import InnerApplication

# The work on a smaller message takes a few milliseconds.
LARGE_BYTES = 128 * 1024
# The headers of a reply with a message of the protocol. Caches must not store it.
HEADERS_IN: dict[Format, dict[str, str]] = {
    form: {"Content-Type": content_type, "Cache-Control": "no-store"}
    for content_type, form in CONTENT_TYPES.items()
}


class OuterRequest(ABC):
    """A request as it came.

    ``raw_path`` and ``raw_target`` (with the query) are those of the request line, unchanged.
    ``format`` is the format of a message in it (``format_of``).
    ``remote`` is the address of the client (``gateway.policy.client_address``), and ``host`` the
    host that it asked for (``gateway.policy.forwarded``).
    ``has_one_host`` says whether the header Host is valid (``gateway.pipeline.request_headers``).
    ``is_handshake`` says whether the request is the handshake of a WebSocket.
    """

    __slots__ = (
        "content_type",
        "format",
        "has_one_host",
        "headers",
        "method",
        "raw_path",
        "remote",
    )

    method: str
    raw_path: str
    headers: Mapping[str, str]
    content_type: str
    format: Format
    has_one_host: bool
    remote: str

    # Few requests need these, so they are found when they are asked for.

    @property
    @abstractmethod
    def raw_target(self) -> str: ...

    @property
    @abstractmethod
    def host(self) -> str: ...

    @property
    @abstractmethod
    def is_handshake(self) -> bool: ...

    @property
    def field_lines(self) -> Iterable[tuple[str, str]]:
        """The headers, with values of one character for each byte."""
        return self.headers.items()

    @abstractmethod
    async def read(self, max_bytes: int) -> bytes:
        """The whole body. Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies."""

    @abstractmethod
    async def next_chunk(self) -> bytes:
        """Bytes of the body as they come, and b"" at its end. Raises: BrokenBody."""

    @property
    @abstractmethod
    def application(self) -> InnerApplication:
        """What runs the request inside a sealed message that came in this request."""


class ReplyRecords(ABC):
    """A body that is made while it is sent."""

    @abstractmethod
    def sending(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The pieces. The adapter enters it before it sends anything, and sends them inside.

        Its end tells the application that nobody reads any more. Raises: ConnectionResetError, if
        the client does not read.
        """


@dataclass(slots=True)
class Reply:
    """The reply to an ``OuterRequest``.

    If ``closes`` is set, the connection takes no other request: the unread rest of this body must
    not be read as a request. ``outcome`` is for the access log. ``session`` is the session of an
    accepted sealed message. ``records`` is there in place of ``body`` if the reply is a stream.
    Header values have one character for each byte.
    If ``opens_socket`` is set, the adapter completes the handshake of the WebSocket and calls
    ``Middleware.serve_socket``. ``ends_session`` is set in the reply to a logout.
    """

    status: int
    headers: CIMultiDict[str]
    body: bytes
    outcome: str = ""
    session: Session | None = None
    closes: bool = False
    records: ReplyRecords | None = None
    opens_socket: bool = False
    ends_session: bool = False


def format_of(content_type: str) -> Format:
    """The format of a message with that type. The reply has the same format."""
    return CONTENT_TYPES.get(content_type, "json")


def reply_in(
    form: Format, body: bytes, outcome: str, session: Session | None = None, status: int = 200
) -> Reply:
    """A reply with a message of the protocol, written in ``form``."""
    return Reply(status, CIMultiDict(HEADERS_IN[form]), body, outcome, session)


async def read_login(request: OuterRequest, max_body_bytes: int) -> bytes:
    """The body of a message that begins or ends a session. Such messages are small.

    Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies.
    """
    most = min(MAX_LOGIN_BYTES, max_body_bytes)
    try:
        return await request.read(most)
    except BodyTooLarge:
        raise BodyTooLarge(f"a message of a login or logout has at most {most} bytes") from None


async def give_way() -> None:
    """Let other requests run between two steps of the work on more than ``LARGE_BYTES``.

    No step takes 100 ms, so a large message does not delay the other requests for longer.
    """
    await asyncio.sleep(0)
