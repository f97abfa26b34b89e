"""Requests and responses of any length at the Python client (PROTOCOL §2.10).

::

    async with client.stream("PUT", "/backup", data=Path("disk.img")) as response:
        print(response.status)
    async with client.stream("GET", "/backup") as response:
        await response.save("disk.img")

A body is given out piece by piece, each piece verified. A body that was cut off or changed is an
exception (StreamBroken), never a shorter body.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from protocol.common.messages import HttpResponse
from protocol.hardened.client_session import OpenedStream
from protocol.streams.bodies import Head, ResponseReader
from protocol.streams.opening import StreamRequest
from protocol.streams.records import RESPONSE_SALT_BYTES, Direction, RecordReader

from .codings import decoder_for
from .content import charset_of, content_type_of, json_of, text_of
from .errors import Refused
from .stream_body import Body, Progress
from .stream_content import StreamContent, feed, stream_errors
from .transport import StreamedReply

# The longest record that we take.
RECORD_BYTES = 65_536


class StreamResponse:
    """A response whose body is read while it comes."""

    def __init__(
        self,
        method: str,
        url: URL,
        head: Head,
        content: StreamContent,
        reply: StreamedReply | None,
    ) -> None:
        self.method = method
        self.url = url
        self.status, self.length = head.status, head.length
        # As aiohttp decodes the bytes of a value.
        self.headers = CIMultiDictProxy(
            CIMultiDict(
                (name, value.encode("latin-1").decode("utf-8", "surrogateescape"))
                for name, value in head.headers
            )
        )
        self.content = content
        self._reply = reply
        decoder = decoder_for(self.headers.getall("Content-Encoding", []))
        # Whether ``content`` is decoded, so that Content-Encoding does not describe it any more.
        self.is_decoded = decoder is not None
        if decoder is not None:
            # The declared length is that of the encoded body.
            self.length = None
            content.decode(decoder)

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
        """The body, in memory.

        Raises: StreamBroken, StreamAborted, NoAnswer, BodyNotDecoded, OutcomeUnknown.
        """
        return await self.content.read()

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The body as text, by ``encoding`` or else by ``charset``. Raises as ``read``."""
        return text_of(await self.read(), self.headers, encoding, errors)

    async def json(self, encoding: str | None = None) -> Any:
        """The body as JSON, whatever its media type is. Raises as ``read``."""
        return json_of(await self.read(), self.headers, encoding)

    async def save(self, path: str | Path, progress: Progress | None = None) -> int:
        """Write the body to ``path``, which is there only once the body is whole; its length.

        ``progress(received, length)`` is called for each piece; ``length`` is None if unknown.
        Raises: OSError, and as ``read``.
        """
        final = Path(path)
        part = final.with_name(f"{final.name}.part")
        received = 0
        try:
            with part.open("wb") as file:
                async for chunk in self.content:
                    await asyncio.to_thread(file.write, chunk)
                    received += len(chunk)
                    if progress is not None:
                        progress(received, self.length)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
        return received

    def raise_for_status(self) -> None:
        """Raises: Refused, for a status of 400 or more."""
        if not self.ok:
            raise Refused(self.status, "http", f"{self.method} {self.url.path}")

    def close(self) -> None:
        """Let go of the connection; what was not read is lost."""
        if self._reply is not None:
            self._reply.close()

    def __repr__(self) -> str:
        return f"<StreamResponse {self.method} {self.url.path} {self.status}>"


@dataclass(frozen=True, slots=True)
class StreamCall:
    """One call of ``Client.stream``. The response names ``url``."""

    url: URL
    request: StreamRequest
    body: Body | None
    progress: Progress | None


def whole_response(call: StreamCall, inside: HttpResponse) -> StreamResponse:
    """A response that came in one message."""
    head = Head(inside.status, inside.headers, len(inside.body))
    content = StreamContent(None, None, inside.body)
    return StreamResponse(call.request.method, call.url, head, content, None)


async def streamed_response(
    call: StreamCall, opened: OpenedStream, reply: StreamedReply
) -> StreamResponse:
    """The response of a stream, once its head has come.

    Raises: StreamBroken, StreamAborted, NoAnswer, BodyNotDecoded.
    """
    is_upload = call.body is not None
    keys = opened.keys
    try:
        if is_upload:
            # The answer to a body begins with a salt, from which its key comes.
            keys = keys.salted(await reply.exactly(RESPONSE_SALT_BYTES))
        records = RecordReader(keys, Direction.SERVER, RECORD_BYTES)
        reader = ResponseReader(records, is_bodiless=call.request.method == "HEAD")
        with stream_errors():
            while (head := reader.read_head()) is None:
                await feed(reader, reply)
        content = StreamContent(reader, reply, is_upload=is_upload)
        return StreamResponse(call.request.method, call.url, head, content, reply)
    except BaseException:
        reply.close()
        raise


class StreamContext:
    """``async with client.stream(...) as response``: at its end the connection is let go of."""

    def __init__(self, request: Awaitable[StreamResponse]) -> None:
        self._request = request
        self._response: StreamResponse | None = None

    async def __aenter__(self) -> StreamResponse:
        self._response = await self._request
        return self._response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is None:
            return
        try:
            if kind is None and self._response.ok:
                await self._response.content.verify()
        finally:
            self._response.close()
