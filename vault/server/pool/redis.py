"""The pool in a Redis that writes each change to its disk before it answers (VAULT §23).

All entries are the fields of one hash. A field is the id of a block, and its value is the kind (1
byte), the bucket (10 digits), the three hashes and the block. Each script changes all blocks of a
request, or none.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from certless import ConfigError
from vault.core.tokens import HASH_BYTES, Hashes
from vault.server.errors import Unavailable
from vault.server.store.block_transaction import BlockTransaction
from vault.server.store.records import StoredBlock

from . import Entry, Kind

_LETTERS = {Kind.PUT: b"P", Kind.RENEWED: b"N", Kind.RETIRED: b"R"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_DIGITS = 10
_HEAD = 1 + _DIGITS
_ANSWER_S = 10.0
_NEEDED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}

# ARGV has ids and values, in turn.
_PUT = """
for i = 1, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before and (before:sub(1, 1) ~= 'P' or before:sub(12) ~= ARGV[i + 1]:sub(12)) then
    return 0
  end
end
for i = 1, #ARGV, 2 do
  redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
"""
_RENEW = """
for i = 1, #ARGV, 2 do
  local before, after = redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 1]
  if not before then
    redis.call('HSET', KEYS[1], ARGV[i], after)
  elseif before:sub(1, 1) ~= 'R' and tonumber(before:sub(2, 11)) < tonumber(after:sub(2, 11)) then
    redis.call('HSET', KEYS[1], ARGV[i], before:sub(1, 1) .. after:sub(2, 11) .. before:sub(12))
  end
end
"""
_RETIRE = """
for i = 1, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if not before or before:sub(1, 1) ~= 'R' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
"""
# ARGV has ids and the beginnings of values. A block never changes, so its kind and bucket suffice.
_FORGET = """
for i = 1, #ARGV, 2 do
  local now = redis.call('HGET', KEYS[1], ARGV[i])
  if now and now:sub(1, 11) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
"""


class RedisPool:
    """Entries are fields of a hash. They are deleted after the commit of their application."""

    def __init__(self, url: str, key_id: bytes) -> None:
        """``url`` is ``redis://…`` or ``rediss://…``, and ``key_id`` names the vault's key.

        Raises: ConfigError.
        """
        # Vaults with other keys can use the same Redis.
        self._hash = f"certless-vault-pool:{key_id.hex()}"
        try:
            self._client: Any = Redis.from_url(
                url, socket_timeout=_ANSWER_S, retry=Retry(NoBackoff(), 0), protocol=2
            )
        except ValueError:
            raise ConfigError(
                "the pool of the vault must be redis://[USER:PASSWORD@]HOST[:PORT][/DB]"
            ) from None

    async def open(self) -> None:
        """Check the server. Raises: ConfigError, Unavailable."""
        async with _errors_named():
            try:
                found = {name: await self._setting(name) for name in _NEEDED}
            except ResponseError:
                raise ConfigError(
                    "the pool of the vault cannot read the settings of its Redis: allow CONFIG GET"
                ) from None
        for name, value in _NEEDED.items():
            if found[name] != value:
                raise ConfigError(
                    f"the Redis of the vault's pool can lose what it has confirmed ({name} is "
                    f"{found[name] or 'unknown'}): set {name} {value}"
                )

    async def _setting(self, name: str) -> str:
        found = await self._client.config_get(name)
        return next((str(value) for value in found.values()), "")

    async def close(self) -> None:
        await self._client.aclose()

    async def find(self, at: BlockTransaction, ids: Collection[bytes]) -> dict[bytes, Entry]:
        if not ids:
            return {}
        async with _errors_named():
            values = await self._client.hmget(self._hash, list(ids))
        found = zip(ids, values, strict=True)
        return {block_id: _entry(block_id, value) for block_id, value in found if value}

    async def put(self, at: BlockTransaction, blocks: Sequence[StoredBlock]) -> bool:
        arguments: list[bytes] = []
        for block in blocks:
            hashes = (block.hashes.write, block.hashes.read, block.hashes.renew)
            arguments += (block.id, _head(Kind.PUT, block.bucket) + b"".join(hashes) + block.block)
        return bool(await self._run(_PUT, arguments))

    async def renew(self, at: BlockTransaction, buckets: Mapping[bytes, int]) -> None:
        await self._run(_RENEW, _arguments(Kind.RENEWED, buckets))

    async def retire(self, at: BlockTransaction, buckets: Mapping[bytes, int]) -> None:
        await self._run(_RETIRE, _arguments(Kind.RETIRED, buckets))

    async def ids(self, at: BlockTransaction) -> list[bytes]:
        async with _errors_named():
            return sorted(await self._client.hkeys(self._hash))

    async def take(self, at: BlockTransaction, ids: Sequence[bytes]) -> list[Entry]:
        found = await self.find(at, ids)
        return [found[block_id] for block_id in ids if block_id in found]

    async def forget(self, applied: Sequence[Entry]) -> None:
        arguments: list[bytes] = []
        for entry in applied:
            arguments += (entry.id, _head(entry.kind, entry.bucket))
        await self._run(_FORGET, arguments)

    async def rewrite(self) -> None:
        """Let the append-only file forget the changes that were applied."""
        async with _errors_named():
            try:
                await self._client.bgrewriteaof()
            except ResponseError as error:
                # One that runs already can be older than the last change. The next one follows.
                if "in progress" not in str(error):
                    raise

    async def _run(self, script: str, arguments: Sequence[bytes]) -> Any:
        async with _errors_named():
            return await self._client.eval(script, 1, self._hash, *arguments)


@asynccontextmanager
async def _errors_named() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        # The text can have the URL.
        kind = type(error).__name__
        raise Unavailable(f"the pool of the vault does not answer: {kind}") from None


def _head(kind: Kind, bucket: int) -> bytes:
    return _LETTERS[kind] + f"{bucket:0{_DIGITS}}".encode()


def _arguments(kind: Kind, buckets: Mapping[bytes, int]) -> list[bytes]:
    arguments: list[bytes] = []
    for block_id, bucket in buckets.items():
        arguments += (block_id, _head(kind, bucket))
    return arguments


def _entry(block_id: bytes, value: bytes) -> Entry:
    kind, bucket, rest = _KINDS[value[:1]], int(value[1:_HEAD]), value[_HEAD:]
    if kind is not Kind.PUT:
        return Entry(block_id, kind, bucket)
    hashes = Hashes(*(rest[at : at + HASH_BYTES] for at in range(0, 3 * HASH_BYTES, HASH_BYTES)))
    block = StoredBlock(block_id, bucket, hashes, rest[3 * HASH_BYTES :])
    return Entry(block_id, kind, bucket, block)
