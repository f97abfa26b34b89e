"""Messages of the Python client over HTTP: sends bytes, returns bytes or raises Refused.

The server may be hostile. Until a seal has been opened, the client limits the size of a response,
accepts no compression, and stops at the time limit.
"""

import re
from io import BytesIO

import aiohttp
from aiohttp import hdrs
from yarl import URL

from protocol.common.envelopes import CONTENT_TYPES, Format, Members
from protocol.common.errors import MalformedMessage

from .errors import AnswerNotTrusted, NoAnswer, NoGateway, NotLoggedIn, Refused

# Error responses and login messages; the largest contains a public key.
SMALL_ANSWER_BYTES = 64 * 1024
MESSAGE_BYTES = 64 * 1024 * 1024
_SECONDS = re.compile(r"[0-9]{1,6}")
_CONTENT_TYPE_OF = {form: name for name, form in CONTENT_TYPES.items()}


def _plain(value: object, most: int) -> str:
    """The error text of a server without control characters, shortened to ``most``."""
    text = value if isinstance(value, str) else "unknown"
    return "".join(char if char.isprintable() else " " for char in text[:most])


def _seconds(retry_after: str | None) -> int | None:
    """The seconds of a Retry-After; None for a date or more than six digits."""
    return int(retry_after) if retry_after and _SECONDS.fullmatch(retry_after) else None


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The body, or None if it is longer than ``most``; the rest is then not read."""
    if (response.content_length or 0) > most:
        return None
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    status, form = response.status, CONTENT_TYPES.get(response.content_type, "json")
    body = await _read(response, SMALL_ANSWER_BYTES) if _is_as_sent(response) else None
    try:
        members = Members.parse(form, body or b"").left()
    except MalformedMessage:
        return NoGateway(status)
    error, text = _plain(members.get("error"), 64), _plain(members.get("message"), 256)
    return Refused(status, error, text, _seconds(response.headers.get(hdrs.RETRY_AFTER)))


def _is_as_sent(response: aiohttp.ClientResponse) -> bool:
    """Whether the body is not compressed: a small compressed body can unpack to any size."""
    codings = response.headers.getall(hdrs.CONTENT_ENCODING, [])
    return all(coding.strip().lower() in ("", "identity") for coding in codings)


class Transport:
    """Connections to one gateway."""

    def __init__(self, url: URL, prefix: str, timeout_s: float) -> None:
        self.url = url
        self.prefix = prefix
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Call it in a running event loop, before the first message."""
        self._http = aiohttp.ClientSession(
            timeout=self._timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={hdrs.ACCEPT_ENCODING: "identity"},
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def post(
        self, path: str, body: bytes, form: Format, most: int = SMALL_ANSWER_BYTES
    ) -> bytes:
        """POST ``body`` to ``path`` below the prefix; the response has at most ``most`` bytes.

        It is sent only once. Raises: Refused, AnswerNotTrusted, NoAnswer, NotLoggedIn.
        """
        if self._http is None:
            raise NotLoggedIn("open the client first: 'async with Client(url) as client'")
        try:
            return await self._exchange(self._http, path, body, form, most)
        except TimeoutError:
            raise NoAnswer(f"not complete after {self._timeout.total:g} s") from None
        except aiohttp.ClientError as error:
            raise NoAnswer(_plain(str(error) or type(error).__name__, 256)) from error

    async def _exchange(
        self, http: aiohttp.ClientSession, path: str, body: bytes, form: Format, most: int
    ) -> bytes:
        async with http.post(
            self.url.with_path(self.prefix + path),
            data=BytesIO(body),
            headers={hdrs.CONTENT_TYPE: _CONTENT_TYPE_OF[form]},
            allow_redirects=False,
        ) as response:
            if response.status >= 300:
                raise await _refusal(response)
            if response.content_type != _CONTENT_TYPE_OF[form] or not _is_as_sent(response):
                raise NoGateway(response.status)
            answer = await _read(response, most)
            if answer is None:
                raise AnswerNotTrusted(f"the response is larger than {most} bytes")
            return answer
