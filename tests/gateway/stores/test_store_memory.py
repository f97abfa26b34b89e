"""The store in memory, under the contract of all stores."""

from collections.abc import AsyncIterator

import pytest
from store_contract import ANN, NOW_MS, StoreContract, reach_enrolled

from gateway.stores.memory.store import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()


async def test_counters_do_not_pile_up() -> None:
    store = MemoryStore()
    await store.count(b"a key", 5, 1000, NOW_MS)
    await store.sweep(NOW_MS + 1001)
    # Looked at as if it were earlier: gone, not merely late.
    assert (await store.count(b"a key", 0, 1000, NOW_MS)).value == 0


async def test_nothing_is_shared_between_two() -> None:
    first, second = MemoryStore(), MemoryStore()
    await reach_enrolled(first)
    assert await second.load(ANN, NOW_MS) is None
