"""A store in the memory of this process; its data ends with the process.

This module has classic logins, sessions, claims and mails. ``handshakes.py`` has hardened logins,
tickets and codes; ``records.py`` has the records.
"""

from gateway.errors import SessionChanged
from gateway.stores import (
    MAIL_LIMIT,
    MAIL_WINDOW_MS,
    TAG_KEY_ID,
    Counter,
    Reseal,
    Retag,
    SessionCaps,
    StoredSession,
)
from protocol.classic.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, NonceClaim
from protocol.classic.session import Event, State, advance
from protocol.common.codes import CODE_ATTEMPTS
from protocol.hardened.replay_window import FreshnessClaim

from .handshakes import MemoryHandshakes
from .records import Chain, Code, Exchange, Handshake, Salts, Session, drop

_CLAIMED = PASSPHRASE_ATTEMPTS + 1


class MemoryStore(MemoryHandshakes):
    """The store of one process."""

    def _alive(self, session_id: bytes, state: State, now_ms: int) -> Session | None:
        record = self._sessions.get(session_id)
        if record is None or record.state is not state or now_ms > record.expires_ms:
            return None
        return record

    # --- logging in ---

    async def add_login(
        self, session_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        known = self._sessions.get(session_id)
        state = advance(known.state if known else State.NEW, Event.SESSION_REQUESTED)
        self._add_session(session_id, Session(state, sealed, expires_ms, user_tag))

    async def claim_code(self, session_id: bytes, now_ms: int) -> bytes | None:
        record = self._alive(session_id, State.AWAITING_CODE, now_ms)
        if record is None:
            return None
        record.state = advance(record.state, Event.CODE_CLAIMED)
        record.attempts += 1
        return record.sealed

    async def release_code(self, session_id: bytes) -> None:
        record = self._sessions.get(session_id)
        if record is None or record.state is not State.CODE_CLAIMED:
            return
        if record.attempts < CODE_ATTEMPTS:
            record.state = advance(record.state, Event.CODE_REFUSED)
        else:
            self._delete_session(session_id)

    async def enrol(
        self, session_id: bytes, sealed: bytes, expires_ms: int, caps: SessionCaps | None = None
    ) -> bool:
        record = self._sessions.get(session_id)
        if record is None or record.state is not State.CODE_CLAIMED:
            return False
        self._check_caps(caps, record.user_tag)
        state = advance(record.state, Event.CLIENT_ENROLLED)
        self._add_session(session_id, Session(state, sealed, expires_ms, record.user_tag))
        return True

    # --- sessions ---

    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        return record.sealed if record else None

    async def swap(self, session_id: bytes, old: bytes, new: bytes) -> bool:
        record = self._sessions.get(session_id)
        if record is None or record.state is not State.ENROLLED or record.sealed != old:
            return False
        record.sealed = new
        return True

    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        if record is None or record.tags.get(tag, 0) >= PASSPHRASE_ATTEMPTS:
            return False
        if tag not in record.tags:
            if record.passphrases >= MAX_MESSAGES:
                self._delete_session(session_id)
                return False
            record.passphrases += 1
        record.tags[tag] = record.tags.get(tag, 0) + 1
        return True

    async def claim(self, session_id: bytes, claim: NonceClaim, now_ms: int) -> bool:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        if record is None or claim.nonce_tag in record.tags:
            return False
        if record.tags.get(claim.passphrase_tag) == _CLAIMED:
            return False
        record.tags[claim.nonce_tag] = record.tags[claim.passphrase_tag] = _CLAIMED
        return True

    async def claim_message(
        self, session_id: bytes, sealed: bytes, claim: FreshnessClaim, now_ms: int
    ) -> bool:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        if record is None or record.sealed != sealed:
            raise SessionChanged
        if claim.fresh == "clock":
            return self._claim_salt(record.salts, claim, now_ms)
        window = record.window.claim(claim.value)
        record.window = window or record.window
        return window is not None

    @staticmethod
    def _claim_salt(salts: Salts, claim: FreshnessClaim, now_ms: int) -> bool:
        if claim.expires_ms < salts.forgotten_ms:
            return now_ms > claim.expires_ms
        if claim.salt in salts.until_ms:
            return False
        if len(salts.until_ms) >= salts.full:
            salts.delete_expired(now_ms)
        salts.until_ms[claim.salt] = claim.expires_ms
        return True

    async def end(self, session_id: bytes) -> None:
        self._delete_session(session_id)
        self._handshakes.pop(session_id, None)
        self._exchanges.pop(session_id, None)

    async def sessions(self, now_ms: int) -> list[StoredSession]:
        return [
            StoredSession(key, session.sealed, session.expires_ms)
            for key, session in self._sessions.items()
            if session.is_open(now_ms)
        ]

    async def count_sessions(self, now_ms: int) -> int:
        return sum(session.is_open(now_ms) for session in self._sessions.values())

    # --- counters and keys ---

    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        sent = self._mails.get(user_tag, ())
        recent = [at for at in sent if abs(now_ms - at) < MAIL_WINDOW_MS]
        allowed = len(recent) < limit
        self._mails[user_tag] = [*recent, now_ms] if allowed else recent
        return allowed

    async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
        counter = self._counters.get(key)
        if counter is None or now_ms > counter.expires_ms:
            counter = Counter(0, now_ms + lifetime_ms)
        if amount:
            expires_ms = min(counter.expires_ms, now_ms + lifetime_ms)
            counter = Counter(counter.value + amount, expires_ms)
            self._counters[key] = counter
        return counter

    async def tag_key(self) -> bytes | None:
        return self._tag_key or None

    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        if not self._tag_key:
            self._tag_key = offered
            self._retag(retag)
        return self._tag_key

    async def reseal(self, reseal: Reseal) -> int:
        records: list[tuple[str, bytes, Session | Handshake | Exchange | Chain | Code]] = [
            *(("session", key, one) for key, one in self._sessions.items()),
            *(("handshake", key, one) for key, one in self._handshakes.items()),
            *(("exchange", key, one) for key, one in self._exchanges.items()),
            *(("chain", key, one) for key, one in self._chains.items()),
            *(("issued code", one.code_id, one) for one in self._codes.values()),
        ]
        # Compute all new records first, because one can fail. A used login has an empty record.
        new = [reseal(kind, key, one.sealed) if one.sealed else b"" for kind, key, one in records]
        tickets = {
            key: reseal("ticket", key, self._chains[chain_id].tickets[key])
            for key, chain_id in self._chain_of.items()
        }
        tag_key = self._tag_key and reseal("tag key", TAG_KEY_ID, self._tag_key)
        changed = int(tag_key != self._tag_key)
        self._tag_key = tag_key
        for (_, _, one), sealed in zip(records, new, strict=True):
            changed += one.sealed != sealed
            one.sealed = sealed
        for key, sealed in tickets.items():
            of_chain = self._chains[self._chain_of[key]].tickets
            changed += of_chain[key] != sealed
            of_chain[key] = sealed
        return changed

    async def sweep(self, now_ms: int) -> int:
        ended = [key for key, session in self._sessions.items() if now_ms > session.expires_ms]
        for key in ended:
            self._delete_session(key)
        ended += drop(self._handshakes, lambda login: now_ms > login.expires_ms)
        drop(self._exchanges, lambda exchange: now_ms > exchange.expires_ms)
        drop(self._codes, lambda code: now_ms > code.expires_ms)
        drop(self._counters, lambda counter: now_ms > counter.expires_ms)
        for chain_id in [k for k, chain in self._chains.items() if now_ms > chain.expires_ms]:
            self._delete_chain(chain_id)
        for session in self._sessions.values():
            session.salts.delete_expired(now_ms)
        for tag in [t for t, at in self._mails.items() if abs(now_ms - at[-1]) >= MAIL_WINDOW_MS]:
            del self._mails[tag]
        return len(ended)
