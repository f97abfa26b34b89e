"""Every record of a kind in Redis: for lists, and to be sealed anew."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from redis.exceptions import RedisClusterException, RedisError

from . import Reseal
from .redis_scripts import SCRIPTS
from .redis_server import RedisServer

# So many at a time that no other request has to wait long for it.
_BATCH = 200
# One step for all of them may take a while, in a large store.
_RESEAL_S = 60.0
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
        generation = self._generation
        changes: list[tuple[object, ...]] = []
        for kind in _SEALED:
            for record in await self._records(kind, None):
                called = _CALLED.get(record.kind, record.kind)
                new = reseal(called, record.under, record.sealed)
                if new != record.sealed:
                    ids = (record.kind, record.key.hex(), record.under.hex())
                    changes.append((*ids, record.sealed, new))
        return await self._replace(generation, changes)

    async def _replace(self, generation: str, changes: list[tuple[object, ...]]) -> int:
        """All of ``changes`` between MULTI and EXEC. Raises: StoreUnavailable."""
        if not changes:
            return 0
        text = SCRIPTS["reseal"].text
        async with AsyncExitStack() as closing:
            client = self._url.connect(closing, _RESEAL_S)
            pipeline = client.pipeline(transaction=True)
            for at in range(0, len(changes), _BATCH):
                parts = [part for change in changes[at : at + _BATCH] for part in change]
                pipeline.eval(text, 1, self._fence_key, generation, *parts)
            try:
                answers = await pipeline.execute(raise_on_error=False)
            except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
                raise self._unavailable(type(error).__name__) from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._unavailable("it was restarted meanwhile; nothing is changed")
        return sum(answers)
