"""Hardened sessions of the gateway: sealed records in a store.

The store claims a message only if its session still has the record under which the message was
opened, so processes with one store agree on epochs and on ended sessions. An opened session stays
in memory for at most 30 s after a message. Only RSA keys are cached longer, because OpenSSL
prepares a key at its first use. They open no message without the keys of its epoch.

The module is long because it holds all that a message needs of its session.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gateway.errors import ExporterUnavailable, SessionChanged, StoreUnavailable
from gateway.events import Events, SessionEnded
from gateway.keys.keyring import KeyRing
from gateway.keys.user_tags import UserTags
from gateway.stores import NewSession, SessionCaps, Store
from protocol.common.errors import DecryptionFailed
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.hardened.confirmation import Enrolment
from protocol.hardened.exporter import exported_value
from protocol.hardened.message_server import ServerSession
from protocol.hardened.records import Record, SessionRecord
from protocol.hardened.replay_window import FreshnessClaim
from protocol.hardened.suites import HARDENED_SUITES

from .session import Session
from .streams import GrantedStreams

_CACHED_RSA_SESSIONS = 10_000
# Above this number, no session is remembered until others have left: to replace them would cost
# more than it saves (decision 52).
_MOST_REMEMBERED = 4096
_REMEMBERED_S = 30.0
_AWAITED, _BEING_CHECKED = 1, 2
_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class SessionEntry(Record):
    """A serialized SessionRecord with the user and the time of its start.

    ``awaits_password`` is 1 before the directory's second check, 2 during it, and 0 after it.
    ``device`` is the name of the device that has the session, or empty.
    """

    KIND: ClassVar[str] = "kept session"

    session: bytes = field(repr=False)
    user: str
    awaits_password: int
    opened_ms: int
    device: str = ""


class HardenedSession(Session):
    """A session that has the secret of the exporter.

    The secret is not a field of the dataclass, so no copy or text of the session contains it.
    """

    __slots__ = ("_export_secret",)
    _export_secret: bytes

    def __init__(
        self,
        id: str,
        user: str,
        suite: str,
        expires_ms: int,
        secret: bytes,
        ticket_id: str = "",
    ) -> None:
        super().__init__(id, user, suite, expires_ms, ticket_id)
        object.__setattr__(self, "_export_secret", secret)

    def export(self, label: str, context: bytes = b"", length: int = 32) -> bytes:
        """See ``Session.export``."""
        if not self._export_secret:
            raise ExporterUnavailable(
                "an earlier version opened this session: let the client resume, or log in again"
            )
        suite = HARDENED_SUITES[self.suite]
        return exported_value(suite, self._export_secret, label, context, length)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """An opened session; ``sealed`` is its record in the store."""

    session: Session
    kept: SessionEntry
    server: ServerSession
    sealed: bytes = field(repr=False)

    @property
    def record(self) -> SessionRecord:
        return self.server.record


@dataclass(frozen=True, slots=True)
class _RsaKeys:
    """The loaded RSA keys of a session; ``private_der`` tells which ones."""

    private_der: bytes = field(repr=False)
    private_key: RsaPrivateKey | None = field(repr=False)
    client_key: RsaPublicKey | None = field(repr=False)
    expires_ms: int


class HardenedSessions:
    """The hardened sessions of one gateway, by id; ``accepted`` are its suites."""

    def __init__(
        self,
        store: Store,
        keyring: KeyRing,
        tags: UserTags,
        accepted: Collection[str],
        events: Events | None = None,
        granted: GrantedStreams | None = None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._tags = tags
        self._accepted = accepted
        self._events = events or Events()
        self._granted = granted or GrantedStreams(store, keyring)
        self._rsa_keys: OrderedDict[bytes, _RsaKeys] = OrderedDict()
        self._remembered: dict[bytes, LiveSession] = {}
        # How often a session was dropped from ``_remembered``.
        self._dropped = 0
        self._overlap_until_ms: dict[bytes, int] = {}

    def new_session(
        self,
        enrolment: Enrolment,
        user: str,
        now_ms: int,
        caps: SessionCaps | None = None,
        *,
        awaits_password: bool = False,
    ) -> NewSession:
        """The sealed records of ``enrolment`` for ``user``, for the store."""
        record, ticket, chain = enrolment.session, enrolment.ticket, enrolment.chain
        awaits = _AWAITED if awaits_password else 0
        device = chain.device if chain else ""
        entry = SessionEntry(record.serialize(), user, awaits, now_ms, device)
        new_session = NewSession(
            record.session_id,
            self._tags.of(user),
            self._seal(record.session_id, entry),
            record.expires_ms,
            caps=caps,
        )
        if ticket is None or chain is None:
            return new_session
        sealed_ticket = self._keyring.seal("ticket", ticket.ticket_hash, ticket.serialize())
        return replace(
            new_session,
            chain_id=chain.chain_id,
            chain=self._keyring.seal("chain", chain.chain_id, chain.serialize()),
            chain_expires_ms=chain.expires_ms,
            ticket_hash=ticket.ticket_hash,
            ticket=sealed_ticket,
            seen_ms=hour_of(now_ms) if device else None,
        )

    def _seal(self, session_id: bytes, entry: SessionEntry) -> bytes:
        return self._keyring.seal("hardened session", session_id, entry.serialize())

    def remembered(self, session_id: bytes) -> LiveSession | None:
        """The session as it was for a message of the last 30 s. It can be outdated or ended."""
        return self._remembered.get(session_id)

    def _remember(self, live: LiveSession) -> None:
        session_id = live.record.session_id
        if session_id in self._remembered or len(self._remembered) >= _MOST_REMEMBERED:
            return
        self._remembered[session_id] = live
        # If the session was dropped and remembered again, it leaves earlier, which does no harm.
        loop = asyncio.get_running_loop()
        loop.call_later(_REMEMBERED_S, self._remembered.pop, session_id, None)

    def _drop(self, session_id: bytes) -> None:
        self._remembered.pop(session_id, None)
        self._dropped += 1

    async def is_outdated(self, live: LiveSession, now_ms: int) -> bool:
        """Whether the store has another record than ``live``, or the session has ended."""
        session_id = live.record.session_id
        outdated = await self._store.load(session_id, now_ms) != live.sealed
        if outdated:
            self._drop(session_id)
        return outdated

    async def find(self, session_id: bytes, now_ms: int) -> LiveSession | None:
        """The session, if it is open and its suite is accepted."""
        sealed = await self._store.load(session_id, now_ms)
        if sealed is None:
            self._rsa_keys.pop(session_id, None)
            self._remembered.pop(session_id, None)
            return None
        live = self._opened(session_id, sealed)
        return live if live is not None and live.record.suite in self._accepted else None

    def _opened(self, session_id: bytes, sealed: bytes) -> LiveSession | None:
        entry = open_entry(self._keyring, session_id, sealed)
        if entry is None:
            _log.warning(
                "session %s is sealed with another key: is --key-file right?", session_id.hex()
            )
            return None
        record = SessionRecord.parse(entry.session)
        session = HardenedSession(
            session_id.hex(),
            entry.user,
            record.suite,
            record.expires_ms,
            record.export,
            record.chain_id.hex(),
        )
        return LiveSession(session, entry, self._loaded(record), sealed)

    def _loaded(self, record: SessionRecord) -> ServerSession:
        session_id, private_der = record.session_id, record.private_key
        keys = self._rsa_keys.pop(session_id, None)
        if keys is None or keys.private_der != private_der:
            loaded = ServerSession.load(record)
            if not private_der:
                return loaded
            pair = loaded.private_key, loaded.client_key
            keys = _RsaKeys(private_der, *pair, record.expires_ms)
        self._rsa_keys[session_id] = keys
        if len(self._rsa_keys) > _CACHED_RSA_SESSIONS:
            self._rsa_keys.popitem(last=False)
        return ServerSession(record, keys.private_key, keys.client_key)

    async def claim(self, live: LiveSession, claim: FreshnessClaim, now_ms: int) -> bool:
        """Claim a message permanently, before it is handled.

        ``live`` has opened the seal of the message. Raises: SessionChanged, if the store has
        another record than ``live``.
        """
        session_id, dropped = live.record.session_id, self._dropped
        try:
            claimed = await self._store.claim_message(session_id, live.sealed, claim, now_ms)
        except SessionChanged:
            self._drop(session_id)
            raise
        # If a session was dropped meanwhile, it can be this one, and must not come back.
        if claimed and dropped == self._dropped:
            self._remember(live)
        return claimed

    async def keep(self, live: LiveSession, record: SessionRecord, now_ms: int) -> None:
        """Store the session after a message that moved it.

        Raises: DecryptionFailed, if the session has ended meanwhile.
        """
        while record is not live.record:
            if await self._change(live, replace(live.kept, session=record.serialize())):
                if record.previous_c2s:
                    self._overlap_until_ms[record.session_id] = record.previous_until_ms
                if live.kept.device:
                    await self._see_device(record.chain_id, now_ms)
                return
            live = await self._reloaded(live, now_ms)
            if live.record.epoch >= record.epoch:
                # Another message has already begun this epoch.
                return

    async def _see_device(self, chain_id: bytes, now_ms: int) -> None:
        # An epoch begins about every 15 minutes, so this shows when a device was seen. A message
        # that the store has accepted must not fail because of it.
        with contextlib.suppress(StoreUnavailable):
            await self._store.see_device(chain_id, hour_of(now_ms))

    async def begin_check(self, live: LiveSession, now_ms: int) -> LiveSession | None:
        """Begin the check of a password, once in a session. None: another request has begun it."""
        while live.kept.awaits_password == _AWAITED:
            has_begun = await self._change(live, replace(live.kept, awaits_password=_BEING_CHECKED))
            live = await self._reloaded(live, now_ms)
            if has_begun:
                return live
        return None

    async def end_check(self, live: LiveSession, now_ms: int) -> None:
        """The password was right. Raises: DecryptionFailed, if the session has ended."""
        while live.kept.awaits_password:
            await self._change(live, replace(live.kept, awaits_password=0))
            live = await self._reloaded(live, now_ms)

    async def _change(self, live: LiveSession, entry: SessionEntry) -> bool:
        session_id = live.record.session_id
        self._drop(session_id)
        return await self._store.swap(session_id, live.sealed, self._seal(session_id, entry))

    async def _reloaded(self, live: LiveSession, now_ms: int) -> LiveSession:
        found = await self.find(live.record.session_id, now_ms)
        if found is None:
            raise DecryptionFailed("the session has ended meanwhile")
        return found

    async def end(self, live: LiveSession, now_ms: int, *, with_tickets: bool = True) -> None:
        """Close the session; with its tickets for a logout (PROTOCOL §2.6.3)."""
        self._rsa_keys.pop(live.record.session_id, None)
        self._drop(live.record.session_id)
        if live.record.chain_id and with_tickets:
            await self._store.end_chain(live.record.chain_id)
        await self._store.end(live.record.session_id)
        await self._granted.forget(live.record.session_id, now_ms)
        self._events.emit(SessionEnded(live.record.session_id, now_ms - live.kept.opened_ms))

    async def sweep(self, now_ms: int) -> None:
        """Delete the keys of old epochs, and expired sessions."""
        for session_id, until_ms in list(self._overlap_until_ms.items()):
            if now_ms > until_ms:
                found = await self.find(session_id, now_ms)
                if found is not None and found.record.pruned(now_ms) is not found.record:
                    pruned = found.record.pruned(now_ms).serialize()
                    await self._change(found, replace(found.kept, session=pruned))
                if self._overlap_until_ms.get(session_id) == until_ms:
                    del self._overlap_until_ms[session_id]
        for session_id, keys in list(self._rsa_keys.items()):
            if now_ms > keys.expires_ms:
                del self._rsa_keys[session_id]


def hour_of(at_ms: int) -> int:
    """The beginning of the hour, so that the store does not show when exactly a device sends."""
    return at_ms - at_ms % 3_600_000


def open_entry(keyring: KeyRing, session_id: bytes, sealed: bytes) -> SessionEntry | None:
    """Open the record of a hardened session; None if ``sealed`` is something else."""
    opened = keyring.open("hardened session", session_id, sealed)
    return None if opened is None else SessionEntry.parse(opened)
