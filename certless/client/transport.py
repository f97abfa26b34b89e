"""Messages of the Python client over HTTP: sends bytes, returns bytes or raises Refused.

The server may be hostile. Until a seal has been opened, the client limits the size of a response,
accepts no compression, and stops at the time limit.
"""

import asyncio
import re
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from io import BytesIO

import aiohttp
from aiohttp import hdrs
from yarl import URL

from protocol.common.envelopes import CONTENT_TYPES, Format, Members
from protocol.common.errors import MalformedMessage
from protocol.streams.sockets import MAX_SOCKET_MESSAGE_BYTES

from .errors import (
    AnswerNotTrusted,
    NoAnswer,
    NoGateway,
    NotLoggedIn,
    Refused,
    SocketsNotAccepted,
)

# Error responses and login messages; the largest contains a public key.
SMALL_ANSWER_BYTES = 64 * 1024
MESSAGE_BYTES = 64 * 1024 * 1024
STREAM_TYPE = "application/certless-stream"
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


class StreamedReply:
    """An answer whose body is read piece by piece: a message, or a grant and records.

    ``has_records`` if records follow the message.
    """

    def __init__(self, response: aiohttp.ClientResponse, *, has_records: bool) -> None:
        self.has_records = has_records
        self._response = response

    async def message(self, most: int) -> bytes:
        """The whole message, of at most ``most`` bytes. Raises: AnswerNotTrusted, NoAnswer."""
        with _answers_read():
            if not self.has_records:
                answer = await _read(self._response, most)
                if answer is None:
                    raise AnswerNotTrusted(f"the answer is larger than {most} bytes")
                return answer
            length = int.from_bytes(await self._response.content.readexactly(4))
            if length > SMALL_ANSWER_BYTES:
                raise AnswerNotTrusted(f"a grant is larger than {SMALL_ANSWER_BYTES} bytes")
            return await self._response.content.readexactly(length)

    async def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises: NoAnswer."""
        with _answers_read():
            return await self._response.content.readexactly(size)

    async def chunk(self) -> bytes:
        """Bytes of records as they come, and b"" at the end. Raises: NoAnswer."""
        with _answers_read():
            return await self._response.content.readany()

    def close(self) -> None:
        """Let go of the connection, whatever is left on it."""
        self._response.close()


class SocketConnection:
    """The WebSocket to the gateway, which carries envelopes and records."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        """Raises: NoAnswer."""
        with _answers_read():
            await self._socket.send_bytes(data)

    async def answer(self, timeout_s: float | None) -> bytes:
        """The first message. Raises: Refused, NoAnswer."""
        with _answers_read():
            message = await self._socket.receive(timeout_s)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        code = self._socket.close_code or 0
        await self.close()
        if 4400 <= code <= 4599:
            text = "the gateway refused the WebSocket"
            raise Refused(code - 4000, _plain(message.extra, 64), text)
        raise NoAnswer("the connection ended without an answer")

    async def receive(self, timeout_s: float) -> bytes | None:
        """The next message, or None at the end. Raises: NoAnswer."""
        with _answers_read():
            message = await self._socket.receive(timeout_s)
        return bytes(message.data) if message.type is aiohttp.WSMsgType.BINARY else None

    async def close(self) -> None:
        await self._socket.close()


@contextmanager
def _answers_read() -> Iterator[None]:
    """Raises NoAnswer for whatever goes wrong on the line."""
    try:
        yield
    except TimeoutError:
        raise NoAnswer("nothing came for too long", "is the line good?") from None
    except asyncio.IncompleteReadError:
        raise NoAnswer("it broke off") from None
    except (aiohttp.ClientError, ConnectionError) as error:
        raise NoAnswer(_plain(str(error) or type(error).__name__, 256)) from error


def _no_redirects() -> aiohttp.TraceConfig:
    """``ws_connect`` has no option against them."""

    async def refuse(*_: object) -> None:
        raise aiohttp.ClientError("a WebSocket must not be redirected")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


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
            trace_configs=[_no_redirects()],
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
        http = self._opened()
        try:
            return await self._exchange(http, path, body, form, most)
        except TimeoutError:
            raise NoAnswer(f"not complete after {self._timeout.total:g} s") from None
        except aiohttp.ClientError as error:
            raise NoAnswer(_plain(str(error) or type(error).__name__, 256)) from error

    async def post_for_stream(self, path: str, body: bytes, form: Format) -> StreamedReply:
        """The answer to ``body``, which may go on for long.

        Raises: Refused, AnswerNotTrusted, NoAnswer, NotLoggedIn.
        """
        return await self._begin(path, BytesIO(body), _CONTENT_TYPE_OF[form])

    async def post_records(self, path: str, records: AsyncIterable[bytes]) -> StreamedReply:
        """The answer to ``records``, which may come before they are sent. Raises as above."""
        return await self._begin(path, records, STREAM_TYPE)

    async def _begin(
        self, path: str, data: BytesIO | AsyncIterable[bytes], content_type: str
    ) -> StreamedReply:
        with _answers_read():
            response = await self._opened().post(
                self.url.with_path(self.prefix + path),
                data=data,
                headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-transform"},
                allow_redirects=False,
                # A stream has no last byte in sight; what must not last is silence.
                timeout=aiohttp.ClientTimeout(
                    sock_connect=self._timeout.total, sock_read=self._timeout.total
                ),
            )
            if response.status >= 300:
                async with response:
                    raise await _refusal(response)
            has_records = response.content_type == STREAM_TYPE
            is_ours = has_records or response.content_type == content_type
            if not is_ours or not _is_as_sent(response):
                response.close()
                raise NoGateway(response.status)
            return StreamedReply(response, has_records=has_records)

    async def open_socket(self, path: str, body: bytes) -> tuple[SocketConnection, bytes]:
        """A WebSocket to ``path``, whose first message is ``body``; and the answer to it.

        Raises: Refused, NoAnswer, NotLoggedIn.
        """
        total = self._timeout.total
        try:
            async with asyncio.timeout(total):
                socket = await self._opened().ws_connect(
                    self.url.with_path(self.prefix + path),
                    timeout=aiohttp.ClientWSTimeout(ws_close=5),
                    max_msg_size=MAX_SOCKET_MESSAGE_BYTES + 1,
                )
        except TimeoutError:
            raise NoAnswer(f"not complete after {total:g} s") from None
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (404, 405):
                raise SocketsNotAccepted(error.status) from None
            raise NoGateway(error.status) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise NoAnswer(_plain(str(error) or type(error).__name__, 256)) from error
        connection = SocketConnection(socket)
        try:
            await connection.send(body)
            return connection, await connection.answer(total)
        except BaseException:
            await connection.close()
            raise

    def _opened(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise NotLoggedIn("open the client first: 'async with Client(url) as client'")
        return self._http

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
