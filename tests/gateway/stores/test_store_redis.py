"""The store in Redis, under the contract of all stores, and what a server adds to it.

What Redis may forget stands in ``test_redis_fence.py``.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hardened_store_contract import (
    ADA,
    BEN,
    CHAIN,
    CHAINED,
    CODE,
    EXPIRES_MS,
    FIRST_CHAIN,
    LOGIN,
    NOW_MS,
    OPENING,
    RESUMED,
    USER,
    by_clock,
    by_counter,
    claim,
    confirming,
    greeted,
    in_turns,
    resumed,
    tickets_of,
)
from hardened_store_contract import opened as reach_opened
from hypothesis import given, settings
from hypothesis import strategies as st
from mailboxes import a_free_port, self_signed
from opened_stores import redis_store
from redis_servers import RedisProcess, cluster, running, watched
from store_contract import (
    ANN,
    BOB,
    SESSION,
    StoreContract,
    message,
    reach_awaiting_code,
    reach_enrolled,
    tag,
)

from gateway.clock import system_clock
from gateway.errors import ConfigError, StoreUnavailable
from gateway.keys.keyring import KeyRing
from gateway.sessions.classic import Sessions
from gateway.stores import Counter, NewCode, StoredChain
from gateway.stores.redis.store import RedisStore
from gateway.stores.redis.url import parse_redis_url
from protocol.common.codes import Code
from protocol.common.primitives import RsaPrivateKey
from protocol.hardened.replay_window import COUNTER_WINDOW, MAX_FRESH_VALUE, ReplayWindow


@pytest.fixture
def name() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def server(redis_server: RedisProcess) -> RedisProcess:
    return redis_server


@pytest.fixture
def url(redis_url: str) -> str:
    return redis_url


class TestRedisStore(StoreContract):
    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[RedisStore]:
        async with redis_store(url) as store:
            yield store


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """The one node of a Redis Cluster."""
    with asyncio.Runner() as runner:
        nodes = AsyncExitStack()
        folder = tmp_path_factory.mktemp("cluster")
        yield runner.run(nodes.enter_async_context(cluster(folder)))
        runner.run(nodes.aclose())


class TestRedisStoreInACluster(StoreContract):
    @pytest.fixture
    async def store(self, node: RedisProcess, name: str) -> AsyncIterator[RedisStore]:
        async with redis_store(f"redis+cluster://127.0.0.1:{node.port}?name={name}") as store:
            yield store


async def test_a_service_of_sentinels(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(tmp_path / "first"))
        second = await stack.enter_async_context(running(tmp_path / "second"))
        await second.follow(first)
        sentinel = await stack.enter_async_context(watched(tmp_path / "sentinel", first))
        async with asyncio.timeout(30):
            while not await sentinel.tell("SENTINEL", "REPLICAS", "tea"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        # One of the two does not answer: the other one is asked.
        places = f"127.0.0.1:{a_free_port()},127.0.0.1:{sentinel.port}"
        store = await stack.enter_async_context(redis_store(f"redis+sentinel://{places}/tea"))
        await reach_opened(store)
        assert await claim(store, ADA, by_clock(1), NOW_MS)
        first.kill()
        async with asyncio.timeout(60):
            while True:
                try:
                    assert not await claim(store, ADA, by_clock(1), NOW_MS)
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
                else:
                    break
        assert await second.info("role") == "master"
        await reach_opened(store)
        assert await claim(store, ADA, by_clock(1), NOW_MS)


async def test_sentinels_that_know_no_such_service(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server:
        async with watched(tmp_path / "sentinel", server) as sentinel:
            with pytest.raises(StoreUnavailable, match="no sentinel knows a master for 'coffee'"):
                async with redis_store(f"redis+sentinel://u:hush@127.0.0.1:{sentinel.port}/coffee"):
                    raise AssertionError("it was opened")


async def test_tls(tmp_path: Path) -> None:
    own = self_signed()
    for file, content in (("cert.pem", own.pem), ("key.pem", own.key_pem)):
        (tmp_path / file).write_text(content)
    port = a_free_port()
    async with running(
        tmp_path / "redis",
        tls_port=str(port),
        tls_cert_file=str(tmp_path / "cert.pem"),
        tls_key_file=str(tmp_path / "key.pem"),
        tls_ca_cert_file=str(tmp_path / "cert.pem"),
        tls_auth_clients="no",
    ):
        at = f"rediss://127.0.0.1:{port}"
        async with redis_store(f"{at}?ssl_ca_certs={tmp_path / 'cert.pem'}") as store:
            await reach_opened(store)
            assert await claim(store, ADA, by_clock(1), NOW_MS)
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            async with redis_store(at):
                raise AssertionError("it was opened")
        with pytest.raises(ConfigError, match="ssl_ca_certs in the store's URL: /nowhere"):
            async with redis_store(f"{at}?ssl_ca_certs=/nowhere"):
                raise AssertionError("it was opened")


async def test_a_user_with_a_password_and_a_database(tmp_path: Path) -> None:
    password = "s3cret/with?signs"
    rights = "~{certless:*}* -@all +@read +@write +@scripting +info +select"
    allowed = f"on >{password} {rights}"
    async with running(tmp_path / "redis", user=f"ann {allowed}") as server:
        at = f"127.0.0.1:{server.port}/3"
        async with redis_store(f"redis://ann:s3cret%2Fwith%3Fsigns@{at}") as store:
            await all_kinds(store)
            assert await store.reseal(lambda kind, key, sealed: sealed + b"!") > 8
            assert await store.sweep(CHAINED.chain_expires_ms + 1) == 4
        assert "db3" in await server.tell("INFO", "keyspace")
        with pytest.raises(StoreUnavailable) as caught:
            async with redis_store(f"redis://ann:another-s3cret@{at}"):
                raise AssertionError("it was opened")
        assert "s3cret" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "are user and password in --store right?" in str(caught.value)


async def test_stores_of_other_names_are_others(server: RedisProcess, name: str) -> None:
    async with redis_store(f"{server.url}?name={name}") as one:
        async with redis_store(f"{server.url}?name={name}.2") as another:
            await reach_opened(one)
            assert await another.load(ADA, NOW_MS) is None


# --- two on one server ---


async def test_two_stores_race_for_each_message(url: str) -> None:
    async with redis_store(url) as first, redis_store(url) as second:
        await reach_opened(first)
        for number in range(1, 100):
            for one in (by_clock(number), by_counter(number), message(number)):
                tries = [claim(store, ADA, one, NOW_MS) for store in (first, second) * 2]
                assert (await asyncio.gather(*tries)).count(True) == 1


async def test_two_stores_race_for_the_attempts_of_a_code(url: str) -> None:
    async with redis_store(url) as first, redis_store(url) as second:
        await greeted(first)
        tries = [store.claim_attempt(ADA, NOW_MS) for store in (first, second) * 25]
        assert sum(attempt is not None for attempt in await asyncio.gather(*tries)) == 5


async def test_two_stores_race_for_a_chain(url: str) -> None:
    async with redis_store(url) as first, redis_store(url) as second:
        await reach_opened(first, CHAINED)
        tries = [store.open_resumed(RESUMED, FIRST_CHAIN) for store in (first, second) * 5]
        assert (await asyncio.gather(*tries)).count(True) == 1


async def test_what_changes_while_all_is_sealed_anew_stays(url: str) -> None:
    async def change() -> None:
        async with redis_store(url) as another:
            assert await another.swap(ADA, SESSION, b"changed meanwhile")
            await another.end_chain(CHAIN)

    def reseal(kind: str, key: bytes, sealed: bytes) -> bytes:
        if kind == "ticket":
            # All have been read by now, and none is replaced yet.
            with ThreadPoolExecutor() as beside:
                beside.submit(asyncio.run, change()).result()
        return b"anew: " + sealed

    async with redis_store(url) as store:
        await reach_opened(store)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(replace(CHAINED, session_id=BEN))
        await reach_enrolled(store, ANN)
        assert await store.reseal(reseal) == 1
        assert await store.load(ANN, NOW_MS) == b"anew: " + SESSION
        assert await store.load(ADA, NOW_MS) == b"changed meanwhile"
        assert await store.load(BEN, NOW_MS) is None
        assert await store.chains(NOW_MS) == []
        assert await tickets_of(store) == []


async def test_many_records_are_sealed_anew(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        keys = [tag(number) for number in range(701)]
        await in_turns(store.add_login(key, LOGIN, EXPIRES_MS, USER) for key in keys)
        assert await store.reseal(lambda kind, key, sealed: sealed + key) == 701
        for key in keys:
            assert await store.claim_code(key, NOW_MS) == LOGIN + key
        kinds = {key.split(b":")[3] for key in await keys_of(server, url) if b"fence" not in key}
        assert kinds == {b"all", b"of", b"login"}


async def test_what_was_laid_beside_does_not_stay_where_there_is_no_room(
    server: RedisProcess, url: str
) -> None:
    async with redis_store(url) as store:
        keys = [tag(number) for number in range(401)]
        large = bytes(2000)
        await in_turns(store.add_login(key, large, EXPIRES_MS, USER) for key in keys)
        used = int(await server.info("used_memory"))
        await server.tell("CONFIG", "SET", "maxmemory", used + 1_000_000)
        try:
            with pytest.raises(StoreUnavailable, match="maxmemory"):
                await store.reseal(lambda kind, key, sealed: sealed + key)
        finally:
            await server.tell("CONFIG", "SET", "maxmemory", 0)
        assert await keys_of(server, url, "staged") == []
        assert await store.claim_code(keys[0], NOW_MS) == large


@pytest.mark.parametrize("kind", ["redis", "redis+cluster"])
async def test_nobody_gets_the_answer_of_one_who_has_gone(
    server: RedisProcess, node: RedisProcess, name: str, kind: str
) -> None:
    # A visitor who hangs up cancels his request wherever it is, with an answer on its way.
    port = server.port if kind == "redis" else node.port
    async with redis_store(f"{kind}://127.0.0.1:{port}?name={name}") as store:
        keys = [b"%d" % number for number in range(50)]
        counters = [Counter(number + 1, NOW_MS + 1000) for number in range(50)]
        for key, counter in zip(keys, counters, strict=True):
            await store.count(key, counter.value, 1000, NOW_MS)
        answered = 0
        for turn in range(40):
            looks = [asyncio.ensure_future(store.count(key, 0, 1000, NOW_MS)) for key in keys]
            for look in looks[turn % 7 :: 7]:
                await asyncio.sleep(0)
                look.cancel()
            await asyncio.wait(looks, return_when=asyncio.FIRST_COMPLETED)
            for look in looks[turn % 3 :: 3]:
                look.cancel()
            answers = await asyncio.gather(*looks, return_exceptions=True)
            for answer, counter in zip(answers, counters, strict=True):
                if isinstance(answer, Counter):
                    assert answer == counter
                    answered += 1
                else:
                    # Each one who goes takes a connection along, and on a busy machine not every
                    # new one is there in time.
                    assert isinstance(answer, asyncio.CancelledError | StoreUnavailable)
        assert answered > 400
        assert [await store.count(key, 0, 1000, NOW_MS) for key in keys] == counters


# --- the counter's window, beside the protocol's ---

FAR = st.integers(1, MAX_FRESH_VALUE)
STEPS = st.one_of(
    st.integers(-COUNTER_WINDOW - 20, COUNTER_WINDOW + 20),
    st.integers(-10, 10),
    st.sampled_from([size + by for size in (8, 1024, 1032, 2064) for by in (-9, -1, 0, 1, 9)]),
)


@settings(max_examples=150, deadline=None)
@given(start=FAR, steps=st.lists(st.one_of(STEPS, FAR), min_size=1, max_size=40))
def test_the_window_agrees_with_the_protocols(
    redis_server: RedisProcess, start: int, steps: list[int]
) -> None:
    async def run() -> None:
        async with redis_store(f"{redis_server.url}?name={secrets.token_hex(8)}") as store:
            await reach_opened(store)
            window = ReplayWindow()
            number = start
            for step in (0, *steps, 0, -COUNTER_WINDOW, 1 - COUNTER_WINDOW):
                number = min(max(0, number + step), MAX_FRESH_VALUE)
                expected = window.claim(number)
                window = expected or window
                claimed = await claim(store, ADA, by_counter(number), NOW_MS)
                assert claimed == (expected is not None), (number, window.top)

    asyncio.run(run())


async def test_a_window_takes_as_much_room_as_it_must(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await reach_opened(store)
        for number in range(1, 5000, 3):
            await claim(store, ADA, by_counter(number), NOW_MS)
        (session,) = await keys_of(server, url, "session")
        assert await server.tell("HSTRLEN", session, "seen") == COUNTER_WINDOW // 8 + 1
        assert await server.tell("HLEN", session) == 5


# --- what lies in Redis ---


async def keys_of(server: RedisProcess, url: str, kind: str = "") -> list[bytes]:
    name = url.partition("name=")[2]
    if not kind:
        found: list[bytes] = await server.tell("KEYS", f"{{certless:{name}}}:*")
    else:
        found = await server.tell("KEYS", f"{{certless:{name}}}:{'?' * 16}:{kind}:*")
    return found


async def all_kinds(store: RedisStore) -> None:
    """Something of everything that a store can keep."""
    await resumed(store)
    await confirming(store)
    await reach_enrolled(store, ANN)
    await reach_awaiting_code(store, BOB)
    await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
    for one in (by_clock(1), by_counter(1), message(1)):
        assert await claim(store, BEN, one, NOW_MS)
    assert await store.try_passphrase(BEN, tag("p"), NOW_MS)
    assert await store.count_mail(USER, NOW_MS)
    await store.count(b"a key", 1, 1000, NOW_MS)


async def test_records_of_before_there_were_devices(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await reach_opened(store, CHAINED)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER, CODE)
        for key in await keys_of(server, url):
            if key.split(b":")[3:4] in ([b"handshake"], [b"chain"]):
                await server.tell("HDEL", key, "device", "seen_ms")
        attempt = await store.claim_attempt(BEN, NOW_MS)
        assert attempt
        assert not attempt.is_void
        assert await store.open_login(replace(OPENING, session_id=BEN))
        assert await store.find_code(USER, NOW_MS) is None
        await store.see_device(CHAINED.chain_id, NOW_MS)
        assert await store.chains(NOW_MS) == [StoredChain(CHAINED.chain_id, FIRST_CHAIN, USER)]
        await store.end_chain(CHAINED.chain_id)
        assert await store.chains(NOW_MS) == []


async def test_every_key_has_an_end_but_the_fence(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await all_kinds(store)
    without = {key for key in await keys_of(server, url) if await server.tell("PTTL", key) < 0}
    assert [key.rpartition(b":")[2] for key in without] == [b"fence"]
    kinds = {key.split(b":")[3] for key in await keys_of(server, url) if key not in without}
    assert kinds == {
        *(b"all", b"of", b"login", b"session", b"salts", b"handshake", b"exchange"),
        *(b"chain", b"ticket", b"code", b"mails", b"counter"),
    }


async def test_a_key_outlives_what_it_holds(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await all_kinds(store)
        for kind, least_ms in (
            ("session", EXPIRES_MS - NOW_MS),
            ("handshake", EXPIRES_MS - NOW_MS),
            ("exchange", 60_000),
            ("chain", CHAINED.chain_expires_ms - NOW_MS),
            ("ticket", CHAINED.chain_expires_ms - NOW_MS),
            ("salts", 60_000),
            ("all", 60_000),
        ):
            for key in await keys_of(server, url, kind):
                left_ms = await server.tell("PTTL", key)
                assert left_ms > least_ms, key
                # An hour for a sweep and for clocks, and the chain's own time in what names it;
                # for its tickets a quarter more.
                most_ms = CHAINED.chain_expires_ms - NOW_MS + 3_600_000
                assert left_ms <= most_ms * (1.25 if kind == "ticket" else 1), key


async def test_a_salt_goes_with_its_session(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await reach_opened(store)
        # A client may send any time.
        assert await claim(store, ADA, by_clock(1, MAX_FRESH_VALUE), NOW_MS)
    ends_ms = [
        await server.tell("PEXPIRETIME", key)
        for kind in ("salts", "session")
        for key in await keys_of(server, url, kind)
    ]
    assert ends_ms[0] == ends_ms[1]


async def test_a_redemption_costs_the_same_however_many_were_before(
    server: RedisProcess, url: str
) -> None:
    async def resume(number: int) -> None:
        later = replace(
            RESUMED,
            session_id=tag(f"session {number}"),
            chain=b"a chain %d" % number,
            chain_expires_ms=CHAINED.chain_expires_ms + number,
            ticket_hash=tag(number) * 2,
        )
        previous = b"a chain %d" % (number - 1) if number else FIRST_CHAIN
        assert await store.open_resumed(later, previous)

    async with redis_store(url) as store:
        await reach_opened(store, CHAINED)
        calls = []
        for number in range(100):
            await server.tell("CONFIG", "RESETSTAT")
            await resume(number)
            commands = await server.tell("INFO", "commandstats")
            calls.append(sum(command["calls"] for command in commands.values()))
        assert max(calls[1:]) == calls[1]
        # Each is known all the same.
        assert await store.load_ticket(b"1" * 32, NOW_MS)
        for key in await keys_of(server, url, "ticket"):
            assert await server.tell("PTTL", key) > CHAINED.chain_expires_ms + 100 - NOW_MS


async def test_what_cannot_be_ended_with_its_user_is_not_there(
    server: RedisProcess, url: str
) -> None:
    async with redis_store(url) as store:
        await reach_opened(store, CHAINED)
        await reach_enrolled(store, ANN)
        # An evicting Redis takes whole keys; then the user comes again.
        await server.tell("DEL", *await keys_of(server, url, "of"))
        await store.add_login(BEN, LOGIN, EXPIRES_MS, USER)
        assert await store.end_user(USER) == 0
        assert await store.load(ADA, NOW_MS) is None
        assert not await store.try_passphrase(ANN, tag("p"), NOW_MS)
        assert await tickets_of(store) == []
        assert not await store.open_resumed(RESUMED, FIRST_CHAIN)


async def test_a_sweep_leaves_nothing(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await all_kinds(store)
        await store.sweep(CHAINED.chain_expires_ms + 1)
        left = {key.split(b":")[3] for key in await keys_of(server, url) if b"fence" not in key}
        assert left == {b"mails", b"counter"}


async def test_a_gateway_whose_clock_is_ahead_sweeps_nothing_of_others(url: str) -> None:
    now_ms = system_clock()
    async with redis_store(url) as store:
        await store.add_handshake(ADA, LOGIN, now_ms + 600_000, USER)
        assert await store.open_login(replace(CHAINED, expires_ms=now_ms + 600_000))
        assert await store.sweep(now_ms + 86_400_000) == 0
        assert await store.load(ADA, now_ms) == SESSION


async def test_all_that_ends_is_gone(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await all_kinds(store)
        assert await store.end_user(USER) == 2
        left = {key.split(b":")[3] for key in await keys_of(server, url) if b"fence" not in key}
        assert left == {b"mails", b"counter"}


async def test_salts_that_vanish_bring_nothing_back(server: RedisProcess, url: str) -> None:
    async with redis_store(url) as store:
        await reach_opened(store)
        assert await claim(store, ADA, by_clock(1), NOW_MS)
        (salts,) = await keys_of(server, url, "salts")
        await server.tell("DEL", salts)
        assert not await claim(store, ADA, by_clock(1), NOW_MS)
        assert not await claim(store, ADA, by_clock(2), NOW_MS)
        assert await claim(store, ADA, by_clock(2, NOW_MS + 60_001), NOW_MS)


async def test_nothing_is_in_the_clear(server: RedisProcess, url: str) -> None:
    pair, client_pair = RsaPrivateKey.generate(), RsaPrivateKey.generate()
    code = Code("0123456789ABCDEFGHJKMNPQRS")
    username = "ann.of.green.gables@example.org"
    pending, token = secrets.token_hex(16), secrets.token_hex(16)
    store = RedisStore(parse_redis_url(url))
    await store.open()
    sessions = Sessions(store, KeyRing.ephemeral(), system_clock, "classic", 3_600_000)
    await sessions.await_code(pending, username, USER, code)
    await sessions.await_code(token, username, USER, code)
    assert await sessions.claim_code(token)
    assert await sessions.enrol(token, username, pair, client_pair.public)
    live = await sessions.find(token, system_clock())
    assert live
    await store.count(b"10.1.2.3", 1, 60_000, system_clock())
    await store.close()
    held = b""
    for key in await keys_of(server, url):
        held += key
        match await server.tell("TYPE", key):
            case b"hash":
                held += b"".join(await server.tell("HGETALL", key))
            case b"zset":
                held += b"".join(await server.tell("ZRANGE", key, 0, -1))
    # The search finds what is there.
    assert live.session.id.encode() in held
    secret = [token.encode(), pending.encode(), code.text.encode(), username.encode(), b"gables"]
    secret += [b"10.1.2.3", bytes.fromhex(token), bytes.fromhex(pending), live.keys.tag_key]
    secret += [key.to_der()[-64:] for key in (pair, client_pair)]
    assert [piece for piece in secret if piece in held] == []


# --- servers that are not taken ---


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(tmp_path: Path, policy: str) -> None:
    async with running(tmp_path / "redis", maxmemory_policy=policy) as server:
        with pytest.raises(ConfigError, match=f"maxmemory-policy {policy}.*noeviction"):
            async with redis_store(server.url):
                raise AssertionError("it was opened")
        async with redis_store(f"{server.url}?eviction=accepted") as store:
            await reach_opened(store)


async def test_a_full_server_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "redis") as server, redis_store(server.url) as store:
        await reach_opened(store, CHAINED)
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER, CODE)
        await store.add_login(ANN, LOGIN, EXPIRES_MS, USER)
        assert await store.claim_code(ANN, NOW_MS)
        await server.tell("CONFIG", "SET", "maxmemory", 1)
        for call in (
            claim(store, ADA, by_clock(1), NOW_MS),
            store.claim_attempt(BEN, NOW_MS),
            store.open_login(replace(CHAINED, session_id=BEN, chain_id=tag("another chain"))),
            store.open_resumed(RESUMED, FIRST_CHAIN),
            store.enrol(ANN, SESSION, EXPIRES_MS),
            store.ping(),
        ):
            with pytest.raises(StoreUnavailable, match="maxmemory"):
                await call
        await server.tell("CONFIG", "SET", "maxmemory", 0)
        await store.ping()
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await tickets_of(store) == [(b"ticket 1", FIRST_CHAIN)]
        assert await store.find_code(USER, NOW_MS)
        assert await claim(store, ADA, by_clock(1), NOW_MS)
        attempt = await store.claim_attempt(BEN, NOW_MS)
        assert attempt
        assert attempt.number == 1
        assert await store.enrol(ANN, SESSION, EXPIRES_MS)


async def test_a_server_that_is_not_there_is_said_soon() -> None:
    began_s = time.monotonic()
    port = a_free_port()
    for url in (f"redis://ann:hush@127.0.0.1:{port}", f"redis+cluster://:hush@127.0.0.1:{port}"):
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}") as caught:
            async with redis_store(url):
                raise AssertionError("it was opened")
        assert "hush" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - began_s < 20


async def test_an_old_server_is_refused() -> None:
    # No such version can be had here; what is asked of one is its version.
    about = b"# Server\r\nredis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(await reader.read(0) or await reader.readline())
                words[-1] = await reader.readline()
            if words[0].upper().startswith(b"EVAL"):
                writer.write(b"$%d\r\n%s\r\n" % (len(about), about))
            else:
                writer.write(b"+OK\r\n")
        writer.close()

    port = a_free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        with pytest.raises(ConfigError, match=r"6\.2\.14.*7\.0 or later"):
            async with redis_store(f"redis://127.0.0.1:{port}"):
                raise AssertionError("it was opened")


# --- URLs ---


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "rest"),
    [
        ("redis://h", "single", (("h", 6379),), {}),
        ("redis://h:1/2", "single", (("h", 1),), {"db": 2}),
        ("redis://:p%40@[::1]:1", "single", (("::1", 1),), {"username": None, "password": "p@"}),
        ("redis://[::1]", "single", (("::1", 6379),), {}),
        ("rediss://u:p@h?ssl_ca_certs=/a", "single", (("h", 6379),),
         {"username": "u", "password": "p", "ssl_ca_certs": "/a"}),
        ("redis+sentinel://a,b:1/tea", "sentinel", (("a", 26379), ("b", 1)), {}),
        ("rediss+sentinel://a/tea/4?sentinel_password=x", "sentinel", (("a", 26379),), {"db": 4}),
        ("redis+cluster://a:1,b:2?name=n", "cluster", (("a", 1), ("b", 2)), {}),
    ],
)  # fmt: skip
def test_urls(
    url: str, kind: str, hosts: tuple[tuple[str, int], ...], rest: dict[str, object]
) -> None:
    found = parse_redis_url(url)
    assert (found.kind, found.hosts, dict(found.options)) == (kind, hosts, rest)
    assert found.tls == url.startswith("rediss")
    assert found.service == ("tea" if kind == "sentinel" else "")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("redis:h", "name a host"),
        ("redis://", "name a host"),
        ("redis://u:hush@", "name a host"),
        ("redis://u:hush@h:x", "name a host"),
        ("redis://u:hush@h:70000", "name a host"),
        ("redis://u:hush@[::1", "without its ]"),
        ("redis+unix://u:hush@h", "redis+sentinel:// or"),
        ("redis://u:hush@a,b", "one host"),
        ("redis+sentinel://u:hush@a", "need a service"),
        ("redis+cluster://u:hush@a/1", "number of a database"),
        ("redis://u:hush@h/x", "number of a database"),
        ("redis://u:hush@h?ssl_ca_certs=a", "'ssl_ca_certs': use eviction, name"),
        ("rediss://u:hush@h?ssl_cert_reqs=none", "'ssl_cert_reqs'"),
        ("redis://u:hush@h?name=a{b}", "name in the store's URL"),
        ("redis://u:hush@h?name=", "name in the store's URL"),
        ("redis://u:hush@h?eviction=yes", "eviction"),
        ("redis://u:hush@h?sentinel_password=hush", "'sentinel_password'"),
        ("redis://u:1#hush@h", "%23"),
        ("redis://u:1?hush@h", "%3F"),
        ("redis://u:1/hush@h", "%2F"),
        ("redis://h#hush", "%23"),
    ],
)
def test_urls_that_are_refused(url: str, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_redis_url(url)
    assert word in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_server_that_repeats_the_password(tmp_path: Path) -> None:
    async with running(tmp_path / "redis", rename_command='AUTH ""') as server:
        with pytest.raises(StoreUnavailable) as caught:
            async with redis_store(server.url.replace("//", "//u:hush@")):
                raise AssertionError("it was opened")
        assert "AUTH" in str(caught.value)
        assert "hush" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    url = "redis+sentinel://u:hush@a/tea?sentinel_password=secret&sentinel_username=x"
    shown = repr(parse_redis_url(url))
    assert "hush" not in shown
    assert "secret" not in shown
    assert parse_redis_url(url).sentinel_options == {"password": "secret", "username": "x"}
