"""Classic sessions of the gateway: sealed records in a store, and opened keys in a cache.

The cache only saves the opening of keys. The store decides: its claim fails for a session that has
ended in any process. Keys without an accepted message between two sweeps leave the cache, because
the session may have ended in another process.
"""

import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

import msgpack

from gateway.clock import Clock
from gateway.events import Events, SessionEnded
from gateway.keys.keyring import KeyRing
from gateway.stores import SessionCaps, Store
from protocol.classic.exchange import TAG_KEY_BYTES, SessionKeys
from protocol.classic.freshness import NonceClaim
from protocol.common.codes import CODE_LIFETIME_MS, Code, session_id
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey

from .session import Session

_CACHE_SIZE = 10_000
_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session, its token and its opened keys."""

    token: str = field(repr=False)
    session: Session
    keys: SessionKeys


@dataclass(frozen=True, slots=True)
class ClaimedCode:
    """A code that the store has claimed for one try, and the user name of the login."""

    code: Code
    username: str


class Sessions:
    """The classic sessions of one gateway, by token."""

    def __init__(
        self,
        store: Store,
        keyring: KeyRing,
        clock: Clock,
        suite: str,
        lifetime_ms: int,
        events: Events | None = None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._suite = suite
        self._lifetime_ms = lifetime_ms
        self._events = events or Events()
        self._live: OrderedDict[str, LiveSession] = OrderedDict()
        # The ids of cached sessions without an accepted message since the last sweep.
        self._unused: set[str] = set()

    async def await_code(self, token: str, username: str, user_tag: bytes, code: Code) -> None:
        """Allow ``username`` to open a session with ``code``, for ten minutes.

        ``user_tag`` is the tag of the session's user.
        """
        key = session_id(token)
        sealed = self._keyring.seal("login", key, msgpack.packb([self._suite, username, code.text]))
        expires_ms = self._clock() + CODE_LIFETIME_MS
        await self._store.add_login(key, sealed, expires_ms, user_tag)

    async def claim_code(self, token: str) -> ClaimedCode | None:
        """Count a try and return the code, or None."""
        key = session_id(token)
        sealed = await self._store.claim_code(key, self._clock())
        record = self._keyring.open("login", key, sealed) if sealed is not None else None
        if record is None:
            return None
        suite, username, text = msgpack.unpackb(record)
        # A code is valid for one suite only.
        return ClaimedCode(Code(text), username) if suite == self._suite else None

    async def release_code(self, token: str) -> None:
        """The code was wrong; it can be tried again, if tries are left."""
        await self._store.release_code(session_id(token))

    async def enrol(
        self,
        token: str,
        user: str,
        private_key: RsaPrivateKey,
        client_key: RsaPublicKey,
        caps: SessionCaps | None = None,
    ) -> Session | None:
        """Open the session. None if another request was first. Raises: RateLimited."""
        key = session_id(token)
        tag_key = secrets.token_bytes(TAG_KEY_BYTES)
        expires_ms = self._clock() + self._lifetime_ms
        pair = [private_key.to_der(), client_key.to_der()]
        record = [self._suite, user, *pair, tag_key, expires_ms]
        sealed = self._keyring.seal("session", key, msgpack.packb(record))
        if not await self._store.enrol(key, sealed, expires_ms, caps):
            return None
        session = Session(key.hex(), user, self._suite, expires_ms)
        keys = SessionKeys(private_key, client_key, tag_key)
        self._remember(LiveSession(token, session, keys))
        return session

    async def find(self, token: str, now_ms: int) -> LiveSession | None:
        """The session of ``token``, if it is open."""
        live = self._live.get(token)
        if live is None:
            live = await self._load(token, now_ms)
        if live is None or now_ms > live.session.expires_ms:
            return None
        self._remember(live)
        return live

    async def _load(self, token: str, now_ms: int) -> LiveSession | None:
        key = session_id(token)
        sealed = await self._store.load(key, now_ms)
        if sealed is None:
            return None
        record = self._keyring.open("session", key, sealed)
        if record is None:
            _log.warning("session %s is sealed with another key: is --key-file right?", key.hex())
            return None
        suite, user, private_der, client_der, tag_key, expires_ms = msgpack.unpackb(record)
        client_key = RsaPublicKey.from_der(client_der)
        if client_key is None or suite != self._suite:
            return None
        keys = SessionKeys(RsaPrivateKey.from_der(private_der), client_key, tag_key)
        return LiveSession(token, Session(key.hex(), user, self._suite, expires_ms), keys)

    def _remember(self, live: LiveSession) -> None:
        self._live[live.token] = live
        self._live.move_to_end(live.token)
        if len(self._live) > _CACHE_SIZE:
            self._live.popitem(last=False)

    async def try_passphrase(self, session: Session, tag: bytes, now_ms: int) -> bool:
        """Count a try of a message's passphrase, before its use."""
        return await self._store.try_passphrase(bytes.fromhex(session.id), tag, now_ms)

    async def claim(self, session: Session, claim: NonceClaim, now_ms: int) -> bool:
        """Claim a message permanently, before it is handled."""
        claimed = await self._store.claim(bytes.fromhex(session.id), claim, now_ms)
        if claimed:
            self._unused.discard(session.id)
        return claimed

    async def end(self, live: LiveSession) -> None:
        """Close the session."""
        key = bytes.fromhex(live.session.id)
        self._live.pop(live.token, None)
        await self._store.end(key)
        opened_ms = live.session.expires_ms - self._lifetime_ms
        self._events.emit(SessionEnded(key, self._clock() - opened_ms))

    async def end_login(self, token: str) -> None:
        """End a login that opens no session; its code is used up."""
        await self._store.end(session_id(token))

    async def sweep(self) -> int:
        """Delete expired sessions, and drop keys that are not in use."""
        now_ms = self._clock()
        for live in list(self._live.values()):
            if now_ms > live.session.expires_ms or live.session.id in self._unused:
                del self._live[live.token]
        self._unused = {live.session.id for live in self._live.values()}
        return await self._store.sweep(now_ms)
