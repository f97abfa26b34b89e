"""Responses of the Python client, with the interface of aiohttp's."""

from collections.abc import Awaitable, Generator
from typing import Any, Self

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from protocol.common.messages import HttpResponse

from .codings import decoded
from .content import charset_of, content_type_of, json_of, text_of
from .errors import Refused
from .transport import MESSAGE_BYTES


class Response:
    """The inner response, with the interface of aiohttp's."""

    def __init__(self, method: str, url: URL, inside: HttpResponse) -> None:
        """Raises: BodyNotDecoded."""
        self.method = method
        self.url = url
        self.status = inside.status
        self.headers = CIMultiDictProxy(CIMultiDict(inside.headers))
        codings = self.headers.getall("Content-Encoding", [])
        self._body = decoded(codings, inside.body, MESSAGE_BYTES)

    @property
    def ok(self) -> bool:
        """Whether ``status`` is below 400."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return content_type_of(self.headers)

    @property
    def charset(self) -> str:
        """The charset of Content-Type; utf-8 if there is none, or if Python does not know it."""
        return charset_of(self.headers)

    async def read(self) -> bytes:
        """The body."""
        return self._body

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The body as text, by ``encoding`` or else by ``charset``."""
        return text_of(self._body, self.headers, encoding, errors)

    async def json(self, encoding: str | None = None) -> Any:
        """The body as JSON, whatever its media type is."""
        return json_of(self._body, self.headers, encoding)

    def raise_for_status(self) -> None:
        """Raises: Refused, for a status of 400 or more."""
        if not self.ok:
            raise Refused(self.status, "http", f"{self.method} {self.url.path}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to release: the body has been read."""

    def __repr__(self) -> str:
        return f"<Response {self.method} {self.url.path} {self.status}>"


class RequestContext(Awaitable[Response]):
    """Both ``await client.get(...)`` and ``async with client.get(...)``."""

    def __init__(self, request: Awaitable[Response]) -> None:
        self._request = request

    def __await__(self) -> Generator[Any, None, Response]:
        return self._request.__await__()

    async def __aenter__(self) -> Response:
        return await self._request

    async def __aexit__(self, *_: object) -> None:
        """Nothing to release."""
