"""The messages of one hardened session at the Python client (PROTOCOL §2.6, §2.7).

This module also starts a new epoch every 15 minutes, and corrects the clock after the gateway
has refused it.
"""

import secrets

from protocol.common.envelopes import Format
from protocol.common.errors import DecryptionFailed
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.hardened.client_session import (
    ClientSession,
    ClockRefused,
    EpochRefused,
    PendingMessage,
    ReceivedAnswer,
    seal_request,
)
from protocol.hardened.sealed_messages import Envelope

from .clock import Clock
from .errors import (
    AnswerNotTrusted,
    ClientError,
    ClockNotAccepted,
    NotLoggedIn,
    answers_checked,
)
from .rsa_key import ClientKey
from .transport import MESSAGE_BYTES, Transport


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
        answer = await self._exchange(request)
        if isinstance(answer, ClockRefused) and answer.may_retry:
            answer = await self._exchange(request)
        if isinstance(answer, EpochRefused):
            answer = await self._exchange(request)
        if isinstance(answer, EpochRefused):
            raise AnswerNotTrusted("the gateway refuses a new epoch: log in again")
        if isinstance(answer, ClockRefused):
            raise ClockNotAccepted(
                "the gateway received the request too early or too late. The clock is corrected "
                "now. Before you send the request again, check whether it was processed"
            )
        return answer

    async def _exchange(self, request: HttpRequest) -> HttpResponse | ClockRefused | EpochRefused:
        started_ms = self._steady()
        if self._clock() >= self._session.expires_ms:
            raise NotLoggedIn("the session has ended: call resume, or login")
        # Stored before the first await: no other message may use the same number.
        envelope, pending, self._session = seal_request(
            self._session, request, self._clock(), secrets.token_bytes
        )
        body = envelope.serialize(self._form)
        reply = await self._transport.post("/message", body, self._form, MESSAGE_BYTES)
        answer = await self._open(pending, reply, self._steady() - started_ms)
        if isinstance(answer, ClockRefused):
            self._session = self._session.corrected(answer.server_ms, self._clock())
        elif isinstance(answer, EpochRefused):
            self._session = self._session.refused(pending.epoch, self._clock())
        else:
            self._session = self._session.answered(pending.epoch)
        return answer

    async def _open(
        self, pending: PendingMessage, reply: bytes, elapsed_ms: int
    ) -> HttpResponse | ClockRefused | EpochRefused:
        with answers_checked():
            received = pending.receive(Envelope.parse(self._form, reply))
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
