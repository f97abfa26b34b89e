"""The hardened login, from ClientHello to the server's confirmation (PROTOCOL §2.4)."""

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from gateway import events
from gateway.sessions.hardened import HardenedSessions
from gateway.sessions.session import ID_BYTES
from protocol.common.codes import (
    CODE_LIFETIME_MS,
    HARDENED_CODE_CHARS,
    Code,
    mint_code,
    normalise_username,
)
from protocol.common.errors import CodeRefused, RejectedMessage
from protocol.hardened.confirmation import ConfirmedClient, confirm_login
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.records import ExchangeRecord, LoginRecord

from .enrolment import EXCHANGE_LIFETIME_MS, confirm_by, new_terms
from .services import LoginServices

_log = logging.getLogger("certless")


class HardenedLogin:
    """Answers the steps of a login, and opens sessions for codes.

    Each step runs on the event loop and takes less than a millisecond, except RSA (``confirm_by``).
    """

    def __init__(
        self, services: LoginServices, server: HandshakeServer, sessions: HardenedSessions
    ) -> None:
        self._services = services
        self._server = server
        self._sessions = sessions

    async def greet(self, hello: ClientHello, remote: str) -> ServerHello:
        """Answer a ClientHello, and send a mail in the background if the user exists.

        The work before the response is the same for unknown users and above the limit of mails. A
        login of a device needs an issued code: it sends no mail.
        Raises: UnsupportedSuite, RejectedMessage, RateLimited, StoreUnavailable.
        """
        username = normalise_username(hello.username)
        tag = self._services.tags.of(username)
        await self._services.limits.login(remote, tag, self._device_tag(tag, hello))
        invitation = self._server.greet(hello, CODE_LIFETIME_MS // 1000, secrets.token_bytes)
        account = await self._services.directory.named(hello.username)
        if account and account.name != username:
            tag = self._services.tags.of(account.name)
        self._services.events.emit(events.LoginRequested(tag, remote, invitation.greeting.suite))
        now_ms = self._services.settings.clock()
        may_mail = hello.device is None and await self._services.mails.may_be_sent(account, tag)
        device_tag = self._device_tag(tag, hello)
        code_id, code = await self._issued(tag, device_tag, now_ms)
        mailed = mint_code(secrets.token_bytes, HARDENED_CODE_CHARS)
        by_mail = code is None and may_mail
        if by_mail:
            code = mailed
        if code is not None and account:
            login = invitation.for_code(code)
        else:
            login = invitation.decoy_for_unknown_user(secrets.token_bytes)
        session_id = login.session_id
        sealed = self._services.keyring.seal("handshake", session_id, login.serialize())
        expires_ms = now_ms + CODE_LIFETIME_MS
        await self._services.store.add_handshake(
            session_id, sealed, expires_ms, tag, code_id, device_tag
        )
        if by_mail and account:
            self._services.mails.send(account, tag, mailed, remote)
        return invitation.greeting

    def _device_tag(self, tag: bytes, hello: ClientHello) -> bytes:
        return b"" if hello.device is None else self._services.tags.of_device(tag, hello.device)

    async def _issued(
        self, tag: bytes, device_tag: bytes, now_ms: int
    ) -> tuple[bytes, Code | None]:
        """The id of the code that an operator has issued for a user or a device, and the code."""
        issued = await self._services.store.find_code(tag, now_ms, device_tag)
        if issued is None:
            return b"", None
        text = self._services.keyring.open("issued code", issued.code_id, issued.sealed)
        return (issued.code_id, Code(text.decode())) if text else (b"", None)

    async def share(self, message: ClientShare, remote: str) -> ServerShare:
        """Answer a ClientShare; the attempt is counted before the computation.

        Raises: RejectedMessage, RateLimited, StoreUnavailable.
        """
        await self._services.limits.guess(remote)
        session_id, now_ms = message.session_id, self._services.settings.clock()
        attempt = await self._services.store.claim_attempt(session_id, now_ms)
        opened = attempt and self._services.keyring.open("handshake", session_id, attempt.sealed)
        login = LoginRecord.parse(opened) if opened else None
        answer, exchange = self._server.answer_share(message, login, secrets.token_bytes)
        if attempt is not None and attempt.is_void:
            # The response must not show whether the user exists.
            exchange = exchange.decoy_for_unknown_user(secrets.token_bytes)
        sealed = self._services.keyring.seal("exchange", session_id, exchange.serialize())
        number = attempt.number if attempt else 0
        expires_ms = now_ms + EXCHANGE_LIFETIME_MS
        if not await self._services.store.add_exchange(session_id, sealed, expires_ms, number):
            raise CodeRefused("another attempt has begun meanwhile")
        return answer

    async def confirm(self, message: ClientConfirmation, remote: str) -> ServerConfirmation:
        """Answer a ClientConfirmation, and open the session.

        After RateLimited the code is still valid. Raises: RejectedMessage, RateLimited,
        StoreUnavailable.
        """
        try:
            return await self._redeem(message, remote)
        except RejectedMessage as error:
            self._services.events.emit(events.CodeRefused(message.session_id, error.code, remote))
            raise

    async def _redeem(self, message: ClientConfirmation, remote: str) -> ServerConfirmation:
        session_id = message.session_id
        sealed = await self._services.store.take_exchange(
            session_id, self._services.settings.clock()
        )
        opened = sealed and self._services.keyring.open("exchange", session_id, sealed)
        exchange = ExchangeRecord.parse(opened) if opened else None
        try:
            client = await confirm_by(confirm_login, message, exchange)
            return await self._enrol(client, remote)
        except CodeRefused:
            raise
        except RejectedMessage:
            # The code was right, so it is used up, also if something else was wrong.
            await self._services.store.end(session_id)
            raise

    async def second_check(
        self, username: str, user: str, session_id: bytes, payload: Mapping[str, Any]
    ) -> bool:
        """Whether ``username`` is still ``user``, and the second check accepts ``payload``."""
        account = await self._services.directory.find(normalise_username(username))
        if account is None or account.name != user:
            return False
        return await self._services.second_check.passes(account, payload, payload, session_id)

    async def _enrol(self, client: ConfirmedClient, remote: str) -> ServerConfirmation:
        account = await self._services.directory.find(normalise_username(client.username))
        if account is None:
            await self._services.store.end(client.session_id)
            raise CodeRefused("the user has been removed from the directory")
        awaits_password = await self._services.second_check.is_wanted(account)
        now_ms = self._services.settings.clock()
        terms = await new_terms(
            self._services,
            client.suite,
            b"" if awaits_password else secrets.token_bytes(ID_BYTES),
        )
        enrolment = client.enrol(terms, now_ms)
        caps = self._services.settings.caps(now_ms)
        new_session = self._sessions.new_session(
            enrolment, account.name, now_ms, caps, awaits_password=awaits_password
        )
        answer = enrolment.accept(await self._services.store.open_login(new_session))
        _log.info("session %s opened", client.session_id.hex())
        self._services.events.emit(
            events.SessionOpened(
                client.session_id,
                new_session.user_tag,
                client.suite.name,
                new_session.expires_ms,
                remote,
            )
        )
        return answer
