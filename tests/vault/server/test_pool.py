"""The contract of the pool: as a table and in Redis, on SQLite and on PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import pytest
from redis_servers import RedisProcess
from redis_servers import running as running_redis
from sqlalchemy import func, select

from certless import ConfigError
from vault.core.tokens import Hashes
from vault.server.application import Application, apply_batch
from vault.server.errors import Unavailable
from vault.server.pool import Kind, Pool
from vault.server.pool.redis import RedisPool
from vault.server.server import pool_of
from vault.server.store.database import Database
from vault.server.store.records import StoredBlock
from vault.server.store.tables import BLOCKS, TOMBSTONES

KEY_ID = b"k" * 16


@dataclass
class Opened:
    """A database and a pool, and a second process that has opened both."""

    database: Database
    pool: Pool
    other: Database
    other_pool: Pool

    @property
    def application(self) -> Application:
        return Application(self.database, self.pool)

    async def put(self, blocks: Sequence[StoredBlock]) -> bool:
        async with self.database.blocks("shared") as at:
            return await self.pool.put(at, blocks)

    async def renew(self, **buckets: int) -> None:
        async with self.database.blocks("shared") as at:
            await self.pool.renew(at, {name.encode() * 16: one for name, one in buckets.items()})

    async def retire(self, **buckets: int) -> None:
        async with self.database.blocks("shared") as at:
            await self.pool.retire(at, {name.encode() * 16: one for name, one in buckets.items()})

    async def kinds(self) -> dict[bytes, tuple[Kind, int]]:
        async with self.database.blocks() as at:
            ids = await self.pool.ids(at)
            found = await self.pool.find(at, ids)
        assert sorted(found) == ids
        return {block_id[:1]: (one.kind, one.bucket) for block_id, one in found.items()}

    async def stored(self, *names: str) -> list[StoredBlock | None]:
        ids = [name.encode() * 16 for name in names]
        async with self.database.blocks() as at:
            found = await at.found(ids)
        return [found.get(block_id) for block_id in ids]

    async def count(self, table: object) -> int:
        async with self.database.blocks() as at:
            query = select(func.count()).select_from(table)  # type: ignore[arg-type]
            return int((await at.connection.execute(query)).scalar_one())


@pytest.fixture
async def opened(vault_url: str, vault_pool: str | None) -> AsyncIterator[Opened]:
    databases = [Database(vault_url) for _ in range(2)]
    pools = [pool_of(vault_pool, KEY_ID) for _ in range(2)]
    for database, pool in zip(databases, pools, strict=True):
        await database.open(KEY_ID)
        await pool.open()
    yield Opened(databases[0], pools[0], databases[1], pools[1])
    for database, pool in zip(databases, pools, strict=True):
        await pool.close()
        await database.close()


def block(name: str, bucket: int = 5) -> StoredBlock:
    hashes = Hashes(b"w" * 32, b"r" * 32, b"n" * 32)
    return StoredBlock(name.encode() * 16, bucket, hashes, secrets.token_bytes(16_384))


async def test_a_new_block_is_found_before_and_after_its_application(opened: Opened) -> None:
    blocks = [block("c"), block("a"), block("b")]
    assert await opened.put(blocks)
    async with opened.other.blocks() as at:
        entries = await opened.other_pool.find(at, [one.id for one in blocks])
    assert {one.id: one for one in blocks} == {key: one.block for key, one in entries.items()}
    assert await opened.stored("a", "b", "c") == [None, None, None]
    await opened.application.apply()
    assert await opened.kinds() == {}
    assert await opened.stored("c", "a", "b") == blocks


async def test_a_block_that_waits_is_not_replaced(opened: Opened) -> None:
    first, other = block("a"), block("a")
    assert await opened.put([first])
    # The same again, with another bucket: the first one is kept.
    assert await opened.put([replace(first, bucket=6)])
    assert not await opened.put([block("b"), other])
    # All blocks of a request, or none. A table forgets them with its transaction.
    if isinstance(opened.pool, RedisPool):
        assert await opened.kinds() == {b"a": (Kind.PUT, 5)}
    await opened.application.apply()
    assert (await opened.stored("a"))[0] == first


async def test_one_of_two_requests_puts_a_block(opened: Opened) -> None:
    rivals = [block("a"), block("a")]

    async def put(database: Database, pool: Pool, one: StoredBlock) -> bool:
        async with database.blocks("shared") as at:
            return await pool.put(at, [one])

    sides = ((opened.database, opened.pool), (opened.other, opened.other_pool))
    done = await asyncio.gather(*(put(*side, one) for side, one in zip(sides, rivals, strict=True)))
    assert sorted(done) == [False, True]
    await opened.application.apply()
    assert await opened.stored("a") == [rivals[done.index(True)]]


async def test_the_latest_bucket_of_a_renewal_is_kept(opened: Opened) -> None:
    assert await opened.put([block("a"), block("b")])
    await opened.renew(a=7)
    await opened.renew(a=6)
    assert await opened.kinds() == {b"a": (Kind.PUT, 7), b"b": (Kind.PUT, 5)}
    await opened.application.apply()
    await opened.renew(a=6, b=8)
    await opened.renew(b=9)
    assert await opened.kinds() == {b"a": (Kind.RENEWED, 6), b"b": (Kind.RENEWED, 9)}
    await opened.application.apply()
    assert [one and one.bucket for one in await opened.stored("a", "b")] == [7, 9]


async def test_a_retired_block_stays_retired(opened: Opened) -> None:
    a, b = block("a"), block("b")
    assert await opened.put([a])
    await opened.application.apply()
    assert await opened.put([b])
    await opened.retire(a=5, b=5)
    await opened.retire(a=6)
    await opened.renew(a=9, b=9)
    assert await opened.kinds() == {b"a": (Kind.RETIRED, 5), b"b": (Kind.RETIRED, 5)}
    assert not await opened.put([b])
    await opened.application.apply()
    assert await opened.stored("a", "b") == [None, None]
    async with opened.database.blocks() as at:
        assert await at.buried([a.id, b.id, b"c" * 16]) == {a.id, b.id}


async def test_a_batch_that_is_applied_again_changes_nothing_else(opened: Opened) -> None:
    kept, gone = block("a"), block("b")
    assert await opened.put([kept, gone])
    await opened.application.apply()
    await opened.renew(a=8)
    await opened.retire(b=5)
    assert await opened.put([block("c")])
    async with opened.database.blocks("alone") as at:
        entries = await opened.pool.take(at, await opened.pool.ids(at))
        await apply_batch(at, entries)
    # As after a crash before the pool forgets them.
    for _ in range(2):
        async with opened.database.blocks("alone") as at:
            await apply_batch(at, entries)
    await opened.pool.forget(entries)
    assert await opened.kinds() == {}
    assert await opened.stored("a", "b") == [replace(kept, bucket=8), None]
    assert await opened.count(BLOCKS) == 2
    assert await opened.count(TOMBSTONES) == 1


async def test_a_change_during_the_application_is_not_forgotten(opened: Opened) -> None:
    assert await opened.put([block("a"), block("b")])
    async with opened.database.blocks("alone") as at:
        entries = await opened.pool.take(at, await opened.pool.ids(at))
        await apply_batch(at, entries)
    await opened.retire(a=5)
    await opened.renew(b=7)
    await opened.pool.forget(entries)
    await opened.application.apply()
    stored = await opened.stored("a", "b")
    assert [one and one.bucket for one in stored] == [None, 7]


async def test_a_put_that_was_not_answered_does_not_revive_a_deleted_block(opened: Opened) -> None:
    gone = block("a")
    async with opened.database.blocks("alone") as at:
        await at.retire({gone.id: 5})
    assert await opened.put([gone])
    await opened.application.apply()
    assert await opened.stored("a") == [None]


async def test_many_changes_are_applied_in_batches_by_two_processes(opened: Opened) -> None:
    blocks = [replace(block("a"), id=secrets.token_bytes(16)) for _ in range(40)]
    many = [replace(blocks[n % 40], id=secrets.token_bytes(16)) for n in range(1_100)]
    for start in range(0, len(many), 100):
        assert await opened.put(many[start : start + 100])
    second = Application(opened.other, opened.other_pool)
    await asyncio.gather(opened.application.apply(), second.apply())
    assert await opened.kinds() == {}
    assert await opened.count(BLOCKS) == 1_100


async def test_the_application_runs_when_the_pool_has_its_size(opened: Opened) -> None:
    application = Application(opened.database, opened.pool, interval_s=3600, size=2)
    task = asyncio.create_task(application.run())
    try:
        assert await opened.put([block("a"), block("b")])
        application.changed(2)
        async with asyncio.timeout(20):
            while None in await opened.stored("a", "b"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.wait([task])


# --- Redis alone ---


@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")],
)
async def test_a_redis_that_can_lose_a_change_is_refused(
    durable_redis: RedisProcess, setting: str, value: str
) -> None:
    before = (await durable_redis.tell("CONFIG", "GET", setting))[1]
    await durable_redis.tell("CONFIG", "SET", setting, value)
    pool = RedisPool(durable_redis.url, KEY_ID)
    try:
        with pytest.raises(ConfigError, match=f"{setting} is {value}"):
            await pool.open()
    finally:
        await durable_redis.tell("CONFIG", "SET", setting, before)
        await pool.close()


@pytest.mark.parametrize("url", ["http://x", "redis", "table"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="must be redis://"):
        RedisPool(url, KEY_ID)


async def test_a_redis_that_does_not_answer_is_unavailable(tmp_path: object) -> None:
    pool = RedisPool("redis://127.0.0.1:1", KEY_ID)
    with pytest.raises(Unavailable, match="pool of the vault does not answer"):
        await pool.open()
    await pool.close()


async def test_applied_changes_leave_the_append_only_file(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: object
) -> None:
    folder = tmp_path_factory.mktemp("redis")
    async with running_redis(folder, appendonly="yes", appendfsync="always") as server:
        database = Database(f"sqlite:{folder / 'vault.db'}")
        pool = RedisPool(server.url, KEY_ID)
        await database.open(KEY_ID)
        await pool.open()
        one = block("a")
        async with database.blocks("shared") as at:
            assert await pool.put(at, [one])
        files = folder / "appendonlydir"

        def kept() -> bool:
            return any(one.block[:64] in path.read_bytes() for path in files.iterdir())

        assert kept()
        await Application(database, pool).apply()
        await server.until("aof_rewrite_in_progress", lambda running: running == "0")
        async with asyncio.timeout(20):
            while kept():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await pool.close()
        await database.close()


async def test_a_killed_redis_has_every_answered_change(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("redis")
    async with running_redis(folder, appendonly="yes", appendfsync="always") as server:
        database = Database(f"sqlite:{folder / 'vault.db'}")
        await database.open(KEY_ID)
        pool = RedisPool(server.url, KEY_ID)
        blocks = [block(name) for name in "abc"]
        async with database.blocks("shared") as at:
            assert await pool.put(at, blocks)
        server.kill()
        await server.start()
        async with database.blocks() as at:
            assert len(await pool.find(at, [one.id for one in blocks])) == 3
        await pool.close()
        await database.close()
