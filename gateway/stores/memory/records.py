"""The records of a store in memory, and the dictionaries that contain them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from gateway.stores import Counter, Retag, SessionCaps, Store
from gateway.stores.caps import OF_ALL_USERS, OF_THIS_USER, cap_reached
from protocol.classic.session import State
from protocol.hardened.replay_window import ReplayWindow

# Expired salts are deleted when there are twice as many as after the last time, plus these.
_SPARE_SALTS = 1024


@dataclass(slots=True)
class Salts:
    """The salts of a session that have not expired."""

    until_ms: dict[bytes, int] = field(default_factory=dict)
    forgotten_ms: int = 0
    full: int = _SPARE_SALTS

    def delete_expired(self, now_ms: int) -> None:
        remaining = {salt: at for salt, at in self.until_ms.items() if at >= now_ms}
        if len(remaining) < len(self.until_ms):
            self.forgotten_ms = max(self.forgotten_ms, now_ms)
        self.until_ms = remaining
        self.full = 2 * len(self.until_ms) + _SPARE_SALTS


@dataclass(slots=True)
class Session:
    """A classic login, or a session of any suite."""

    state: State
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    attempts: int = 0
    passphrases: int = 0
    # For each tag, the number of tries, or CLAIMED. The garbage collector skips such a dict.
    tags: dict[bytes, int] = field(default_factory=dict)
    salts: Salts = field(default_factory=Salts)
    window: ReplayWindow = field(default_factory=ReplayWindow)

    def is_open(self, now_ms: int) -> bool:
        return self.state is State.ENROLLED and now_ms <= self.expires_ms


@dataclass(slots=True)
class Handshake:
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    code_id: bytes
    device_tag: bytes
    attempts: int = 0


@dataclass(slots=True)
class Exchange:
    sealed: bytes
    expires_ms: int


@dataclass(slots=True)
class Chain:
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    session_id: bytes = b""
    tickets: dict[bytes, bytes] = field(default_factory=dict)
    seen_ms: int | None = None
    is_revoked: bool = False


@dataclass(slots=True)
class Code:
    code_id: bytes
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    device_tag: bytes
    attempts: int = 0


_V = TypeVar("_V", Handshake, Exchange, Code, Counter)


def drop(records: dict[bytes, _V], condition: Callable[[_V], bool]) -> list[bytes]:
    """Delete the records that fulfil ``condition``; return their keys."""
    dropped = [key for key, value in records.items() if condition(value)]
    for key in dropped:
        del records[key]
    return dropped


class MemoryRecords(Store):
    """All methods are atomic, because none of them awaits."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, Session] = {}
        self._handshakes: dict[bytes, Handshake] = {}
        self._exchanges: dict[bytes, Exchange] = {}
        self._chains: dict[bytes, Chain] = {}
        # The chain of each ticket; the sessions of each user; the codes by user and device.
        self._chain_of: dict[bytes, bytes] = {}
        self._sessions_of: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._codes: dict[bytes, Code] = {}
        self._mails: dict[bytes, list[int]] = {}
        self._counters: dict[bytes, Counter] = {}
        self._tag_key = b""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ping(self) -> None:
        """Memory is always available."""

    def _retag(self, retag: Retag) -> None:
        tagged: tuple[Iterable[Session | Handshake | Chain | Code], ...] = (
            self._sessions.values(),
            self._handshakes.values(),
            self._chains.values(),
            self._codes.values(),
        )
        for one in chain.from_iterable(tagged):
            one.user_tag = retag(one.user_tag)
        self._codes = {code.user_tag + code.device_tag: code for code in self._codes.values()}
        self._mails = {retag(tag): at_ms for tag, at_ms in self._mails.items()}
        self._sessions_of.clear()
        for session_id, session in self._sessions.items():
            self._sessions_of[session.user_tag].add(session_id)

    def _add_session(self, session_id: bytes, session: Session) -> None:
        self._delete_session(session_id)
        self._sessions[session_id] = session
        self._sessions_of[session.user_tag].add(session_id)

    def _delete_session(self, session_id: bytes) -> None:
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        of_user = self._sessions_of[session.user_tag]
        of_user.discard(session_id)
        if not of_user:
            del self._sessions_of[session.user_tag]

    def _check_caps(self, caps: SessionCaps | None, user_tag: bytes, replaced: bytes = b"") -> None:
        """Raises: RateLimited, if one more session is too many; ``replaced`` ends before."""
        if caps is None:
            return
        of_user = self._sessions_of.get(user_tag, ())
        for cap, ids, whose in (
            (caps.per_user, of_user, OF_THIS_USER),
            (caps.in_all, self._sessions, OF_ALL_USERS),
        ):
            # Most of the time the limit is far away.
            if not cap or len(ids) < cap:
                continue
            counted = [self._sessions[one].expires_ms for one in ids if self._counts(one, caps)]
            if replaced in ids and self._counts(replaced, caps):
                counted.remove(self._sessions[replaced].expires_ms)
            if len(counted) >= cap:
                raise cap_reached(caps, whose, min(counted))

    def _counts(self, session_id: bytes, caps: SessionCaps) -> bool:
        return self._sessions[session_id].is_open(caps.now_ms)
