"""Common steps of hardened logins and resumptions: the client's proof, and the session's terms."""

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from protocol.common.errors import DecryptionFailed, MalformedMessage
from protocol.hardened.confirmation import Terms
from protocol.hardened.handshake_messages import (
    MAX_SESSION_MS,
    TICKET_BYTES,
    ClientConfirmation,
)
from protocol.hardened.records import ExchangeRecord
from protocol.hardened.suites import HARDENED_SUITES, HardenedSuite

from .services import LoginServices

EXCHANGE_LIFETIME_MS = 60_000

_Confirmed = TypeVar("_Confirmed")


async def confirm_by(
    confirm: Callable[[ClientConfirmation, ExchangeRecord | None], _Confirmed],
    message: ClientConfirmation,
    exchange: ExchangeRecord | None,
) -> _Confirmed:
    """The result of ``confirm`` for a client's confirmation. Raises: RejectedMessage."""
    try:
        if exchange is not None and HARDENED_SUITES[exchange.suite].wraps:
            # The check of an RSA key can take 20 ms.
            return await asyncio.to_thread(confirm, message, exchange)
        return confirm(message, exchange)
    except MalformedMessage:
        raise DecryptionFailed("the box does not contain a key") from None


async def new_terms(services: LoginServices, suite: HardenedSuite, chain_id: bytes) -> Terms:
    """The terms of a new session; no ticket without ``chain_id`` or if tickets are off."""
    settings = services.settings
    pair = await services.key_pool.take() if suite.wraps else None
    session_ms = min(settings.session_lifetime_s * 1000, MAX_SESSION_MS)
    if not chain_id or not settings.ticket_lifetime_s:
        return Terms(session_ms, private_key=pair)
    ticket = secrets.token_bytes(TICKET_BYTES)
    return Terms(session_ms, chain_id, ticket, settings.ticket_lifetime_s * 1000, pair)
