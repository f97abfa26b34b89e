"""RSA pairs made ahead: each one once, in turn, and beside the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from mailboxes import eventually

from gateway.errors import RateLimited
from gateway.keys import rsa_pool as room
from gateway.keys.rsa_pool import KeyPool
from protocol.common.primitives import SESSION_KEY_BITS, RsaPrivateKey


@pytest.fixture
def key_pairs() -> None:
    """These tests generate RSA pairs."""


@asynccontextmanager
async def running(size: int) -> AsyncIterator[KeyPool]:
    pool = KeyPool(size)
    pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def threads_of_pools() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("certless-keys")]


class Bench:
    """Stands in for the making of keys: a test says when each one is done."""

    PAIR = RsaPrivateKey.generate()

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.finish = threading.Semaphore(0)
        monkeypatch.setattr(room, "RsaPrivateKey", self)

    def generate(self) -> RsaPrivateKey:
        self.begun.release()
        assert self.finish.acquire(timeout=10)
        return RsaPrivateKey.from_der(self.PAIR.to_der())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def bits(pair: RsaPrivateKey) -> int:
    key = load_der_public_key(pair.public.to_der())
    assert isinstance(key, rsa.RSAPublicKey)
    return key.key_size


def has_length(items: list[int], length: int) -> bool:
    return len(items) == length


async def test_pairs_differ_and_have_the_size_of_the_protocol() -> None:
    async with running(2) as pool:
        pairs = [await pool.take() for _ in range(5)]
    assert len({pair.to_der() for pair in pairs}) == 5
    assert {bits(pair) for pair in pairs} == {SESSION_KEY_BITS}


async def test_parallel_takers_never_share_a_pair() -> None:
    async with running(1) as pool:
        pairs = await asyncio.gather(*(pool.take() for _ in range(6)))
    assert len({pair.to_der() for pair in pairs}) == 6


async def test_a_pair_made_on_purpose_is_nobody_elses() -> None:
    async with running(1) as pool:
        pairs = await asyncio.gather(pool.generate(), pool.take(), pool.generate())
    assert len({pair.to_der() for pair in pairs}) == 3


async def test_it_fills_up_and_stops_there(bench: Bench) -> None:
    async with running(3) as pool:
        bench.finish.release(20)
        # One more than fits waits in hand.
        await eventually(lambda: pool.generated == 4)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert pool.generated == 4
        await pool.take()
        await eventually(lambda: pool.generated == 5)


async def test_when_dry_takers_are_served_in_the_order_they_came(bench: Bench) -> None:
    served: list[int] = []

    async def take(number: int) -> None:
        await pool.take()
        served.append(number)

    async with running(1) as pool:
        takers = [asyncio.create_task(take(number)) for number in range(8)]
        await asyncio.sleep(0)
        assert served == []
        for count in range(1, 9):
            bench.finish.release()
            await eventually(partial(has_length, served, count))
        await asyncio.gather(*takers)
        bench.finish.release(20)
    assert served == list(range(8))


async def test_a_taker_that_left_takes_nothing_with_him(bench: Bench) -> None:
    async with running(1) as pool:
        gone = asyncio.create_task(pool.take())
        waiting = asyncio.create_task(pool.take())
        await asyncio.sleep(0)
        gone.cancel()
        bench.finish.release()
        async with asyncio.timeout(10):
            await waiting
        assert gone.cancelled()
        bench.finish.release(20)


async def test_the_loop_goes_on_while_a_pair_is_made(bench: Bench) -> None:
    # Nothing here measures time: the pair is not finished before the loop has made its steps.
    async with running(1) as pool:
        taker = asyncio.create_task(pool.take())
        await eventually(lambda: bench.begun.acquire(blocking=False))
        for _ in range(1000):
            await asyncio.sleep(0)
            assert not taker.done()
        bench.finish.release(20)
        async with asyncio.timeout(10):
            await taker


async def test_the_loop_goes_on_while_openssl_makes_pairs() -> None:
    # The same with real pairs: that OpenSSL lets go of the interpreter is what the pool rests on.
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            await asyncio.sleep(0)
            steps += 1

    async with running(1) as pool:
        counter = asyncio.create_task(count())
        for _ in range(5):
            await pool.take()
        counter.cancel()
        await asyncio.gather(counter, return_exceptions=True)
    # Had each pair held the loop, there would be a handful of steps for each.
    assert steps > 1000


async def test_closing_leaves_no_thread() -> None:
    for _ in range(3):
        async with running(2) as pool:
            await pool.take()
            assert threads_of_pools()
        assert threads_of_pools() == []


async def test_closing_a_full_pool(bench: Bench) -> None:
    async with running(2) as pool:
        bench.finish.release(20)
        await eventually(lambda: pool.generated == 3)
    assert threads_of_pools() == []


async def test_closing_waits_for_the_pair_in_the_making(bench: Bench) -> None:
    pool = KeyPool(1)
    pool.start()
    await eventually(lambda: bench.begun.acquire(blocking=False))
    closing = asyncio.create_task(pool.close())
    await asyncio.wait([closing], timeout=0.05)
    assert not closing.done()
    bench.finish.release()
    async with asyncio.timeout(10):
        await closing
    assert threads_of_pools() == []


async def test_closing_what_was_never_started() -> None:
    await KeyPool(1).close()
    assert threads_of_pools() == []


async def test_only_so_many_wait_for_a_pair(bench: Bench) -> None:
    pool = KeyPool(1, queue_size=3)
    pool.start()
    try:
        waiting = [asyncio.create_task(pool.take()) for _ in range(3)]
        await asyncio.sleep(0)
        for refused in (pool.take(), pool.take()):
            with pytest.raises(RateLimited) as caught:
                await refused
            assert caught.value.limit == "key_queue_size"
        with pytest.raises(RateLimited):
            pool.admit()
        bench.finish.release()
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        pool.admit()
        waiting.append(asyncio.create_task(pool.take()))
        await asyncio.sleep(0)
        # Who gives up makes room.
        waiting[1].cancel()
        await asyncio.gather(waiting[1], return_exceptions=True)
        pool.admit()
        bench.finish.release(4)
        await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        bench.finish.release(4)
        await pool.close()
