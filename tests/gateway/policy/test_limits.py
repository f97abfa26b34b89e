"""Rate limits with every kind of store and a test clock."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateways import SetClock

from gateway.errors import RateLimited, StoreUnavailable
from gateway.keys.keyring import KeyRing
from gateway.keys.user_tags import UserTags
from gateway.policy.rate_limits import Limits
from gateway.policy.rates import RATES
from gateway.stores import Counter, Store
from gateway.stores.memory.store import MemoryStore
from gateway.stores.sqlite.store import SqliteStore

T0 = 1_700_000_000_000
ANN, BOB = b"a" * 16, b"b" * 16
HERE, THERE = "192.0.2.7", "192.0.2.8"
NONE = dict.fromkeys(RATES, "none")
TAGS = asyncio.run(UserTags(MemoryStore(), KeyRing.ephemeral()).opened())


@pytest.fixture
def clock() -> SetClock:
    clock = SetClock()
    clock.stopped_at_ms = T0
    return clock


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "limits.db")
    await store.open()
    yield store
    await store.close()


def limits(store: Store, clock: SetClock, **rates: str) -> Limits:
    return Limits({**NONE, **rates}, store, TAGS.of_counter, clock)


async def refusal(asked: Any) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        await asked
    return caught.value


async def test_a_window_begins_with_the_first_that_it_counts(store: Store, clock: SetClock) -> None:
    room = limits(store, clock, guesses_per_address="2 per 10 seconds")
    await room.guess(HERE)
    clock.stopped_at_ms = T0 + 4_000
    await room.guess(HERE)
    clock.stopped_at_ms = T0 + 9_001
    assert (await refusal(room.guess(HERE))).retry_after_s == 1
    clock.stopped_at_ms = T0 + 10_000
    assert (await refusal(room.guess(HERE))).retry_after_s == 1
    clock.stopped_at_ms = T0 + 10_001
    await room.guess(HERE)
    await room.guess(HERE)
    assert (await refusal(room.guess(HERE))).retry_after_s == 11


async def test_whoever_waits_as_long_as_he_is_told_is_let_in(store: Store, clock: SetClock) -> None:
    for offset_ms in (0, 1, 499, 500, 999, 1000, 1001, 58_999, 59_000, 59_999, 60_000):
        room = limits(store, clock, resumptions_per_address="1 per minute")
        clock.stopped_at_ms = T0 + offset_ms * 1_000_000
        address = f"192.0.2.{offset_ms % 251}"
        await room.resumption(address)
        clock.stopped_at_ms += offset_ms
        wait_s = (await refusal(room.resumption(address))).retry_after_s
        clock.stopped_at_ms += wait_s * 1000
        await room.resumption(address)


async def test_a_refusal_names_its_limit(store: Store, clock: SetClock) -> None:
    room = limits(store, clock, **dict.fromkeys(RATES, "1 per minute"))
    await room.guess(HERE)
    await room.resumption(HERE)
    await room.message("the session")
    for limit, asked in (
        ("guesses_per_address", room.guess(HERE)),
        ("resumptions_per_address", room.resumption(HERE)),
        ("messages_per_session", room.message("the session")),
    ):
        assert (await refusal(asked)).limit == limit
    await room.message("another session")


async def test_a_login_is_counted_for_the_address_the_user_and_all(
    store: Store, clock: SetClock
) -> None:
    rate = "3 per minute"
    room = limits(store, clock, logins_per_address=rate)
    for user in (ANN, BOB, ANN):
        await room.login(HERE, user)
    assert (await refusal(room.login(HERE, BOB))).limit == "logins_per_address"
    await room.login(THERE, BOB)

    room = limits(store, clock, logins_per_user=rate)
    for address in (HERE, THERE, HERE):
        await room.login(address, ANN)
    assert (await refusal(room.login(THERE, ANN))).limit == "logins_per_user"
    await room.login(THERE, BOB)

    room = limits(store, clock, logins=rate)
    for address, user in ((HERE, ANN), (THERE, BOB), (HERE, BOB)):
        await room.login(address, user)
    assert (await refusal(room.login("192.0.2.9", b"c" * 16))).limit == "logins"


async def test_an_ipv6_visitor_has_a_block_of_addresses(store: Store, clock: SetClock) -> None:
    room = limits(store, clock, guesses_per_address="2 per minute")
    await room.guess("2001:db8:1:2::1")
    await room.guess("2001:db8:1:2:ffff::1")
    await refusal(room.guess("2001:db8:1:2::2"))
    await room.guess("2001:db8:1:3::1")


async def test_who_is_refused_for_himself_takes_nothing_from_the_others(
    store: Store, clock: SetClock
) -> None:
    rates = {"logins_per_address": "2 per minute", "logins_per_user": "3 per minute"}
    room = limits(store, clock, logins="5 per minute", **rates)
    counted = [room.login(HERE, ANN) for _ in range(20)]
    counted += [room.login(f"198.51.100.{n}", ANN) for n in range(20)]
    results = await asyncio.gather(*counted, return_exceptions=True)
    # All came at once, so the refused requests of one address can have used up the user's limit.
    assert 2 <= results.count(None) <= 3
    left = 5 - results.count(None)
    for n in range(left):
        await room.login(f"203.0.113.{n}", bytes([n]) * 16)
    assert (await refusal(room.login(THERE, BOB))).limit == "logins"


async def test_what_everybody_is_refused_counts_for_nobody(store: Store, clock: SetClock) -> None:
    rates = {"logins": "1 per second", "logins_per_address": "2 per minute"}
    room = limits(store, clock, **rates)
    await room.login(THERE, BOB)
    await refusal(room.login(HERE, ANN))  # counted, because the full window was not known yet
    for _ in range(20):
        assert (await refusal(room.login(HERE, ANN))).limit == "logins"
    clock.stopped_at_ms = T0 + 1001
    await room.login(HERE, ANN)


async def test_never_more_than_the_rate_however_many_come_at_once(
    store: Store, clock: SetClock
) -> None:
    room = limits(store, clock, logins="7 per hour")
    asked = (room.login(f"10.0.{n // 250}.{n % 250}", n.to_bytes(16)) for n in range(500))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert results.count(None) == 7
    assert all(result is None or isinstance(result, RateLimited) for result in results)


async def test_two_gateways_on_one_store_share_their_limits(
    tmp_path: Path, clock: SetClock
) -> None:
    stores = [SqliteStore(tmp_path / "shared.db") for _ in range(2)]
    for store in stores:
        await store.open()
    rooms = [limits(store, clock, logins_per_user="4 per hour") for store in stores]
    asked = (rooms[n % 2].login(HERE, ANN) for n in range(40))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert results.count(None) == 4
    for store in stores:
        await store.close()


async def test_a_limit_that_was_set_anew_counts_anew(store: Store, clock: SetClock) -> None:
    await limits(store, clock, guesses_per_address="1 per hour").guess(HERE)
    room = limits(store, clock, guesses_per_address="2 per hour")
    await room.guess(HERE)
    await room.guess(HERE)
    await refusal(room.guess(HERE))


async def test_a_clock_that_was_ahead_locks_nobody_out(store: Store, clock: SetClock) -> None:
    room = limits(store, clock, logins="1 per second")
    clock.stopped_at_ms = T0 + 30 * 86_400_000
    await room.login(HERE, ANN)
    assert (await refusal(room.login(HERE, ANN))).retry_after_s == 2
    clock.stopped_at_ms = T0
    assert (await refusal(room.login(HERE, ANN))).retry_after_s == 2
    clock.stopped_at_ms = T0 + 1001
    await room.login(HERE, ANN)


class Counted(MemoryStore):
    """A store that counts its calls, and fails if the test wants it."""

    asked = 0
    is_down = False

    async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
        self.asked += 1
        if self.is_down:
            raise StoreUnavailable("down")
        return await super().count(key, amount, lifetime_ms, now_ms)


async def test_a_full_window_asks_the_store_no_more(clock: SetClock) -> None:
    store = Counted()
    room = limits(store, clock, logins="1 per minute", logins_per_address="9 per minute")
    await room.login(HERE, ANN)
    await refusal(room.login(HERE, ANN))
    asked = store.asked
    for _ in range(100):
        await refusal(room.login(THERE, BOB))
    assert store.asked == asked


async def test_without_limits_the_store_is_not_asked() -> None:
    store = Counted()
    room = limits(store, SetClock())
    await room.login(HERE, ANN)
    await room.guess(HERE)
    await room.message("the session")
    assert store.asked == 0


async def test_a_store_that_does_not_answer_lets_nobody_in(clock: SetClock) -> None:
    store = Counted()
    store.is_down = True
    room = limits(store, clock, **dict.fromkeys(RATES, "5 per minute"))
    for asked in (room.login(HERE, ANN), room.guess(HERE), room.resumption(HERE)):
        with pytest.raises(StoreUnavailable):
            await asked
    store.is_down = False
    await room.login(HERE, ANN)


async def test_a_store_learns_no_address(clock: SetClock) -> None:
    keys: list[bytes] = []

    class Watched(MemoryStore):
        async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
            keys.append(key)
            return await super().count(key, amount, lifetime_ms, now_ms)

    room = limits(Watched(), clock, guesses_per_address="5 per minute")
    await room.guess(HERE)
    await room.guess("2001:db8::1")
    assert [len(key) for key in keys] == [16, 16]
    assert keys[0] != keys[1]
