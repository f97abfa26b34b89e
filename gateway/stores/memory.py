"""A store in this process's memory: one process, nothing left after it ends."""

from dataclasses import dataclass, field

from protocol.codes import CODE_ATTEMPTS
from protocol.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, NonceClaim
from protocol.session import Event, State, advance

from . import MAIL_LIMIT, MAIL_WINDOW_MS, Store

_CLAIMED = PASSPHRASE_ATTEMPTS + 1


@dataclass(slots=True)
class _Record:
    state: State
    sealed: bytes
    expires_ms: int
    attempts: int = 0
    passphrases: int = 0
    # By tag: how often it was tried, or _CLAIMED. The garbage collector need not walk such a dict.
    tags: dict[bytes, int] = field(default_factory=dict)


class MemoryStore(Store):
    """Atomic because no method awaits anything."""

    def __init__(self) -> None:
        self._records: dict[bytes, _Record] = {}
        self._mails: dict[bytes, list[int]] = {}

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def _alive(self, session_id: bytes, state: State, now_ms: int) -> _Record | None:
        record = self._records.get(session_id)
        if record is None or record.state is not state or now_ms > record.expires_ms:
            return None
        return record

    async def add_login(self, session_id: bytes, sealed: bytes, expires_ms: int) -> None:
        known = self._records.get(session_id)
        state = advance(known.state if known else State.NEW, Event.SESSION_REQUESTED)
        self._records[session_id] = _Record(state, sealed, expires_ms)

    async def claim_code(self, session_id: bytes, now_ms: int) -> bytes | None:
        record = self._alive(session_id, State.AWAITING_CODE, now_ms)
        if record is None:
            return None
        record.state = advance(record.state, Event.CODE_CLAIMED)
        record.attempts += 1
        return record.sealed

    async def release_code(self, session_id: bytes) -> None:
        record = self._records.get(session_id)
        if record is None or record.state is not State.CODE_CLAIMED:
            return
        if record.attempts < CODE_ATTEMPTS:
            record.state = advance(record.state, Event.CODE_REFUSED)
        else:
            del self._records[session_id]

    async def enrol(self, session_id: bytes, sealed: bytes, expires_ms: int) -> bool:
        record = self._records.get(session_id)
        if record is None or record.state is not State.CODE_CLAIMED:
            return False
        state = advance(record.state, Event.CLIENT_ENROLLED)
        self._records[session_id] = _Record(state, sealed, expires_ms)
        return True

    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        return record.sealed if record else None

    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        if record is None or record.tags.get(tag, 0) >= PASSPHRASE_ATTEMPTS:
            return False
        if tag not in record.tags:
            if record.passphrases >= MAX_MESSAGES:
                del self._records[session_id]
                return False
            record.passphrases += 1
        record.tags[tag] = record.tags.get(tag, 0) + 1
        return True

    async def claim(self, session_id: bytes, claim: NonceClaim, now_ms: int) -> bool:
        record = self._alive(session_id, State.ENROLLED, now_ms)
        if record is None:
            return False
        if claim.nonce_tag in record.tags or record.tags.get(claim.passphrase_tag) == _CLAIMED:
            return False
        record.state = advance(record.state, Event.MESSAGE_CLAIMED)
        record.tags[claim.nonce_tag] = record.tags[claim.passphrase_tag] = _CLAIMED
        return True

    async def end(self, session_id: bytes) -> None:
        self._records.pop(session_id, None)

    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        recent = [at for at in self._mails.get(user_tag, ()) if now_ms - at < MAIL_WINDOW_MS]
        allowed = len(recent) < limit
        self._mails[user_tag] = [*recent, now_ms] if allowed else recent
        return allowed

    async def sweep(self, now_ms: int) -> int:
        expired = [key for key, record in self._records.items() if now_ms > record.expires_ms]
        for key in expired:
            del self._records[key]
        for tag in [t for t, at in self._mails.items() if now_ms - at[-1] >= MAIL_WINDOW_MS]:
            del self._mails[tag]
        return len(expired)
