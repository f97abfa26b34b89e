"""The classic login: the two steps before the first message (PROTOCOL §3.3)."""

import asyncio
import logging
import secrets

from gateway import events
from gateway.errors import RateLimited
from gateway.sessions.classic import Sessions
from gateway.users.directory import Account
from protocol.classic.exchange import AcceptedLogin, ServerExchange
from protocol.common.codes import mint_code, mint_token, normalise_username, session_id
from protocol.common.errors import CodeRefused, DecryptionFailed, RejectedMessage
from protocol.common.messages import (
    AuthenticateRequest,
    SealedMessage,
    SessionGrant,
    SessionRequest,
)

from .services import LoginServices

_log = logging.getLogger("certless")


class Login:
    """Issues tokens, and opens sessions for codes."""

    def __init__(
        self, services: LoginServices, exchange: ServerExchange, sessions: Sessions
    ) -> None:
        self._services = services
        self._exchange = exchange
        self._sessions = sessions

    async def initiate(self, message: SessionRequest, remote: str) -> SessionGrant:
        """Issue a token, and send a mail in the background if the user exists.

        The work before the response is the same for unknown users and above the limit of mails.
        Raises: RejectedMessage, RateLimited, StoreUnavailable.
        """
        username = normalise_username(message.username)
        tag = self._services.tags.of(username)
        await self._services.limits.login(remote, tag)
        account = await self._services.directory.named(message.username)
        if account and account.name != username:
            tag = self._services.tags.of(account.name)
        self._services.events.emit(events.LoginRequested(tag, remote, self._exchange.suite.name))
        code = mint_code(secrets.token_bytes, self._services.settings.code_chars)
        token = mint_token(secrets.token_bytes)
        await self._sessions.await_code(token, username, tag, code)
        if await self._services.mails.may_be_sent(account, tag) and account:
            self._services.mails.send(account, tag, code, remote)
        return SessionGrant(token)

    async def authenticate(self, message: AuthenticateRequest, remote: str) -> SealedMessage:
        """Open the session; return the sealed response.

        Raises: RejectedMessage, RateLimited, StoreUnavailable.
        """
        await self._services.limits.guess(remote)
        self._services.key_pool.admit()
        try:
            return await self._redeem(message, remote)
        except RejectedMessage as error:
            self._services.events.emit(
                events.CodeRefused(session_id(message.token), error.code, remote)
            )
            raise

    async def _redeem(self, message: AuthenticateRequest, remote: str) -> SealedMessage:
        claimed = await self._sessions.claim_code(message.token)
        try:
            opened = self._exchange.open_login(message, claimed.code if claimed else None)
        except DecryptionFailed:
            await self._sessions.release_code(message.token)
            raise
        if claimed is None:  # open_login has raised; this is for the type checker
            raise CodeRefused("there is no code")
        # The code is used up from here on: any failure ends this login.
        try:
            login = await asyncio.to_thread(opened.accept, self._services.settings.clock())
            account = await self._services.directory.find(claimed.username)
            if account is None or not await self._passes(account, message.token, login):
                raise CodeRefused("the second check refuses the user")
            pair = await self._services.key_pool.take()
            caps = self._services.settings.caps(self._services.settings.clock())
            session = await self._sessions.enrol(
                message.token, account.name, pair, login.client_key, caps
            )
            if session is None:
                raise CodeRefused("the login has expired meanwhile")
        except (RejectedMessage, RateLimited) as error:
            await self._sessions.end_login(message.token)
            cause = error.code if isinstance(error, RejectedMessage) else error.limit
            key = session_id(message.token)
            text = "login %s ended (%s): its code was right and is used up"
            _log.info(text, key.hex(), cause)
            raise
        _log.info("session %s opened", session.id)
        key, tag = session_id(message.token), self._services.tags.of(session.user)
        self._services.events.emit(
            events.SessionOpened(key, tag, session.suite, session.expires_ms, remote)
        )
        return login.seal_response(pair.public, secrets.token_bytes)

    async def _passes(self, account: Account, token: str, login: AcceptedLogin) -> bool:
        names = self._exchange.suite.dialect.names
        own = {names.public_key, names.timestamp, names.nonce, names.password}
        members = {name: value for name, value in login.payload.items() if name not in own}
        if login.password is not None:
            members["password"] = login.password
        payload = {**login.payload, **members}
        key = session_id(token)
        return await self._services.second_check.passes(account, payload, members, key)
