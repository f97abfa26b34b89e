"""Every record of a kind in Redis: for lists, and to be sealed anew."""

import contextlib
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.errors import StoreUnavailable

from . import Reseal
from .redis_scripts import SCRIPTS
from .redis_server import Fenced, RedisServer

# So many at a time that no other request has to wait long for it.
_BATCH = 200
# One step for all of them may take a while, in a large store.
_RESEAL_S = 60.0
_STAGED_MS = 600_000
_SEALED = ("login", "session", "handshake", "exchange", "chain", "code")
_CALLED = {"login": "session", "code": "issued code"}


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
        async with AsyncExitStack() as closing:
            patient = self._url.connect(closing, _RESEAL_S)
            try:
                return int(await self._send(SCRIPTS["reseal"], [key], generation, client=patient))
            except Fenced:
                raise self._unavailable("it was restarted or replaced meanwhile") from None
