"""The store in memory, under the contract of all stores."""

from collections.abc import AsyncIterator

import pytest
from store_contract import ANN, NOW_MS, StoreContract, reach_enrolled

from gateway.stores.memory import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()


async def test_nothing_is_shared_between_two() -> None:
    first, second = MemoryStore(), MemoryStore()
    await reach_enrolled(first)
    assert await second.load(ANN, NOW_MS) is None
