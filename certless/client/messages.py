"""The messages of one hardened session at the Python client (PROTOCOL §2.6, §2.7).

This module also starts a new epoch every 15 minutes, and corrects the clock after the gateway
has refused it.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from protocol.common.envelopes import Format
from protocol.common.errors import DecryptionFailed
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.client_session import (
    ClientSession,
    ClockRefused,
    EpochRefused,
    OpenedStream,
    PendingMessage,
    ReceivedAnswer,
    seal_request,
    seal_socket_request,
    seal_stream_request,
)
from protocol.hardened.exporter import exported_value
from protocol.hardened.sealed_messages import Envelope
from protocol.hardened.suites import HARDENED_SUITES
from protocol.streams.opening import OFFER_FIELD, SocketRequest, StreamRequest

from .clock import Clock
from .errors import (
    AnswerNotTrusted,
    ClientError,
    ClockNotAccepted,
    NotLoggedIn,
    Refused,
    SocketRefused,
    StreamsNotAccepted,
    answers_checked,
)
from .rsa_key import ClientKey
from .sockets import SocketCall, WebSocket
from .stream_body import Body, Progress, sealed_body
from .streams import StreamCall, StreamResponse, streamed_response, whole_response
from .transport import MESSAGE_BYTES, SocketConnection, StreamedReply, Transport

Sealed: TypeAlias = tuple[Envelope, PendingMessage, ClientSession]
Refusal: TypeAlias = ClockRefused | EpochRefused
_T = TypeVar("_T")


class Messages:
    """Sends requests in ``session``; ``key`` is the client's RSA key if the suite has one."""

    def __init__(
        self,
        transport: Transport,
        form: Format,
        session: ClientSession,
        key: ClientKey | None,
        clock: Clock,
        steady: Clock,
    ) -> None:
        self._transport = transport
        self._form = form
        self._session = session
        self._key = key
        self._clock = clock
        self._steady = steady

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The response. A request is sent again only if it cannot be processed twice (§2.6.6).

        Raises: ClientError.
        """

        async def exchange() -> HttpResponse | Refusal:
            body, pending = self._sealed(lambda now_ms: self._seal(request, now_ms))
            started_ms = self._steady()
            reply = await self._transport.post("/message", body, self._form, MESSAGE_BYTES)
            opened = await self._open(pending, reply, self._steady() - started_ms)
            if isinstance(opened, OpenedStream):
                raise AnswerNotTrusted("a stream came that was not asked for")
            return opened

        return await self._persistently(exchange)

    async def stream(self, call: StreamCall) -> StreamResponse:
        """The response to a request whose body, and response, may be of any length.

        Raises: ClientError, and what the source of the body raises.
        """
        if call.body is None:
            asked = call.request
            offer = (OFFER_FIELD, str(asked.record_bytes))
            plain = HttpRequest(asked.method, asked.target, (*asked.headers, offer), b"")
            opened, reply = await self._open_download(plain)
        else:
            opened = await self._open_upload(call.request)
            reply = await self._upload(opened, call.body, call.progress)
        if isinstance(opened, HttpResponse):
            return whole_response(call, opened)
        if reply is None:
            raise AnswerNotTrusted("a grant without records")
        return await streamed_response(call, opened, reply)

    async def _upload(
        self, opened: HttpResponse | OpenedStream, body: Body, progress: Progress | None
    ) -> StreamedReply | None:
        if isinstance(opened, HttpResponse):
            return None
        records = sealed_body(opened, body, self._steady, progress)
        path = f"/stream/{opened.keys.stream_id.hex()}"
        return await self._transport.post_records(path, records)

    async def _open_download(
        self, request: HttpRequest
    ) -> tuple[HttpResponse | OpenedStream, StreamedReply | None]:
        """The answer to a request that offers to take a stream, and the records of it.

        Raises: ClientError.
        """

        async def exchange() -> tuple[HttpResponse | OpenedStream, StreamedReply | None] | Refusal:
            body, pending = self._sealed(lambda now_ms: self._seal(request, now_ms))
            started_ms = self._steady()
            reply = await self._transport.post_for_stream("/message", body, self._form)
            try:
                message = await reply.message(MESSAGE_BYTES)
                opened = await self._open(pending, message, self._steady() - started_ms)
                if isinstance(opened, OpenedStream) != reply.has_records:
                    raise AnswerNotTrusted("records without a grant, or a grant without records")
            except BaseException:
                reply.close()
                raise
            if isinstance(opened, OpenedStream):
                return opened, reply
            reply.close()
            return opened if isinstance(opened, Refusal) else (opened, None)

        return await self._persistently(exchange)

    async def _open_upload(self, request: StreamRequest) -> HttpResponse | OpenedStream:
        """The grant for a body that is to follow, or why there is none. Raises: ClientError."""

        async def exchange() -> HttpResponse | OpenedStream | Refusal:
            body, pending = self._sealed(lambda now_ms: self._seal_upload(request, now_ms))
            started_ms = self._steady()
            try:
                reply = await self._transport.post("/stream", body, self._form, MESSAGE_BYTES)
            except Refused as error:
                if error.status == 404:
                    raise StreamsNotAccepted(404) from None
                raise
            return await self._open(pending, reply, self._steady() - started_ms)

        return await self._persistently(exchange)

    async def socket(self, call: SocketCall) -> WebSocket:
        """An open WebSocket. Raises: SocketRefused (sealed), ClientError."""

        async def exchange() -> tuple[HttpResponse | OpenedStream, SocketConnection] | Refusal:
            body, pending = self._sealed(
                lambda now_ms: self._seal_socket(call.request, now_ms), "msgpack"
            )
            started_ms = self._steady()
            connection, answer = await self._transport.open_socket("/socket", body)
            try:
                elapsed_ms = self._steady() - started_ms
                opened = await self._open(pending, answer, elapsed_ms, "msgpack")
            except BaseException:
                await connection.close()
                raise
            if isinstance(opened, OpenedStream):
                return opened, connection
            await connection.close()
            return opened if isinstance(opened, Refusal) else (opened, connection)

        opened, connection = await self._persistently(exchange)
        if isinstance(opened, HttpResponse):
            raise SocketRefused(opened.status, opened.headers, opened.body)
        socket = WebSocket(call, opened, connection, self._steady)
        await socket.begin()
        return socket

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """A value of the exporter. Raises: NotLoggedIn (the session has ended), ValueError."""
        self._open_at(self._clock())
        session = self._session
        suite = HARDENED_SUITES[session.suite]
        return exported_value(suite, session.export, label, context, length)

    def _open_at(self, now_ms: int) -> None:
        """Raises: NotLoggedIn, if the session has ended."""
        if now_ms >= self._session.expires_ms:
            raise NotLoggedIn("the session has ended: call resume, or login")

    async def _persistently(self, exchange: Callable[[], Awaitable[_T | Refusal]]) -> _T:
        """What ``exchange`` gives; it is repeated only if nothing can be handled twice (§2.6.6)."""
        answer = await exchange()
        if isinstance(answer, ClockRefused) and answer.may_retry:
            answer = await exchange()
        if isinstance(answer, EpochRefused):
            answer = await exchange()
        if isinstance(answer, EpochRefused):
            raise AnswerNotTrusted("the gateway refuses a new epoch: log in again")
        if isinstance(answer, ClockRefused):
            raise ClockNotAccepted(
                "the gateway received the request too early or too late. The clock is corrected "
                "now. Before you send the request again, check whether it was processed"
            )
        return answer

    def _seal(self, request: HttpRequest, now_ms: int) -> Sealed:
        return seal_request(self._session, request, now_ms, secrets.token_bytes)

    def _seal_upload(self, request: StreamRequest, now_ms: int) -> Sealed:
        return seal_stream_request(self._session, request, now_ms, secrets.token_bytes)

    def _seal_socket(self, request: SocketRequest, now_ms: int) -> Sealed:
        return seal_socket_request(self._session, request, now_ms, secrets.token_bytes)

    def _sealed(
        self, seal: Callable[[int], Sealed], form: Format | None = None
    ) -> tuple[bytes, PendingMessage]:
        now_ms = self._clock()
        self._open_at(now_ms)
        # Stored before the first await: no other message may use the same number.
        envelope, pending, self._session = seal(now_ms)
        return envelope.serialize(form or self._form), pending

    async def _open(
        self, pending: PendingMessage, reply: bytes, elapsed_ms: int, form: Format | None = None
    ) -> HttpResponse | OpenedStream | Refusal:
        answer = await self._opened(pending, reply, elapsed_ms, form or self._form)
        if isinstance(answer, ClockRefused):
            self._session = self._session.corrected(answer.server_ms, self._clock())
        elif isinstance(answer, EpochRefused):
            self._session = self._session.refused(pending.epoch, self._clock())
        else:
            self._session = self._session.answered(pending.epoch)
        return answer

    async def _opened(
        self, pending: PendingMessage, reply: bytes, elapsed_ms: int, form: Format
    ) -> HttpResponse | OpenedStream | Refusal:
        with answers_checked():
            received = pending.receive(Envelope.parse(form, reply))
        unwrapped = await self._unwrap(received)
        with answers_checked():
            try:
                return received.open(unwrapped, elapsed_ms)
            except (ClockRefused, EpochRefused) as refusal:
                return refusal

    async def _unwrap(self, received: ReceivedAnswer) -> bytes | None:
        """An error of an external key is an AnswerNotTrusted, with that error as its cause."""
        if self._key is None:
            return None
        try:
            return await self._key.unwrap(received.wrapped)
        except ClientError:
            raise
        except Exception as error:
            raise AnswerNotTrusted(
                f"the response is not for this request, or rsa_key failed: {DecryptionFailed.code}"
            ) from error
