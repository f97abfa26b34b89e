"""Resumption: opens the next session by a ticket (PROTOCOL §2.8)."""

import logging
import secrets

import msgpack

from gateway import events
from gateway.sessions.hardened import HardenedSessions
from gateway.stores import NewSession
from protocol.common.codes import normalise_username
from protocol.common.errors import TicketRefused, TicketReuseDetected
from protocol.hardened.confirmation import confirm_resumption
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerConfirmation,
)
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.records import ExchangeRecord, TicketChain, TicketRecord, ticket_hash

from .enrolment import EXCHANGE_LIFETIME_MS, confirm_by, new_terms
from .services import LoginServices

_log = logging.getLogger("certless")


class Resumption:
    """Opens sessions for tickets."""

    def __init__(
        self, services: LoginServices, server: HandshakeServer, sessions: HardenedSessions
    ) -> None:
        self._services = services
        self._server = server
        self._sessions = sessions

    async def greet(self, hello: ResumptionClientHello, remote: str) -> ResumptionServerHello:
        """Answer a ResumptionClientHello, for a valid or used ticket.

        Raises: UnsupportedSuite, RejectedMessage, RateLimited, StoreUnavailable.
        """
        await self._services.limits.resumption(remote)
        now_ms = self._services.settings.clock()
        stored = None
        if self._services.settings.ticket_lifetime_s:
            stored = await self._services.store.load_ticket(ticket_hash(hello.ticket), now_ms)
        ticket = chain = None
        if stored is not None:
            opened = self._services.keyring.open("ticket", ticket_hash(hello.ticket), stored.sealed)
            ticket = TicketRecord.parse(opened) if opened else None
        if stored is not None and ticket is not None:
            opened = self._services.keyring.open("chain", ticket.chain_id, stored.chain)
            chain = TicketChain.parse(opened) if opened else None
        greeting, exchange = self._server.answer_resumption(
            hello, ticket, chain, secrets.token_bytes
        )
        # The exchange keeps the stored chain: a ClientConfirmation counts only if it is unchanged.
        record = msgpack.packb([exchange.serialize(), stored.chain if stored else b""])
        sealed = self._services.keyring.seal("resumption", greeting.session_id, record)
        expires_ms = now_ms + EXCHANGE_LIFETIME_MS
        if not await self._services.store.add_exchange(greeting.session_id, sealed, expires_ms):
            raise TicketRefused("a login has the same session id")
        return greeting

    async def redeem(self, message: ClientConfirmation, remote: str) -> ServerConfirmation:
        """Answer a confirmation: open the session and end the previous one.

        After RateLimited the ticket is still valid. Raises: RejectedMessage, RateLimited,
        StoreUnavailable.
        """
        session_id, now_ms = message.session_id, self._services.settings.clock()
        sealed = await self._services.store.take_exchange(session_id, now_ms)
        opened = self._services.keyring.open("resumption", session_id, sealed) if sealed else None
        exchange, previous = None, b""
        if opened:
            record, previous = msgpack.unpackb(opened)
            exchange = ExchangeRecord.parse(record)
        ticket = await confirm_by(confirm_resumption, message, exchange)
        account = await self._services.directory.find(normalise_username(ticket.username))
        if account is None:
            raise TicketRefused("the user has been removed from the directory")
        if await self._services.second_check.is_wanted(account):
            raise TicketRefused("the second check now requires more than a ticket")
        terms = await new_terms(self._services, ticket.suite, ticket.chain_id)
        try:
            enrolment = ticket.redeem(terms, now_ms)
        except TicketReuseDetected:
            await self._services.store.end_chain(ticket.chain_id)
            tag = self._services.tags.of(account.name)
            _log.warning(
                "chain %s of user %s: a used ticket was used again, so two clients have its "
                "secrets; the chain is revoked and its session has ended",
                ticket.chain_id.hex(),
                tag.hex(),
            )
            self._services.events.emit(events.TicketReuseDetected(ticket.chain_id, tag, remote))
            raise
        caps = self._services.settings.caps(now_ms)
        new_session = self._sessions.new_session(enrolment, account.name, now_ms, caps)
        answer = enrolment.accept(await self._open(new_session, previous, ticket.ticket_hash))
        _log.info("session %s opened by a ticket", session_id.hex())
        tag = new_session.user_tag
        self._services.events.emit(events.TicketUsed(ticket.chain_id, session_id, tag))
        self._services.events.emit(
            events.SessionOpened(session_id, tag, ticket.suite.name, new_session.expires_ms, remote)
        )
        return answer

    async def _open(self, new_session: NewSession, previous: bytes, ticket: bytes) -> bool:
        if await self._services.store.open_resumed(new_session, previous):
            return True
        # If keys were rotated meanwhile, the chain has the same content in other bytes.
        stored = await self._services.store.load_ticket(ticket, self._services.settings.clock())
        if stored is None:
            return False
        chains = [
            self._services.keyring.open("chain", new_session.chain_id, sealed)
            for sealed in (previous, stored.chain)
        ]
        if chains[0] is None or chains[0] != chains[1]:
            return False
        return await self._services.store.open_resumed(new_session, stored.chain)
