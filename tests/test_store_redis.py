"""The store in Redis, under the contract of all stores, and what a server adds to it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from redis_servers import RedisProcess
from store_contract import NOW_MS, StoreContract

from gateway.stores.redis import RedisStore
from gateway.stores.redis_url import parse_redis_url


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse_redis_url(url), lambda: NOW_MS)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """One for all tests that do it no harm; each has a name of its own in it."""
    server = RedisProcess(tmp_path_factory.mktemp("redis"), {})
    asyncio.run(server.start())
    yield server
    server.kill()


@pytest.fixture
def url(server: RedisProcess) -> str:
    return f"{server.url}?name={secrets.token_hex(8)}"


class TestRedisStore(StoreContract):
    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[RedisStore]:
        async with opened(url) as store:
            yield store
