"""Scripts that wait at the same time: one pipeline, and each with a result of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import redis_servers
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from gateway.stores.redis.batches import Batches
from gateway.stores.redis.url import parse_redis_url

ECHO = "return {KEYS[1], ARGV[1]}"
FAILS = "return redis.error_reply('no ' .. ARGV[1])"


class Redis:
    """A server, and a client of it."""

    def __init__(self, process: redis_servers.RedisProcess, client: Any) -> None:
        self.process = process
        self.client = client
        self.batches = Batches(client)


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with redis_servers.running(tmp_path / "redis") as process, AsyncExitStack() as closing:
        yield Redis(process, parse_redis_url(process.url).connect(closing))


async def test_each_script_gets_its_own_result(redis: Redis) -> None:
    echo = await redis.client.script_load(ECHO)
    fails = await redis.client.script_load(FAILS)

    async def one(number: int) -> object:
        sha = fails if number % 7 == 3 else echo
        return await redis.batches.evalsha(sha, 1, f"key {number}", number)

    async with asyncio.timeout(20):
        results = await asyncio.gather(*(one(n) for n in range(200)), return_exceptions=True)
    for number, result in enumerate(results):
        if number % 7 == 3:
            assert isinstance(result, ResponseError), result
            assert str(result) == f"no {number}"
        else:
            assert result == [f"key {number}".encode(), str(number).encode()]


async def test_an_unknown_script_fails_alone(redis: Redis) -> None:
    echo = await redis.client.script_load(ECHO)
    shas = [echo, "0" * 40, echo]
    async with asyncio.timeout(20):
        results = await asyncio.gather(
            *(redis.batches.evalsha(sha, 1, "key", 1) for sha in shas), return_exceptions=True
        )
    assert isinstance(results[1], NoScriptError)
    assert results[0] == results[2] == [b"key", b"1"]


async def test_a_caller_that_has_gone_does_not_disturb_the_others(redis: Redis) -> None:
    echo = await redis.client.script_load(ECHO)
    gone = asyncio.create_task(redis.batches.evalsha(echo, 1, "gone", 1))
    stays = asyncio.create_task(redis.batches.evalsha(echo, 1, "stays", 2))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(20):
        assert await stays == [b"stays", b"2"]


async def test_when_the_connection_is_lost_all_fail_and_the_next_ones_succeed(
    redis: Redis,
) -> None:
    echo = await redis.client.script_load(ECHO)
    redis.process.kill()
    async with asyncio.timeout(20):
        results = await asyncio.gather(
            *(redis.batches.evalsha(echo, 1, "key", n) for n in range(20)), return_exceptions=True
        )
    assert all(isinstance(result, RedisConnectionError) for result in results), results
    await redis.process.start()
    echo = await redis.client.script_load(ECHO)
    async with asyncio.timeout(20):
        assert await redis.batches.evalsha(echo, 1, "key", 1) == [b"key", b"1"]


async def test_scripts_of_one_moment_travel_together(redis: Redis) -> None:
    echo = await redis.client.script_load(ECHO)

    async def reads() -> int:
        info = await redis.client.info("stats")
        return int(info["total_reads_processed"])

    before = await reads()
    async with asyncio.timeout(20):
        await asyncio.gather(*(redis.batches.evalsha(echo, 1, "key", n) for n in range(50)))
    # The 50 scripts, and the request of the figure. One pipeline can need a few reads.
    assert await reads() - before < 10


async def test_no_script_waits_for_a_sender_that_has_just_ended(redis: Redis) -> None:
    echo = await redis.client.script_load(ECHO)

    async def ask(key: str) -> None:
        for number in range(400):
            answer = await redis.batches.evalsha(echo, 1, key, number)
            assert answer == [key.encode(), str(number).encode()]

    async with asyncio.timeout(60):
        await asyncio.gather(*(ask(f"key {number}") for number in range(4)))
