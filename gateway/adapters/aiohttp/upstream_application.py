"""The upstream as the inner application: it gets the requests of sealed messages.

No request of aiohttp is made for it. A request was read completely, so it runs to its end even if
its client leaves. A streamed response ends with its client.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate

from gateway.errors import BodyTooLarge, BrokenBody, UpstreamFailed
from gateway.pipeline.inner import (
    as_text,
    checked_response,
    headers_for,
    is_to_be_streamed,
)
from gateway.pipeline.inner_application import InnerApplication
from gateway.pipeline.memory_release import FREED
from gateway.pipeline.pipe import BodyFailed, Pipe, StreamedRequest, StreamedResponse
from gateway.pipeline.socket_ends import AppSocket
from gateway.policy.routes import RoutePatterns
from gateway.sessions.session import Session
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.streams.bodies import AbortReason

from .uploads import StreamedUpload, Upload
from .upstream import Origin, ProxiedRequest, Upstream
from .upstream_client import Answer, UpstreamClient
from .upstream_errors import FAILURES, logged_failure, status_of, text_of
from .upstream_sockets import open_upstream_socket

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_NOT_PASSED_ON = HttpResponse(404, _TEXT, b"this path is not passed on\n")
_EVENTS = "text/event-stream"
# Responses that are still being received. The loop keeps tasks only weakly.
_RUNNING: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True)
class Forwarding:
    """How one proxy forwards: the same for all requests. ``targets`` is None if all may pass."""

    upstream: Upstream
    client: UpstreamClient
    targets: RoutePatterns | None
    max_body_bytes: int
    max_stream_bytes: int
    timeout_s: float


class UpstreamApplication(InnerApplication):
    """``host`` and ``origin`` are those of the outer request."""

    __slots__ = ("_forwarding", "_host", "_origin")

    def __init__(self, forwarding: Forwarding, host: str, origin: Origin) -> None:
        self._forwarding = forwarding
        self._host = host
        self._origin = origin

    async def run(
        self, inside: HttpRequest, session: Session, *, field_bytes: bool = False
    ) -> HttpResponse:
        if self._refuses(inside):
            return _NOT_PASSED_ON
        headers: Iterable[tuple[str, str]] = headers_for(inside, self._host)
        if not field_bytes:
            headers = _mapped_values(headers, as_bytes)
        upload = Upload(inside.body)
        asked = self._asked(inside, headers, session, upload.length)
        try:
            # The time limit is for all of the exchange.
            async with asyncio.timeout(self._forwarding.timeout_s):
                answer = await self._forwarding.client.begin(asked, upload)
                try:
                    response = await self._whole(asked, answer)
                finally:
                    answer.close()
        except FAILURES as error:
            return self._failed(error)
        if field_bytes:
            return response
        mapped = _mapped_values(response.headers, as_text)
        return HttpResponse(response.status, tuple(mapped), response.body)

    async def run_streamed(
        self, inside: StreamedRequest, session: Session
    ) -> HttpResponse | StreamedResponse:
        if self._refuses(inside.whole):
            return _NOT_PASSED_ON
        body = inside.body
        upload = Upload(inside.whole.body) if body is None else StreamedUpload(body)
        headers = headers_for(inside.whole, self._host, takes_streams=True)
        asked = self._asked(inside.whole, headers, session, upload.length)
        try:
            # A stream can last. Only silence is too long.
            answer = await self._forwarding.client.begin(asked, upload, self._forwarding.timeout_s)
            response: HttpResponse | StreamedResponse | None = None
            try:
                response = self._streamed(asked, answer)
                if response is None:
                    response = await self._whole(asked, answer)
            finally:
                if not isinstance(response, StreamedResponse):
                    answer.close()
            if isinstance(response, StreamedResponse):
                # This task ends the exchange.
                receiving = asyncio.create_task(self._receive(answer, response.body, upload))
                _RUNNING.add(receiving)
                receiving.add_done_callback(_RUNNING.discard)
            return response
        except (*FAILURES, BrokenBody) as error:
            return self._failed(error, upload)

    async def run_socket(
        self, inside: HttpRequest, protocols: tuple[str, ...], session: Session
    ) -> HttpResponse | AppSocket:
        if self._refuses(inside):
            return _NOT_PASSED_ON
        asked = self._asked(inside, headers_for(inside, self._host), session, 0)
        try:
            async with asyncio.timeout(self._forwarding.timeout_s):
                return await open_upstream_socket(
                    self._forwarding.client.session, self._forwarding.upstream, asked, protocols
                )
        except FAILURES as error:
            return self._failed(error)

    def _refuses(self, inside: HttpRequest) -> bool:
        path = inside.target.partition("?")[0]
        return self._forwarding.targets is not None and not self._forwarding.targets.match(path)

    def _asked(
        self,
        inside: HttpRequest,
        headers: Iterable[tuple[str, str]],
        session: Session,
        length: int | None,
    ) -> ProxiedRequest:
        headers = list(headers)
        host = next(value for name, value in headers if name.lower() == "host")
        return ProxiedRequest(
            inside.method, inside.target, headers, host, self._origin, session, length
        )

    def _failed(
        self, error: Exception, upload: Upload | StreamedUpload | None = None
    ) -> HttpResponse:
        # The response keeps the error, and the error would keep the frames and the body.
        error.__traceback__ = None
        if isinstance(upload, StreamedUpload) and upload.is_broken:
            failure: BrokenBody | UpstreamFailed = BrokenBody("the body did not come whole")
        else:
            failure = self._logged(error, self._forwarding.max_body_bytes)
        return HttpResponse(status_of(failure), _TEXT, text_of(failure).encode())

    def _logged(self, error: Exception, most_bytes: int) -> UpstreamFailed:
        return logged_failure(error, self._forwarding.upstream.url, most_bytes)

    async def _whole(self, asked: ProxiedRequest, answer: Answer) -> HttpResponse:
        headers = self._response_headers(asked, answer)
        body = await answer.read(self._forwarding.max_body_bytes)
        return checked_response(answer.status, headers, body)

    def _response_headers(self, asked: ProxiedRequest, answer: Answer) -> list[tuple[str, str]]:
        headers = self._forwarding.upstream.response_headers(asked, answer.headers)
        if answer.status == 204:
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        if answer.value_of("date") is None:
            # RFC 9110 §6.6.1: who passes a response on adds the time of its arrival.
            headers.append(("Date", formatdate(usegmt=True)))
        return headers

    def _streamed(
        self, asked: ProxiedRequest, answer: Answer
    ) -> StreamedResponse | HttpResponse | None:
        """The response to stream; None if it is short; a response with 500 if it is not valid."""
        length = answer.value_of("content-length")
        lengths = {} if length is None else {"Content-Length": length}
        if not is_to_be_streamed(asked.method, answer.status, lengths):
            return None
        headers = self._response_headers(asked, answer)
        checked = checked_response(answer.status, headers, b"")
        if checked.status != answer.status:
            return checked
        declared = None if length is None else int(length)
        return StreamedResponse(checked.status, checked.headers, declared, Pipe())

    async def _receive(self, answer: Answer, pipe: Pipe, upload: Upload | StreamedUpload) -> None:
        """Give the body of ``answer`` to ``pipe``, until one of them ends."""
        failure: BodyFailed | None = BodyFailed(AbortReason.FAILED)
        left = most_bytes = self._forwarding.max_stream_bytes
        try:
            if _is_of_events(answer):
                # Silence is normal there. The watch of the session and the client end it.
                answer.lift_read_timeout()
            while chunk := await answer.content.readany():
                FREED.add(len(chunk))
                left -= len(chunk)
                if left < 0:
                    raise BodyTooLarge
                await pipe.write(chunk)
            failure = None
        except (*FAILURES, BrokenBody) as error:
            error.__traceback__ = None
            is_broken = isinstance(upload, StreamedUpload) and upload.is_broken
            if isinstance(error, BodyTooLarge):
                failure = BodyFailed(AbortReason.TOO_LARGE)
            if not pipe.is_abandoned and not is_broken:
                self._logged(error, most_bytes)
        finally:
            answer.close()
            pipe.end(failure)


def _is_of_events(answer: Answer) -> bool:
    content_type = answer.value_of("content-type") or ""
    return content_type.partition(";")[0].strip().lower() == _EVENTS


def as_bytes(value: str) -> str:
    """A header value that is text as UTF-8, with one character for each byte."""
    return value if value.isascii() else value.encode().decode("latin-1")


def _mapped_values(
    headers: Iterable[tuple[str, str]], change: Callable[[str], str]
) -> list[tuple[str, str]]:
    return [(name, change(value)) for name, value in headers]
