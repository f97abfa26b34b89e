"""A store in this process's memory: one process, nothing left after it ends.

The whole contract in one room, since every method sees the same few dictionaries.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from protocol.codes import CODE_ATTEMPTS
from protocol.counter_window import CounterWindow, FreshnessClaim
from protocol.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, NonceClaim
from protocol.session import Event, State, advance

from . import (
    MAIL_LIMIT,
    MAIL_WINDOW_MS,
    Attempt,
    Claim,
    IssuedCode,
    Opening,
    Store,
    StoredChain,
    StoredSession,
    StoredTicket,
)

_CLAIMED = PASSPHRASE_ATTEMPTS + 1
# Salts are forgotten once there are twice as many as there were left the last time, and these.
_SPARE_SALTS = 1024


@dataclass(slots=True)
class _Salts:
    """The salts of a session that may not be forgotten yet."""

    until_ms: dict[bytes, int] = field(default_factory=dict)
    forgotten_ms: int = 0
    full: int = _SPARE_SALTS

    def claim(self, claim: FreshnessClaim, now_ms: int) -> bool:
        if claim.expires_ms < self.forgotten_ms:
            return now_ms > claim.expires_ms
        if claim.salt in self.until_ms:
            return False
        if len(self.until_ms) >= self.full:
            self.forget(now_ms)
        self.until_ms[claim.salt] = claim.expires_ms
        return True

    def forget(self, now_ms: int) -> None:
        kept = {salt: at for salt, at in self.until_ms.items() if at >= now_ms}
        if len(kept) < len(self.until_ms):
            self.forgotten_ms = max(self.forgotten_ms, now_ms)
        self.until_ms = kept
        self.full = 2 * len(self.until_ms) + _SPARE_SALTS


@dataclass(slots=True)
class _Session:
    state: State
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    attempts: int = 0
    passphrases: int = 0
    # By tag: how often it was tried, or _CLAIMED. The garbage collector need not walk such a dict.
    tags: dict[bytes, int] = field(default_factory=dict)
    salts: _Salts = field(default_factory=_Salts)
    window: CounterWindow = field(default_factory=CounterWindow)


@dataclass(slots=True)
class _Handshake:
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    code_id: bytes
    attempts: int = 0


@dataclass(slots=True)
class _Exchange:
    sealed: bytes
    expires_ms: int


@dataclass(slots=True)
class _Chain:
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    session_id: bytes = b""
    tickets: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Code:
    code_id: bytes
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    attempts: int = 0


_V = TypeVar("_V", _Session, _Handshake, _Exchange, _Chain, _Code)


def _drop(kept: dict[bytes, _V], condition: Callable[[_V], bool]) -> list[bytes]:
    """Remove what fulfils ``condition``; the keys of it."""
    dropped = [key for key, value in kept.items() if condition(value)]
    for key in dropped:
        del kept[key]
    return dropped


class MemoryStore(Store):
    """Atomic because no method awaits anything."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, _Session] = {}
        self._handshakes: dict[bytes, _Handshake] = {}
        self._exchanges: dict[bytes, _Exchange] = {}
        self._chains: dict[bytes, _Chain] = {}
        # By ticket: its chain. By user: the one code that was issued to him.
        self._chain_of: dict[bytes, bytes] = {}
        self._codes: dict[bytes, _Code] = {}
        self._mails: dict[bytes, list[int]] = {}

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def _alive(self, session_id: bytes, state: State, now_ms: int) -> _Session | None:
        record = self._sessions.get(session_id)
        if record is None or record.state is not state or now_ms > record.expires_ms:
            return None
        return record

    # --- logging in, classic ---

    async def add_login(
        self, session_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        known = self._sessions.get(session_id)
        state = advance(known.state if known else State.NEW, Event.SESSION_REQUESTED)
        self._sessions[session_id] = _Session(state, sealed, expires_ms, user_tag)

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
            del self._sessions[session_id]

    async def enrol(self, session_id: bytes, sealed: bytes, expires_ms: int) -> bool:
        record = self._sessions.get(session_id)
        if record is None or record.state is not State.CODE_CLAIMED:
            return False
        state = advance(record.state, Event.CLIENT_ENROLLED)
        self._sessions[session_id] = _Session(state, sealed, expires_ms, record.user_tag)
        return True

    # --- logging in and resuming, hardened ---

    async def add_handshake(
        self,
        session_id: bytes,
        sealed: bytes,
        expires_ms: int,
        user_tag: bytes,
        code_id: bytes = b"",
    ) -> None:
        self._handshakes[session_id] = _Handshake(sealed, expires_ms, user_tag, code_id)

    async def claim_attempt(self, session_id: bytes, now_ms: int) -> Attempt | None:
        login = self._handshakes.get(session_id)
        if login is None or now_ms > login.expires_ms or login.attempts >= CODE_ATTEMPTS:
            return None
        code = self._issued(login, now_ms)
        if code is not None:
            code.attempts += 1
        login.attempts += 1
        self._exchanges.pop(session_id, None)
        is_void = code is None and login.code_id != b""
        attempt = Attempt(login.sealed, login.attempts, is_void)
        if login.attempts == CODE_ATTEMPTS:
            login.sealed = b""
        return attempt

    def _issued(self, login: _Handshake, now_ms: int) -> _Code | None:
        code = self._codes.get(login.user_tag)
        if code is None or code.code_id != login.code_id or now_ms > code.expires_ms:
            return None
        return code if code.attempts < CODE_ATTEMPTS else None

    async def add_exchange(
        self, session_id: bytes, sealed: bytes, expires_ms: int, attempt: int = 0
    ) -> bool:
        login = self._handshakes.get(session_id)
        if attempt != (login.attempts if login else 0):
            return False
        self._exchanges[session_id] = _Exchange(sealed, expires_ms)
        return True

    async def take_exchange(self, session_id: bytes, now_ms: int) -> bytes | None:
        exchange = self._exchanges.pop(session_id, None)
        return exchange.sealed if exchange and now_ms <= exchange.expires_ms else None

    async def open_login(self, opening: Opening) -> bool:
        login = self._handshakes.pop(opening.session_id, None)
        if login is None or login.user_tag != opening.user_tag:
            return False
        if login.code_id:
            code = self._codes.get(login.user_tag)
            if code is None or code.code_id != login.code_id:
                return False
            del self._codes[login.user_tag]
        if opening.chain_id:
            self._chains[opening.chain_id] = _Chain(
                opening.chain, opening.chain_expires_ms, opening.user_tag
            )
        self._open(opening)
        return True

    async def open_resumed(self, opening: Opening, previous: bytes) -> bool:
        chain = self._chains.get(opening.chain_id)
        if chain is None or (chain.sealed, chain.user_tag) != (previous, opening.user_tag):
            return False
        chain.sealed, chain.expires_ms = opening.chain, opening.chain_expires_ms
        self._sessions.pop(chain.session_id, None)
        self._open(opening)
        return True

    def _open(self, opening: Opening) -> None:
        self._sessions[opening.session_id] = _Session(
            State.ENROLLED, opening.sealed, opening.expires_ms, opening.user_tag
        )
        if opening.chain_id:
            chain = self._chains[opening.chain_id]
            chain.session_id = opening.session_id
            chain.tickets[opening.ticket_hash] = opening.ticket
            self._chain_of[opening.ticket_hash] = opening.chain_id

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
                del self._sessions[session_id]
                return False
            record.passphrases += 1
        record.tags[tag] = record.tags.get(tag, 0) + 1
        return True

    async def claim(self, session_id: bytes, claim: Claim, now_ms: int) -> bool:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        if record is None:
            return False
        if isinstance(claim, NonceClaim):
            return self._claim_tags(record, claim)
        if claim.fresh == "clock":
            return record.salts.claim(claim, now_ms)
        window = record.window.claim(claim.value)
        record.window = window or record.window
        return window is not None

    @staticmethod
    def _claim_tags(record: _Session, claim: NonceClaim) -> bool:
        if claim.nonce_tag in record.tags or record.tags.get(claim.passphrase_tag) == _CLAIMED:
            return False
        record.state = advance(record.state, Event.MESSAGE_CLAIMED)
        record.tags[claim.nonce_tag] = record.tags[claim.passphrase_tag] = _CLAIMED
        return True

    async def end(self, session_id: bytes) -> None:
        for kept in (self._sessions, self._handshakes, self._exchanges):
            kept.pop(session_id, None)

    # --- tickets ---

    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        chain = self._chains.get(self._chain_of.get(ticket_hash, b""))
        if chain is None or now_ms > chain.expires_ms:
            return None
        return StoredTicket(chain.tickets[ticket_hash], chain.sealed)

    async def end_chain(self, chain_id: bytes) -> None:
        chain = self._forget_chain(chain_id)
        if chain is not None:
            self._sessions.pop(chain.session_id, None)

    def _forget_chain(self, chain_id: bytes) -> _Chain | None:
        chain = self._chains.pop(chain_id, None)
        for ticket_hash in chain.tickets if chain else ():
            del self._chain_of[ticket_hash]
        return chain

    # --- what an operator does ---

    async def add_code(
        self, code_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        self._codes[user_tag] = _Code(code_id, sealed, expires_ms, user_tag)

    async def find_code(self, user_tag: bytes, now_ms: int) -> IssuedCode | None:
        code = self._codes.get(user_tag)
        if code is None or now_ms > code.expires_ms or code.attempts >= CODE_ATTEMPTS:
            return None
        return IssuedCode(code.code_id, code.sealed)

    async def end_codes(self, user_tag: bytes) -> int:
        return 0 if self._codes.pop(user_tag, None) is None else 1

    async def sessions(self, now_ms: int) -> list[StoredSession]:
        return [
            StoredSession(key, session.sealed, session.expires_ms)
            for key, session in self._sessions.items()
            if session.state is State.ENROLLED and now_ms <= session.expires_ms
        ]

    async def chains(self, now_ms: int) -> list[StoredChain]:
        return [
            StoredChain(key, chain.sealed)
            for key, chain in self._chains.items()
            if now_ms <= chain.expires_ms
        ]

    async def end_user(self, user_tag: bytes) -> int:
        ended = [session for session in self._sessions.values() if session.state is State.ENROLLED]
        count = sum(session.user_tag == user_tag for session in ended)
        _drop(self._sessions, lambda session: session.user_tag == user_tag)
        for key in _drop(self._handshakes, lambda login: login.user_tag == user_tag):
            self._exchanges.pop(key, None)
        for chain_id in [k for k, chain in self._chains.items() if chain.user_tag == user_tag]:
            self._forget_chain(chain_id)
        self._codes.pop(user_tag, None)
        return count

    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        recent = [at for at in self._mails.get(user_tag, ()) if now_ms - at < MAIL_WINDOW_MS]
        allowed = len(recent) < limit
        self._mails[user_tag] = [*recent, now_ms] if allowed else recent
        return allowed

    async def sweep(self, now_ms: int) -> int:
        swept = _drop(self._sessions, lambda session: now_ms > session.expires_ms)
        swept += _drop(self._handshakes, lambda login: now_ms > login.expires_ms)
        _drop(self._exchanges, lambda exchange: now_ms > exchange.expires_ms)
        _drop(self._codes, lambda code: now_ms > code.expires_ms)
        for chain_id in [k for k, chain in self._chains.items() if now_ms > chain.expires_ms]:
            self._forget_chain(chain_id)
        for session in self._sessions.values():
            session.salts.forget(now_ms)
        for tag in [t for t, at in self._mails.items() if now_ms - at[-1] >= MAIL_WINDOW_MS]:
            del self._mails[tag]
        return len(swept)
