"""Context managers with open stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from store_contract import NOW_MS

from gateway.stores.redis.store import RedisStore
from gateway.stores.redis.ticketed import TicketedRedisStore
from gateway.stores.redis.url import parse_redis_url
from gateway.stores.sqlite.store import SqliteStore
from gateway.stores.urls import ticketed_store


@asynccontextmanager
async def sqlite_store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def redis_store(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse_redis_url(url), lambda: NOW_MS)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def redis_store_with_tickets(url: str, tickets: str) -> AsyncIterator[TicketedRedisStore]:
    """A store in Redis whose tickets are in the database ``tickets``."""
    store = ticketed_store(url, tickets, lambda: NOW_MS)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
