"""Every record of a kind in Redis: for lists, and to be sealed anew."""

import contextlib
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from gateway.errors import StoreUnavailable
from gateway.stores import TAG_KEY_ID, Reseal, Retag

from .scripts import SCRIPTS
from .server import Fenced, RedisServer

# So many at a time that no other request has to wait long for it.
_BATCH = 200
# One step for all of them may take a while, in a large store.
_RESEAL_S = 60.0
_STAGED_MS = 600_000
_SEALED = ("login", "session", "handshake", "exchange", "chain", "code", "tag_key")
_CALLED = {"login": "session", "code": "issued code", "tag_key": "tag key"}
_TAG_KEY = ("tag_key", TAG_KEY_ID)
# Longer than any record lives; each look at it begins it anew.
_TAG_KEY_TTL_MS = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A sealed record: its id (for a ticket its chain's), and what it is sealed under."""

    kind: str
    key: bytes
    under: bytes
    sealed: bytes
    expires_ms: int


class RedisRecords(RedisServer):
    """The part of ``RedisStore`` that goes over many records, some at a time."""

    async def _records(self, kind: str, now_ms: int | None) -> list[StoredRecord]:
        """Those that are not expired at ``now_ms``; None: all."""
        ids = await self._run("ids", (), kind, "-inf" if now_ms is None else now_ms)
        found = []
        for at in range(0, len(ids), _BATCH):
            found += await self._run("records", (), kind, *ids[at : at + _BATCH])
        return [
            StoredRecord(
                found_kind.decode(),
                bytes.fromhex(key.decode()),
                bytes.fromhex(under.decode()),
                sealed,
                expires_ms,
            )
            for found_kind, key, under, sealed, expires_ms in found
        ]

    async def tag_key(self) -> bytes | None:
        sealed: bytes | None = await self._run("tag_key", [_TAG_KEY], _TAG_KEY_TTL_MS)
        return sealed

    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        """Gateways of an earlier version must have stopped: they go on with tags of their own."""
        staged = ("staged", secrets.token_bytes(16))
        generation = self._generation
        users = await self._run("users")
        for at in range(0, len(users), _BATCH):
            tags = [tag.decode() for tag in users[at : at + _BATCH]]
            pairs = [part for tag in tags for part in (tag, retag(bytes.fromhex(tag)).hex())]
            await self._run("stage", [staged], _STAGED_MS, *pairs)
        keys = [self._key(generation, *_TAG_KEY), self._key(generation, *staged)]
        given = (TAG_KEY_ID.hex(), offered, _TAG_KEY_TTL_MS)
        return bytes(await self._in_one_step("keep_tag_key", keys, generation, *given))

    async def reseal(self, reseal: Reseal) -> int:
        changes: list[tuple[object, ...]] = []
        generation = self._generation
        for kind in _SEALED:
            for record in await self._records(kind, None):
                called = _CALLED.get(record.kind, record.kind)
                new = reseal(called, record.under, record.sealed)
                if new != record.sealed:
                    ids = (record.kind, record.key.hex(), record.under.hex())
                    changes.append((*ids, record.sealed, new))
        return await self._replace(generation, changes) if changes else 0

    async def _replace(self, generation: str, changes: list[tuple[object, ...]]) -> int:
        """All of ``changes``: laid beside the records some at a time, then put in in one step."""
        staged = ("staged", secrets.token_bytes(16))
        try:
            for at in range(0, len(changes), _BATCH):
                parts = [part for change in changes[at : at + _BATCH] for part in change]
                await self._run("stage", [staged], _STAGED_MS, *parts)
        except StoreUnavailable:
            # Redis may be full of them, and of use to nobody until they are gone.
            with contextlib.suppress(StoreUnavailable):
                await self._run("unstage", [staged])
            raise
        key = self._key(generation, *staged)
        return int(await self._in_one_step("reseal", [key], generation))

    async def _in_one_step(self, name: str, keys: list[str], generation: str, *args: object) -> Any:
        """The answer of a script that goes over many records. Raises: StoreUnavailable."""
        async with AsyncExitStack() as closing:
            patient = self._url.connect(closing, _RESEAL_S)
            try:
                return await self._send(SCRIPTS[name], keys, generation, *args, client=patient)
            except Fenced:
                raise self._unavailable("it was restarted or replaced meanwhile") from None
