"""What Redis may forget, and that nothing of before is accepted after it (STORAGE §3).

In each of these a message was claimed, and the server that is asked next does not know of it. That
it does not is looked at first: else the fence would not be what refuses.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
from hardened_store_contract import (
    ADA,
    BEN,
    CHAINED,
    EXPIRES_MS,
    LOGIN,
    NOW_MS,
    SESSION,
    USER,
    by_clock,
    by_counter,
    claim,
    opened,
    tickets_of,
)
from opened_stores import redis_store
from redis_servers import RedisProcess, cluster, cluster_info, cluster_node, running
from store_contract import ANN, message, reach_enrolled

from gateway.errors import StoreUnavailable
from gateway.stores.redis.store import RedisStore

CLAIMS = (by_clock(1), by_counter(1), message(1))


def store_at(server: RedisProcess) -> AbstractAsyncContextManager[RedisStore]:
    return redis_store(server.url)


async def claimed(store: RedisStore) -> list[bool]:
    return [await claim(store, ADA, one, NOW_MS) for one in CLAIMS]


async def nothing_of_before_is_there(store: RedisStore) -> None:
    assert await claimed(store) == [False] * 3
    assert await store.load(ADA, NOW_MS) is None
    assert await store.take_exchange(BEN, NOW_MS) is None
    assert await store.claim_attempt(BEN, NOW_MS) is None
    assert await tickets_of(store) == []
    assert await store.sessions(NOW_MS) == []
    assert await store.chains(NOW_MS) == []
    assert await store.count_sessions(NOW_MS) == 0


async def it_goes_on(store: RedisStore) -> None:
    await opened(store)
    assert await claimed(store) == [True] * 3
    assert await claimed(store) == [False] * 3


async def filled(store: RedisStore) -> None:
    """A session with a chain, and a login that is on its way."""
    await opened(store, CHAINED)
    await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
    assert await store.claim_attempt(BEN, NOW_MS)
    assert await store.add_exchange(BEN, b"an exchange", EXPIRES_MS, 1)


async def keys_of(server: RedisProcess, kind: str) -> list[bytes]:
    found: list[bytes] = await server.tell("KEYS", f"*:{'?' * 16}:{kind}:*")
    return found


async def has_the_session_without_its_claims(server: RedisProcess) -> None:
    (session,) = await keys_of(server, "session")
    fields = await server.tell("HKEYS", session)
    assert b"sealed" in fields
    assert b"seen" not in fields
    assert not any(field.startswith(b"tag:") for field in fields)
    assert await keys_of(server, "salts") == []


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[RedisProcess, RedisProcess]]:
    """A master and its replica."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(tmp_path / "first"))
        second = await stack.enter_async_context(running(tmp_path / "second"))
        await second.follow(first)
        yield first, second


# --- a restart ---


