"""Login and resumption of the hardened suites at the Python client (PROTOCOL §2.4, §2.8)."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from protocol.common.codes import HARDENED_CODE_CHARS, Code
from protocol.common.envelopes import Format
from protocol.common.errors import CodeRefused, LocalProtocolError, TicketRefused
from protocol.common.typed_codes import read_code
from protocol.hardened.client_confirmation import PendingConfirmation
from protocol.hardened.client_handshake import AwaitedCode, begin_login, begin_resumption
from protocol.hardened.client_session import ClientSession, ClientTicket
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ResumptionServerHello,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.suites import Freshness, HardenedSuite

from .clock import Clock
from .errors import (
    AnswerNotTrusted,
    CodeNotAccepted,
    Refused,
    SuiteNotAccepted,
    TicketNotAccepted,
    answers_checked,
)
from .protocol import CodeEntry, given_code
from .rsa_key import ClientKey, ExternalKey, OwnKey
from .transport import Transport

# A gateway without hardened suites does not have these routes.
_NO_SUCH_SUITE = frozenset({"unsupported_suite", "not_found"})


@dataclass(frozen=True, slots=True)
class Choices:
    """The suite and options of a client. ``form`` is the encoding of the envelopes.

    Every session uses ``rsa_key``; without it, each session generates a new key.
    """

    suite: HardenedSuite
    fresh: Freshness
    form: Format
    realm: str
    rsa_key: ExternalKey | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result of a handshake: the session, the RSA key if the suite has one, and the ticket."""

    session: ClientSession
    key: ClientKey | None
    ticket: ClientTicket | None


def _read_code(given: str) -> Code:
    return given_code(
        read_code(given),
        f"no code found: a code has {HARDENED_CODE_CHARS} letters and digits. "
        "Copy it from the mail, or copy the whole mail; hyphens and case do not matter",
    )


class Handshake:
    """Opens sessions by a code or by a ticket."""

    def __init__(self, transport: Transport, choices: Choices, clock: Clock) -> None:
        self._transport = transport
        self._suite = choices.suite
        self._fresh = choices.fresh
        self._form = choices.form
        self._realm = choices.realm
        self._rsa_key = choices.rsa_key
        self._clock = clock

    async def login(self, username: str, entry: CodeEntry, device: str | None) -> Enrolled:
        """ClientHello to ServerConfirmation. Raises: ClientError, ValueError."""
        try:
            hello, pending = begin_login(
                username, self._realm, secrets.token_bytes, [self._suite.name], self._fresh, device
            )
        except LocalProtocolError as error:
            raise ValueError(str(error)) from None
        # Generate the key while the user reads the mail.
        async with self._own_key() as made:
            answer = await self._begin("/session/hello", hello.serialize(self._form))
            with answers_checked():
                awaited = pending.open(ServerHello.parse(self._form, answer))

            async def redeem(code: Code) -> Enrolled:
                return await self._redeem(awaited, code, await made)

            return await entry.enter(_read_code, redeem)

    async def _redeem(self, awaited: AwaitedCode, code: Code, key: ClientKey | None) -> Enrolled:
        share, pending = awaited.enter(code, secrets.token_bytes)
        try:
            answer = await self._post("/session/share", share.serialize(self._form))
            with answers_checked():
                parsed = ServerShare.parse(self._form, answer)
                message, confirmation = pending.open(parsed, key.public if key else None)
            return await self._confirm("/session/confirm", message, confirmation, key)
        except Refused as error:
            if error.code != "rejected":
                raise
            raise CodeNotAccepted(error.status, error.code, "realm") from None

    async def resume(self, ticket: ClientTicket) -> Enrolled:
        """ResumptionClientHello to ServerConfirmation. Raises: ClientError."""
        hello, pending = begin_resumption(ticket, secrets.token_bytes, self._fresh)
        async with self._own_key() as made:
            try:
                answer = await self._begin("/session/resume", hello.serialize(self._form))
                key = await made
                with answers_checked():
                    greeting = ResumptionServerHello.parse(self._form, answer)
                    message, confirmation = pending.open(greeting, key.public if key else None)
                return await self._confirm("/session/resume/confirm", message, confirmation, key)
            except Refused as error:
                if error.code != "rejected":
                    raise
                raise TicketNotAccepted(error.status, error.code) from None

    async def _begin(self, path: str, body: bytes) -> bytes:
        try:
            return await self._post(path, body)
        except Refused as error:
            if error.code not in _NO_SUCH_SUITE:
                raise
            raise SuiteNotAccepted(error.status, self._suite.name) from None

    async def _confirm(
        self,
        path: str,
        message: ClientConfirmation,
        confirmation: PendingConfirmation,
        key: ClientKey | None,
    ) -> Enrolled:
        answer = await self._post(path, message.serialize(self._form))
        with answers_checked():
            try:
                proof = ServerConfirmation.parse(self._form, answer)
                session, ticket = confirmation.open(proof, self._clock())
            except (CodeRefused, TicketRefused):
                raise AnswerNotTrusted(
                    "the server did not prove that it is the gateway: check the URL, log in again"
                ) from None
        return Enrolled(session, key, ticket)

    @asynccontextmanager
    async def _own_key(self) -> AsyncIterator[asyncio.Future[ClientKey | None]]:
        """A future of the RSA key for one session; None if the suite has no RSA key."""
        made = asyncio.ensure_future(self._find_key())
        try:
            yield made
        finally:
            made.cancel()

    async def _find_key(self) -> ClientKey | None:
        if not self._suite.wraps:
            return None
        return self._rsa_key or await OwnKey.new()

    async def _post(self, path: str, body: bytes) -> bytes:
        return await self._transport.post(path, body, self._form)
