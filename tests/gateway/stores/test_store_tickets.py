"""A store in Redis with a ticket store, under the contract of all stores."""

from collections.abc import AsyncIterator

import pytest
from opened_stores import redis_store_with_tickets
from store_contract import StoreContract

from gateway.stores.redis.ticketed import TicketedRedisStore


class TestTicketedRedisStore(StoreContract):
    """Redis with SQLite, and Redis with PostgreSQL."""

    @pytest.fixture
    async def store(self, redis_url: str, tickets_url: str) -> AsyncIterator[TicketedRedisStore]:
        async with redis_store_with_tickets(redis_url, tickets_url) as store:
            yield store
