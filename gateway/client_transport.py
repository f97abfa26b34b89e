"""Messages of the Python client over HTTP: bytes there, bytes back, or what was refused."""

import re
from io import BytesIO

import aiohttp
from yarl import URL

from protocol.codec import parse_json_object, parse_msgpack
from protocol.envelopes import CONTENT_TYPES, Format
from protocol.errors import MalformedMessage

from .client_errors import AnswerNotTrusted, NoGateway, NotLoggedIn, Refused

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_SECONDS = re.compile(r"[0-9]{1,6}")
_CONTENT_TYPE_OF = {form: name for name, form in CONTENT_TYPES.items()}


def _plain(value: object, most: int) -> str:
    """What a server says of an error, fit to be shown: no control characters, not too much."""
    text = value if isinstance(value, str) else "unknown"
    return "".join(char if char.isprintable() else " " for char in text[:most])


def _seconds(retry_after: str | None) -> int | None:
    """Seconds of a Retry-After; a date, and what is longer than days, is not ours."""
    return int(retry_after) if retry_after and _SECONDS.fullmatch(retry_after) else None


def _refusal(response: aiohttp.ClientResponse, body: bytes) -> Refused:
    status, content_type = response.status, response.content_type
    try:
        is_msgpack = CONTENT_TYPES.get(content_type) == "msgpack"
        told: object = parse_msgpack(body) if is_msgpack else parse_json_object(body)
    except MalformedMessage:
        return NoGateway(status)
    if not isinstance(told, dict):
        return NoGateway(status)
    error, text = _plain(told.get("error"), 64), _plain(told.get("message"), 256)
    return Refused(status, error, text, _seconds(response.headers.get("Retry-After")))


class Transport:
    """Connections to one gateway."""

    def __init__(self, url: URL, prefix: str, timeout_s: float) -> None:
        self.url = url
        self.prefix = prefix
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Called inside a running loop, before anything is sent."""
        self._http = aiohttp.ClientSession(timeout=self._timeout)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def post(self, path: str, body: bytes, form: Format) -> bytes:
        """What the gateway answers to ``body`` below the prefix. It is sent once, whatever comes.

        Raises: Refused, AnswerNotTrusted, NotLoggedIn, aiohttp.ClientError.
        """
        if self._http is None:
            raise NotLoggedIn("use the client in 'async with Client(url) as client'")
        async with self._http.post(
            self.url.with_path(self.prefix + path),
            data=BytesIO(body),
            headers={"Content-Type": _CONTENT_TYPE_OF[form]},
            allow_redirects=False,
        ) as response:
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > _MAX_ANSWER_BYTES:
                    raise AnswerNotTrusted("the answer is too large")
        if response.status >= 300:
            raise _refusal(response, bytes(answer))
        if response.content_type != _CONTENT_TYPE_OF[form]:
            raise NoGateway(response.status)
        return bytes(answer)
