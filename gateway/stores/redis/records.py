"""Lists and reseals all records of a kind in Redis."""

import contextlib
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from gateway.errors import StoreUnavailable
from gateway.stores import TAG_KEY_ID, Reseal, Retag

from .scripts import SCRIPTS
from .server import Fenced, RedisServer

# Records in one step; few enough that other requests do not wait long.
_BATCH = 200
# Time limit of the one step that changes all records, which can take long in a large store.
_RESEAL_S = 60.0
_STAGED_MS = 600_000
_SEALED = ("login", "session", "handshake", "exchange", "chain", "code", "tag_key")
_KIND_NAMES = {"login": "session", "code": "issued code", "tag_key": "tag key"}
_TAG_KEY = ("tag_key", TAG_KEY_ID)
# Longer than the lifetime of any record; each read renews it.
_TAG_KEY_TTL_MS = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A sealed record: its id (for a ticket the chain's), and the id it is sealed under.

    ``seen_ms`` and ``is_revoked`` are those of a chain.
    """

    kind: str
    key: bytes
    under: bytes
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    seen_ms: int | None
    is_revoked: bool


class RedisRecords(RedisServer):
    """The methods of ``RedisStore`` that read or change many records, in batches."""

    async def _records(self, kind: str, now_ms: int | None) -> list[StoredRecord]:
        """The records that have not expired at ``now_ms``; None: all records."""
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
                bytes.fromhex(user.decode()),
                int(seen_ms) if seen_ms else None,
                bool(revoked),
            )
            for found_kind, key, under, sealed, expires_ms, user, seen_ms, revoked in found
        ]

    async def tag_key(self) -> bytes | None:
        sealed: bytes | None = await self._run("tag_key", [_TAG_KEY], _TAG_KEY_TTL_MS)
        return sealed

    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        """Stop gateways of an earlier version before: they would continue with unkeyed tags."""
        staged = ("staged", secrets.token_bytes(16))
        generation = self._generation
        users = await self._run("users")
        for at in range(0, len(users), _BATCH):
            tags = [tag.decode() for tag in users[at : at + _BATCH]]
            pairs = [part for tag in tags for part in (tag, retag(bytes.fromhex(tag)).hex())]
            await self._run("stage", [staged], _STAGED_MS, *pairs)
        keys = [self._key(generation, *_TAG_KEY), self._key(generation, *staged)]
        arguments = (TAG_KEY_ID.hex(), offered, _TAG_KEY_TTL_MS)
        return bytes(await self._in_one_step("keep_tag_key", keys, generation, *arguments))

    async def reseal(self, reseal: Reseal) -> int:
        changes: list[tuple[object, ...]] = []
        generation = self._generation
        for kind in _SEALED:
            for record in await self._records(kind, None):
                kind_name = _KIND_NAMES.get(record.kind, record.kind)
                new = reseal(kind_name, record.under, record.sealed)
                if new != record.sealed:
                    ids = (record.kind, record.key.hex(), record.under.hex())
                    changes.append((*ids, record.sealed, new))
        return await self._replace(generation, changes) if changes else 0

    async def _replace(self, generation: str, changes: list[tuple[object, ...]]) -> int:
        """Stage ``changes`` next to the records in batches, then apply them in one step."""
        staged = ("staged", secrets.token_bytes(16))
        try:
            for at in range(0, len(changes), _BATCH):
                parts = [part for change in changes[at : at + _BATCH] for part in change]
                await self._run("stage", [staged], _STAGED_MS, *parts)
        except StoreUnavailable:
            # Redis may be full because of the staged changes.
            with contextlib.suppress(StoreUnavailable):
                await self._run("unstage", [staged])
            raise
        key = self._key(generation, *staged)
        return int(await self._in_one_step("reseal", [key], generation))

    async def _in_one_step(self, name: str, keys: list[str], generation: str, *args: object) -> Any:
        """Run a script that changes many records. Raises: StoreUnavailable."""
        async with AsyncExitStack() as closing:
            client = self._url.connect(closing, _RESEAL_S)
            try:
                return await self._send(SCRIPTS[name], keys, generation, *args, client=client)
            except Fenced:
                raise self._unavailable("it was restarted or replaced meanwhile") from None
