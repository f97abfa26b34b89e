"""Responses of the Python client, with the interface of aiohttp's."""

import json as json_module
from collections.abc import Awaitable, Generator
from typing import Any, Self

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from protocol.common.messages import HttpResponse

from .errors import Refused


class Response:
    """The inner response, with the interface of aiohttp's."""

    def __init__(self, method: str, url: URL, inside: HttpResponse) -> None:
        self.method = method
        self.url = url
        self.status = inside.status
        self.headers = CIMultiDictProxy(CIMultiDict(inside.headers))
        self._body = inside.body

    @property
    def ok(self) -> bool:
        """Whether ``status`` is below 400."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return self.headers.get("Content-Type", "application/octet-stream").split(";")[0].strip()

    async def read(self) -> bytes:
        """The body."""
        return self._body

    async def text(self, encoding: str = "utf-8") -> str:
        """The body as text."""
        return self._body.decode(encoding)

    async def json(self) -> Any:
        """The body as JSON; the Content-Type is ignored."""
        return json_module.loads(self._body)

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
