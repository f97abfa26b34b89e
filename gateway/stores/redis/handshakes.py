"""Hardened logins, tickets and issued codes in Redis."""

from collections.abc import Sequence
from typing import Any

from gateway.stores import (
    Attempt,
    IssuedCode,
    NewChain,
    NewCode,
    NewSession,
    SessionCaps,
    StoredChain,
    StoredTicket,
)
from gateway.stores.caps import OF_ALL_USERS, OF_THIS_USER, cap_reached
from protocol.common.codes import CODE_ATTEMPTS

from .records import RedisRecords

_NO_CAPS = SessionCaps(0, 0, 0)


def opened(answer: Any, caps: SessionCaps | None) -> bool:
    """The result of a script that opens a session. Raises: RateLimited."""
    if caps is not None and isinstance(answer, list):
        whose, first_ms = answer
        raise cap_reached(caps, OF_THIS_USER if whose == b"user" else OF_ALL_USERS, int(first_ms))
    return bool(answer)


def cap_args(caps: SessionCaps | None) -> tuple[int, int, int]:
    caps = caps or _NO_CAPS
    return caps.per_user, caps.in_all, caps.now_ms


class RedisHandshakes(RedisRecords):
    """The methods of ``RedisStore`` for hardened logins, tickets and codes."""

    # --- logging in and resuming ---

    async def add_handshake(
        self,
        session_id: bytes,
        sealed: bytes,
        expires_ms: int,
        user_tag: bytes,
        code_id: bytes = b"",
        device_tag: bytes = b"",
    ) -> None:
        await self._run(
            "add_handshake",
            [("handshake", session_id)],
            session_id.hex(),
            user_tag.hex(),
            sealed,
            expires_ms,
            self._ttl_ms(expires_ms),
            code_id.hex(),
            device_tag.hex(),
        )

    async def claim_attempt(self, session_id: bytes, now_ms: int) -> Attempt | None:
        answer = await self._run(
            "claim_attempt",
            [("handshake", session_id)],
            session_id.hex(),
            now_ms,
            CODE_ATTEMPTS,
        )
        if answer is None:
            return None
        sealed, number, is_void = answer
        return Attempt(sealed, number, bool(is_void))

    async def add_exchange(
        self, session_id: bytes, sealed: bytes, expires_ms: int, attempt: int = 0
    ) -> bool:
        answer = await self._run(
            "add_exchange",
            [("handshake", session_id)],
            session_id.hex(),
            sealed,
            expires_ms,
            self._ttl_ms(expires_ms),
            attempt,
        )
        return bool(answer)

    async def take_exchange(self, session_id: bytes, now_ms: int) -> bytes | None:
        sealed: bytes | None = await self._run(
            "take_exchange", [("exchange", session_id)], session_id.hex(), now_ms
        )
        return sealed

    async def open_login(self, new_session: NewSession) -> bool:
        answer = await self._run(
            "open_login", [("handshake", new_session.session_id)], *self._named(new_session)
        )
        return opened(answer, new_session.caps)

    async def open_resumed(self, new_session: NewSession, previous: bytes) -> bool:
        answer = await self._run(
            "open_resumed",
            [("chain", new_session.chain_id)],
            *self._named(new_session),
            *("previous", previous),
        )
        return opened(answer, new_session.caps)

    def _named(self, new_session: NewSession) -> list[object]:
        per_user, in_all, now_ms = cap_args(new_session.caps)
        named = {
            "session_id": new_session.session_id.hex(),
            "user": new_session.user_tag.hex(),
            "sealed": new_session.sealed,
            "expires_ms": new_session.expires_ms,
            "ttl_ms": self._ttl_ms(new_session.expires_ms),
            "chain_id": new_session.chain_id.hex(),
            "chain": new_session.chain,
            "chain_expires_ms": new_session.chain_expires_ms,
            "chain_ttl_ms": self._ttl_ms(new_session.chain_expires_ms),
            "ticket_hash": new_session.ticket_hash.hex(),
            "ticket": new_session.ticket,
            "seen_ms": "" if new_session.seen_ms is None else new_session.seen_ms,
            "per_user": per_user,
            "in_all": in_all,
            "now_ms": now_ms,
        }
        return [part for pair in named.items() for part in pair]

    # --- tickets ---

    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        answer = await self._run(
            "load_ticket", [("ticket", ticket_hash)], ticket_hash.hex(), now_ms
        )
        return None if answer is None else StoredTicket(*answer)

    async def end_chain(self, chain_id: bytes) -> None:
        await self._run("end_chain", [("chain", chain_id)], chain_id.hex())

    async def see_device(self, chain_id: bytes, seen_ms: int) -> None:
        await self._run("see_device", [("chain", chain_id)], seen_ms)

    # --- for operators ---

    async def add_codes(self, codes: Sequence[NewCode]) -> None:
        parts: list[object] = []
        for new in codes:
            slot = (new.user_tag + new.device_tag).hex()
            ttl_ms = self._ttl_ms(new.expires_ms)
            parts += [new.user_tag.hex(), slot, new.code_id.hex()]
            parts += [new.sealed, new.expires_ms, ttl_ms]
        await self._run("add_codes", (), *parts)

    async def find_code(
        self, user_tag: bytes, now_ms: int, device_tag: bytes = b""
    ) -> IssuedCode | None:
        code = ("code", user_tag + device_tag)
        answer = await self._run("find_code", [code], now_ms, CODE_ATTEMPTS)
        return None if answer is None else IssuedCode(bytes.fromhex(answer[0].decode()), answer[1])

    async def end_codes(self, user_tag: bytes, device_tag: bytes | None = None) -> int:
        slots = [] if device_tag is None else [(user_tag + device_tag).hex()]
        return int(await self._run("end_codes", [("of:code", user_tag)], *slots))

    async def add_chain(self, chain: NewChain) -> None:
        named = {
            "chain_id": chain.chain_id.hex(),
            "user": chain.user_tag.hex(),
            "chain": chain.sealed,
            "chain_expires_ms": chain.expires_ms,
            "chain_ttl_ms": self._ttl_ms(chain.expires_ms),
            "ticket_hash": chain.ticket_hash.hex(),
            "ticket": chain.ticket,
            "seen_ms": "" if chain.seen_ms is None else chain.seen_ms,
            "session_id": "",
        }
        parts = [part for pair in named.items() for part in pair]
        await self._run("add_chain", [("chain", chain.chain_id)], *parts)

    async def chains(self, now_ms: int) -> list[StoredChain]:
        return [
            StoredChain(
                record.key, record.sealed, record.user_tag, record.seen_ms, record.is_revoked
            )
            for record in await self._records("chain", now_ms)
            if record.kind == "chain" and now_ms <= record.expires_ms
        ]

    async def end_user(self, user_tag: bytes) -> int:
        kinds = ("session", "login", "handshake", "chain", "code")
        indices = [(f"of:{kind}", user_tag) for kind in kinds]
        return int(await self._run("end_user", indices))
