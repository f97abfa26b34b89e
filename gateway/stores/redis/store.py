"""A store in Redis or Valkey; gateways with the same server and name share it.

This module has classic logins, sessions, claims and counters. ``handshakes.py`` has hardened
logins, tickets and codes; ``records.py`` lists and reseals records; ``server.py`` has the server
and its fence. The atomic scripts are in ``lua/``.
"""

from gateway.errors import SessionChanged
from gateway.stores import (
    MAIL_LIMIT,
    MAIL_WINDOW_MS,
    Counter,
    SessionCaps,
    StoredSession,
)
from protocol.classic.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, NonceClaim
from protocol.classic.session import Event, State, advance
from protocol.common.codes import CODE_ATTEMPTS
from protocol.common.errors import LocalProtocolError
from protocol.common.primitives import sha256
from protocol.hardened.replay_window import COUNTER_WINDOW, FreshnessClaim

from .handshakes import RedisHandshakes, cap_args, opened

_CLAIMED = PASSPHRASE_ATTEMPTS + 1
# What the scripts return if the record is another one.
_CHANGED = -1
_SWEPT_AT_ONCE = 200
# A salt is deleted this long after it has expired, for gateways whose clocks are behind.
_REMEMBERED_MS = 60_000


class RedisStore(RedisHandshakes):
    """A store that gateways on several machines can share."""

    # --- logging in, classic ---

    async def add_login(
        self, session_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        added = await self._run(
            "add_login",
            [("login", session_id), ("session", session_id)],
            session_id.hex(),
            user_tag.hex(),
            sealed,
            expires_ms,
            self._ttl_ms(expires_ms),
            advance(State.NEW, Event.SESSION_REQUESTED).value,
        )
        if not added:
            raise LocalProtocolError("a login or a session has this id already")

    async def claim_code(self, session_id: bytes, now_ms: int) -> bytes | None:
        claimed = advance(State.AWAITING_CODE, Event.CODE_CLAIMED)
        steps = (State.AWAITING_CODE.value, claimed.value)
        sealed: bytes | None = await self._run(
            "claim_code", [("login", session_id)], now_ms, *steps
        )
        return sealed

    async def release_code(self, session_id: bytes) -> None:
        awaiting = advance(State.CODE_CLAIMED, Event.CODE_REFUSED)
        steps = (State.CODE_CLAIMED.value, awaiting.value)
        await self._run(
            "release_code", [("login", session_id)], session_id.hex(), *steps, CODE_ATTEMPTS
        )

    async def enrol(
        self, session_id: bytes, sealed: bytes, expires_ms: int, caps: SessionCaps | None = None
    ) -> bool:
        answer = await self._run(
            "enrol",
            [("login", session_id)],
            session_id.hex(),
            State.CODE_CLAIMED.value,
            sealed,
            expires_ms,
            self._ttl_ms(expires_ms),
            *cap_args(caps),
        )
        return opened(answer, caps)

    # --- sessions ---

    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        sealed: bytes | None = await self._run(
            "load", [("session", session_id)], session_id.hex(), now_ms
        )
        return sealed

    async def swap(self, session_id: bytes, old: bytes, new: bytes) -> bool:
        return bool(await self._run("swap", [("session", session_id)], old, new))

    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        answer = await self._run(
            "try_passphrase",
            [("session", session_id)],
            session_id.hex(),
            tag,
            now_ms,
            PASSPHRASE_ATTEMPTS,
            MAX_MESSAGES,
        )
        return bool(answer)

    async def claim(self, session_id: bytes, claim: NonceClaim, now_ms: int) -> bool:
        tags = (claim.nonce_tag, claim.passphrase_tag)
        session = ("session", session_id)
        return bool(await self._run("claim_tags", [session], *tags, now_ms, _CLAIMED))

    async def claim_message(
        self, session_id: bytes, sealed: bytes, claim: FreshnessClaim, now_ms: int
    ) -> bool:
        keys, record = [("session", session_id)], (session_id.hex(), sealed, now_ms)
        if claim.fresh == "clock":
            keys.append(("salts", session_id))
            until = (claim.expires_ms, self._ttl_ms(claim.expires_ms))
            forget_ms = now_ms - _REMEMBERED_MS
            answer = await self._run("claim_salt", keys, *record, claim.salt, *until, forget_ms)
        else:
            answer = await self._run("claim_number", keys, *record, claim.value, COUNTER_WINDOW)
        if answer == _CHANGED:
            raise SessionChanged
        return bool(answer)

    async def end(self, session_id: bytes) -> None:
        kinds = ("login", "session", "handshake", "exchange")
        await self._run("end_session", [(kind, session_id) for kind in kinds], session_id.hex())

    async def sessions(self, now_ms: int) -> list[StoredSession]:
        return [
            StoredSession(record.key, record.sealed, record.expires_ms)
            for record in await self._records("session", now_ms)
            if now_ms <= record.expires_ms
        ]

    async def count_sessions(self, now_ms: int) -> int:
        return int(await self._run("count_sessions", (), now_ms))

    # --- counters ---

    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        window = (MAIL_WINDOW_MS, self._ttl_ms(now_ms + MAIL_WINDOW_MS))
        return bool(await self._run("count_mail", [("mails", user_tag)], now_ms, *window, limit))

    async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
        # The key can contain a name or an address; Redis gets only its hash.
        expires_ms = now_ms + lifetime_ms
        counter = ("counter", sha256(key)[:16])
        value, until_ms = await self._run(
            "count", [counter], amount, expires_ms, self._ttl_ms(expires_ms), now_ms
        )
        return Counter(value, until_ms)

    async def sweep(self, now_ms: int) -> int:
        swept, more = 0, True
        while more:
            some, more = await self._run("sweep", (), now_ms, _SWEPT_AT_ONCE)
            swept += some
        return swept