async def test_a_restart_with_all_that_was_saved(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await filled(store)
        assert await claimed(store) == [True] * 3
        await server.tell("SAVE")
        server.kill()
        await server.start()
        # All of it is there, but nobody can know that.
        assert await keys_of(server, "session")
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_restart_with_an_older_state(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await filled(store)
        await server.tell("SAVE")
        assert await claimed(store) == [True] * 3
        server.kill()
        await server.start()
        await has_the_session_without_its_claims(server)
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_restart_with_a_log_of_all_writes(tmp_path: Path) -> None:
    redis = running(tmp_path / "redis", appendonly="yes", appendfsync="always")
    async with redis as server, store_at(server) as store:
        await filled(store)
        assert await claimed(store) == [True] * 3
        server.kill()
        await server.start()
        assert await keys_of(server, "session")
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_restart_with_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await filled(store)
        assert await claimed(store) == [True] * 3
        server.kill()
        await server.start()
        assert await server.tell("DBSIZE") == 0
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_flush(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await filled(store)
        await server.tell("FLUSHALL")
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_flush_under_load(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        accepted: list[int] = []

        async def send(first: int) -> None:
            for number in range(first, 1200, 12):
                # Each message twice, at once and once more afterwards, whatever happens.
                tries = [claim(store, ADA, by_counter(number), NOW_MS) for _ in range(2)]
                won = [*await asyncio.gather(*tries)]
                await store.load(ADA, NOW_MS)
                won.append(await claim(store, ADA, by_counter(number), NOW_MS))
                accepted.extend([number] * sum(won))

        await opened(store)
        sending = asyncio.gather(*(send(first) for first in range(1, 13)))
        while len(accepted) < 100:  # noqa: ASYNC110 (it is about how far the others are)
            await asyncio.sleep(0)
        await server.tell("FLUSHALL")
        await sending
        assert len(accepted) == len(set(accepted))
        assert 100 <= len(accepted) < 1199
        await it_goes_on(store)


# --- a failover ---


async def test_a_replica_that_lacks_the_last_claims(
    pair: tuple[RedisProcess, RedisProcess],
) -> None:
    first, second = pair
    async with store_at(first) as store:
        await filled(store)
        await second.follow(first)
        await second.lose_touch()
        assert await claimed(store) == [True] * 3
    first.kill()
    await second.follow(None)
    await has_the_session_without_its_claims(second)
    async with store_at(second) as store:
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_replica_is_not_asked(pair: tuple[RedisProcess, RedisProcess]) -> None:
    first, second = pair
    async with store_at(first) as store:
        await opened(store)
    with pytest.raises(StoreUnavailable, match="replica"):
        async with store_at(second):
            raise AssertionError("it was opened")


async def test_two_masters_at_once(pair: tuple[RedisProcess, RedisProcess]) -> None:
    first, second = pair
    async with store_at(first) as here:
        await opened(here)
        await second.follow(first)
        await second.follow(None)
        await has_the_session_without_its_claims(second)
        # One gateway has not heard of it yet, another has: no message runs at both.
        async with store_at(second) as there:
            for number in range(1, 20):
                for one in (by_clock(number), by_counter(number), message(number)):
                    tries = [claim(store, ADA, one, NOW_MS) for store in (here, there) * 2]
                    won = await asyncio.gather(*tries)
                    assert (won[0] + won[2], won[1] + won[3]) == (1, 0)
            await it_goes_on(there)
            # The former master comes back as a replica, and knows nothing else any more.
            await first.follow(second)
            with pytest.raises(StoreUnavailable):
                await claim(here, ADA, by_clock(100), NOW_MS)
            with pytest.raises(StoreUnavailable):
                await here.load(ADA, NOW_MS)


async def test_an_address_that_follows_the_master(
    pair: tuple[RedisProcess, RedisProcess],
) -> None:
    first, second = pair
    ports = [first.port]

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", ports[-1])

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(4096):
                to.write(data)
            to.close()

        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    address = await asyncio.start_server(pass_on, "127.0.0.1")
    port = address.sockets[0].getsockname()[1]
    async with address, redis_store(f"redis://127.0.0.1:{port}") as store:
        await filled(store)
        # What was connected stays so, to one that is a replica by now.
        await second.follow(None)
        await first.follow(second)
        ports.append(second.port)
        with pytest.raises(StoreUnavailable, match="replica"):
            await store.load(ADA, NOW_MS)
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


@pytest.mark.parametrize("how", ["disabled", "swapdb"])
@pytest.mark.parametrize("later", [False, True])
async def test_back_to_a_master_that_was_a_replica_meanwhile(
    pair: tuple[RedisProcess, RedisProcess], how: str, later: bool
) -> None:
    first, second = pair
    await first.tell("CONFIG", "SET", "repl-diskless-load", how)
    async with store_at(first) as store:
        await filled(store)
        await second.follow(first)
        await second.lose_touch()
        assert await claimed(store) == [True] * 3
        run_id = await first.info("run_id")
        # No gateway asks the second while it is the master.
        await second.follow(None)
        await second.tell("SET", "something", "else")
        await first.follow(second)
        await first.follow(None)
        if later:
            # With the backlog goes what tells that there was another history.
            second.kill()
            await first.tell("CONFIG", "SET", "repl-backlog-ttl", 1)
            await first.until("master_replid2", lambda former: not former.strip("0"))
        assert await first.info("run_id") == run_id
        await has_the_session_without_its_claims(first)
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


# --- a cluster ---


@pytest.mark.parametrize("first", ["fence", "salts", "session"])
async def test_a_slot_that_moves(tmp_path: Path, first: str) -> None:
    async with cluster(tmp_path / "old") as old, cluster_node(tmp_path / "new") as new:
        await old.tell("CLUSTER", "MEET", "127.0.0.1", new.port, new.options["cluster-port"])
        for node in (old, new):
            await cluster_info(node, b"cluster_known_nodes:2")
            await cluster_info(node, b"cluster_slots_ok:16384")
            await cluster_info(node, b"cluster_state:ok")
        url = f"redis+cluster://127.0.0.1:{old.port},127.0.0.1:{new.port}"
        async with redis_store(url) as store:
            await filled(store)
            assert await claimed(store) == [True] * 3

            slot = await old.tell("CLUSTER", "KEYSLOT", "{certless:certless}:fence")
            ids = [(await node.tell("CLUSTER", "MYID")).decode() for node in (old, new)]
            await new.tell("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
            await old.tell("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
            keys: list[bytes] = await old.tell("KEYS", "*")
            begin, rest = (
                [key for key in keys if (first.encode() in key.split(b":")[1:4]) is wanted]
                for wanted in (True, False)
            )
            for some in (begin, rest):
                # Half of it is here and half is there: whoever answers, nothing is claimed twice.
                for key in some:
                    await old.tell("MIGRATE", "127.0.0.1", new.port, key, 0, 5000)
                tries = [claim(store, ADA, one, NOW_MS) for one in CLAIMS * 2]
                assert True not in await asyncio.gather(*tries, return_exceptions=True)
            for node in (new, old):
                await node.tell("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
            await nothing_of_before_is_there(store)
            await it_goes_on(store)


# --- what loses nothing ---


async def test_replicas_come_and_go(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(tmp_path / "first"))
        store = await stack.enter_async_context(store_at(first))
        await filled(store)
        assert await claimed(store) == [True] * 3
        alone = await first.info("master_replid")
        second = await stack.enter_async_context(running(tmp_path / "second"))
        await second.follow(first)
        followed = await first.info("master_replid")
        assert followed != alone
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await claimed(store) == [False] * 3
        second.kill()
        await first.tell("CONFIG", "SET", "repl-backlog-ttl", 1)
        await first.until("master_replid", lambda now: now != followed)
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await claimed(store) == [False] * 3
        assert len(await tickets_of(store)) == 1


async def test_another_raised_the_fence(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server:
        async with store_at(server) as here, store_at(server) as there:
            await opened(here)
            assert await there.load(ADA, NOW_MS) == SESSION
            for _ in range(10):
                await server.tell("FLUSHALL")
                keys = [b"%015d" % number + bytes(1) for number in range(20)]
                adding = [
                    (here, there)[number % 2].add_handshake(key, LOGIN, EXPIRES_MS, USER)
                    for number, key in enumerate(keys)
                ]
                await asyncio.gather(*adding)
                # All went on in one generation, whoever began it.
                assert len(await keys_of(server, "handshake")) == 20
                for key in keys:
                    assert await here.claim_attempt(key, NOW_MS)


async def test_a_generation_that_was_left_stays_left(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await filled(store)
        # As if its address named another master for a while, and now the former one again.
        fence = "{certless:certless}:fence"
        before = await server.tell("DUMP", fence)
        await server.tell("DEL", fence)
        assert await store.load(ADA, NOW_MS) is None
        await server.tell("RESTORE", fence, 0, before, "REPLACE")
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_scripts_that_were_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await opened(store)
        await server.tell("SCRIPT", "FLUSH")
        assert await claimed(store) == [True] * 3
        assert await claimed(store) == [False] * 3


# --- out of reach ---


async def test_out_of_reach_and_back(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await opened(store)
        server.kill()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}"):
                await claim(store, ADA, by_clock(1), NOW_MS)
            with pytest.raises(StoreUnavailable):
                await store.ping()
        await server.start()
        await store.ping()
        await nothing_of_before_is_there(store)
        await it_goes_on(store)


async def test_a_lost_answer_accepts_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await opened(store)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        # As many connections as are needed, and the scripts: what is sent then is carried out.
        warm = [claim(store, ADA, one, NOW_MS) for one in (by_clock(9), by_counter(9), message(9))]
        await asyncio.gather(*warm, store.ping(), store.claim_attempt(ADA, NOW_MS))
        server.signal(signal.SIGSTOP)
        lost = [claim(store, ADA, one, NOW_MS) for one in CLAIMS]
        answers = await asyncio.gather(
            *lost, store.ping(), store.claim_attempt(BEN, NOW_MS), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        server.signal(signal.SIGCONT)
        # They were carried out when nobody listened any more: what comes again is refused.
        assert await claimed(store) == [False] * 3
        attempt = await store.claim_attempt(BEN, NOW_MS)
        assert attempt
        assert attempt.number == 2


async def test_more_wait_than_can_be_served(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, store_at(server) as store:
        await reach_enrolled(store)
        server.signal(signal.SIGSTOP)
        tries = [store.claim(ANN, message(number), NOW_MS) for number in range(500)]
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*tries, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        server.signal(signal.SIGCONT)
        await store.ping()


async def test_many_wait_for_a_server_that_is_slow(tmp_path: Path) -> None:
    """They wait for seconds altogether, but each answer comes in time."""
    async with (
        running(tmp_path / "redis", enable_debug_command="yes") as server,
        store_at(server) as store,
    ):
        await reach_enrolled(store)

        answered = asyncio.Event()

        async def slow_down() -> None:
            while not answered.is_set():
                await server.tell("DEBUG", "SLEEP", "0.6")

        slow = asyncio.create_task(slow_down())
        try:
            async with asyncio.timeout(60):
                tries = [store.claim(ANN, message(number), NOW_MS) for number in range(600)]
                assert all(await asyncio.gather(*tries))
        finally:
            # wait_for of Python 3.11, which redis-py uses to send, can lose a cancellation.
            answered.set()
            async with asyncio.timeout(20):
                await slow
