"""A ticket store beside Redis: either of them, or both, killed, put back or replaced (STORAGE §4).

In all of these a ticket was spent or a chain was revoked before, and must stay so.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hardened_store_contract import (
    ADA,
    BEN,
    CHAIN,
    CHAINED,
    EXPIRES_MS,
    FAR_MS,
    FIRST_CHAIN,
    LOGIN,
    NOBODY,
    NOW_MS,
    RESUMED,
    SECOND_CHAIN,
    SESSION,
    USER,
    by_counter,
    claim,
    opened,
    resumed,
    salt,
    tickets_of,
)
from opened_stores import redis_store, redis_store_with_tickets
from postgresql_servers import PostgresqlProcess, postgresql
from redis_servers import RedisProcess, running

from gateway.errors import ConfigError, RateLimited, StoreUnavailable
from gateway.stores import NewChain, NewSession, SessionCaps, StoredTicket
from gateway.stores.redis.ticketed import TicketedRedisStore
from gateway.stores.tickets.fence import TicketsClosed

THIRD_CHAIN = b"that chain even later"
AGAIN = replace(
    RESUMED,
    session_id=NOBODY,
    sealed=b"a third session",
    chain=THIRD_CHAIN,
    ticket_hash=b"3" * 32,
    ticket=b"ticket 3",
)
NEW_CHAIN = NewChain(CHAIN, USER, FIRST_CHAIN, FAR_MS, CHAINED.ticket_hash, CHAINED.ticket)
BOTH = [(b"ticket 1", SECOND_CHAIN), (b"ticket 2", SECOND_CHAIN)]


@dataclass
class Tickets:
    """A ticket store that a test restarts and puts back."""

    url: str
    restart: Callable[[], None]
    copy: Callable[[], None]
    put_back: Callable[[], None]


@pytest.fixture
def sqlite_tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tickets:
    memory, file, backup = (tmp_path / name for name in ("memory", "tickets.db", "backup"))
    memory.mkdir()
    monkeypatch.setattr("gateway.stores.tickets.history.MEMORY", memory)

    def restart() -> None:
        # A restart of the machine clears its memory.
        for one in memory.iterdir():
            one.unlink()

    def copy() -> None:
        with closing(sqlite3.connect(file)) as here, closing(sqlite3.connect(backup)) as there:
            here.backup(there)

    def put_back() -> None:
        with closing(sqlite3.connect(backup)) as here, closing(sqlite3.connect(file)) as there:
            here.backup(there)

    return Tickets(f"sqlite:{file}", restart, copy, put_back)


@pytest.fixture
def own_postgresql() -> Iterator[PostgresqlProcess]:
    with postgresql() as server:
        yield server


@pytest.fixture
def postgresql_tickets(own_postgresql: PostgresqlProcess) -> Tickets:
    server = own_postgresql
    data, backup = server.folder / "data", server.folder / "backup"

    def restart() -> None:
        server.stop()
        server.start()

    def copy() -> None:
        server.stop()
        _copy_tree(data, backup)
        server.start()

    def put_back() -> None:
        server.stop()
        shutil.rmtree(data)
        _copy_tree(backup, data)
        server.start()

    return Tickets(server.url, restart, copy, put_back)


def _copy_tree(source: Path, to: Path) -> None:
    """A copy with the owners, because PostgreSQL does not run as root."""
    shutil.copytree(source, to, symlinks=True)
    for one in (source, *source.rglob("*")):
        status = one.lstat()
        copied = to / one.relative_to(source)
        shutil.chown(copied, status.st_uid, status.st_gid)


@pytest.fixture(params=["sqlite", "postgresql"])
def tickets(request: pytest.FixtureRequest) -> Tickets:
    found: Tickets = request.getfixturevalue(f"{request.param}_tickets")
    return found


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisProcess]:
    async with running(tmp_path / "redis") as server:
        yield server


async def lost(server: RedisProcess) -> None:
    """kill -9, and a start with nothing."""
    server.kill()
    await server.start()


async def spent_stays_spent(store: TicketedRedisStore) -> None:
    """After ``resumed``: the sessions are lost; the second ticket resumes, the first state not."""
    assert await store.load(BEN, NOW_MS) is None
    assert await tickets_of(store) == BOTH
    assert not await store.open_resumed(AGAIN, FIRST_CHAIN)
    assert await store.load(NOBODY, NOW_MS) is None
    assert await store.open_resumed(AGAIN, SECOND_CHAIN)
    assert await store.load(NOBODY, NOW_MS) == AGAIN.sealed


async def nothing_is_redeemed(store: TicketedRedisStore) -> None:
    for previous in (FIRST_CHAIN, SECOND_CHAIN):
        with pytest.raises(StoreUnavailable):
            await store.open_resumed(AGAIN, previous)
    for name in (b"x", b"y"):
        await store.add_handshake(name * 16, LOGIN, EXPIRES_MS, USER)
        login = replace(CHAINED, session_id=name * 16, chain_id=name * 16, ticket_hash=name * 32)
        with pytest.raises(StoreUnavailable):
            await store.open_login(login)
        # The code is not spent.
        assert await store.claim_attempt(name * 16, NOW_MS)
    with pytest.raises(StoreUnavailable):
        await store.end_chain(CHAIN)
    with pytest.raises(StoreUnavailable):
        await store.end_user(USER)
    assert await store.load(NOBODY, NOW_MS) is None


# --- a loss of Redis ---


async def test_tickets_outlive_a_redis_that_was_killed(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
        await lost(redis)
        await spent_stays_spent(store)
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        assert await store.load(NOBODY, NOW_MS) == AGAIN.sealed


async def test_a_gateway_that_starts_after_the_loss(redis: RedisProcess, tickets_url: str) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
    await lost(redis)
    async with (
        redis_store_with_tickets(redis.url, tickets_url) as store,
        redis_store_with_tickets(redis.url, tickets_url),
    ):
        await spent_stays_spent(store)


async def test_a_revoked_chain_stays_revoked(redis: RedisProcess, tickets_url: str) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
        await store.end_chain(CHAIN)
        await lost(redis)
        assert await tickets_of(store) == []
        assert await store.chains(NOW_MS) == []
        for previous in (FIRST_CHAIN, SECOND_CHAIN):
            assert not await store.open_resumed(AGAIN, previous)


async def test_a_failover_to_an_empty_replica(tmp_path: Path, tickets_url: str) -> None:
    async with running(tmp_path / "first") as first, running(tmp_path / "second") as second:
        async with redis_store_with_tickets(first.url, tickets_url) as here:
            await resumed(here)
            async with redis_store_with_tickets(second.url, tickets_url) as there:
                await spent_stays_spent(there)
                # A gateway that has not heard of it: its messages go on, but no ticket works there.
                assert await claim(here, BEN, by_counter(1), NOW_MS)
                with pytest.raises(TicketsClosed, match="another Redis has taken over"):
                    await here.open_resumed(replace(AGAIN, session_id=salt(1)), THIRD_CHAIN)
                with pytest.raises(TicketsClosed):
                    await here.end_chain(CHAIN)
                await there.end_chain(CHAIN)
                assert await tickets_of(there) == []
                with pytest.raises(TicketsClosed):
                    await here.load_ticket(b"3" * 32, NOW_MS)
                await first.follow(second)
                with pytest.raises(StoreUnavailable, match="replica"):
                    await claim(here, BEN, by_counter(2), NOW_MS)


async def test_redis_is_lost_again_while_it_is_told(
    redis: RedisProcess, tickets_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
        await lost(redis)
        run, losses = store._run, [1]

        async def run_after_a_loss(
            name: str, keys: Sequence[tuple[str, bytes]] = (), *details: object
        ) -> Any:
            if name == "set_ticket_fence" and losses:
                losses.pop()
                await lost(redis)
            return await run(name, keys, *details)

        monkeypatch.setattr(store, "_run", run_after_a_loss)
        await spent_stays_spent(store)
        # It is begun for the Redis that knows it, and for no other one.
        assert not losses
        assert (await store._tickets.fence()).redis == store._generation


async def test_user_tags_outlive_redis(redis: RedisProcess, tickets_url: str) -> None:
    # Else the chains would belong to unknown users.
    async with redis_store(redis.url) as store:
        await store.keep_tag_key(b"a sealed key", lambda tag: tag)
    async with redis_store_with_tickets(redis.url, tickets_url) as both:
        assert await both.tag_key() == b"a sealed key"
        await lost(redis)
        assert await both.tag_key() == b"a sealed key"
        await both.ping()
        assert await both.keep_tag_key(b"another", lambda tag: tag) == b"a sealed key"


async def test_a_sweep_notes_the_new_redis_before_anybody_resumes(
    redis: RedisProcess, tickets: Tickets
) -> None:
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        await resumed(store)
        await lost(redis)
        await store.sweep(NOW_MS)
        await asyncio.to_thread(tickets.restart)
        await spent_stays_spent(store)


# --- a restart of the ticket store, and an older copy of it ---


async def test_a_ticket_store_that_was_restarted(redis: RedisProcess, tickets: Tickets) -> None:
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        await resumed(store)
        await asyncio.to_thread(tickets.restart)
        assert await store.load(BEN, NOW_MS) == RESUMED.sealed
        await store.end(BEN)
        await spent_stays_spent(store)
    await asyncio.to_thread(tickets.restart)
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        assert await tickets_of(store) == [(one, THIRD_CHAIN) for one, _ in BOTH]


async def test_an_older_copy_is_not_used(redis: RedisProcess, tickets: Tickets) -> None:
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        await opened(store, CHAINED)
        await asyncio.to_thread(tickets.copy)
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)
        await asyncio.to_thread(tickets.put_back)
        # The first ticket looks as if nobody had used it, and the second one is not there.
        assert await store.load_ticket(b"1" * 32, NOW_MS) == StoredTicket(b"ticket 1", FIRST_CHAIN)
        with pytest.raises(TicketsClosed):
            await store.load_ticket(b"2" * 32, NOW_MS)
        await nothing_is_redeemed(store)
        assert await claim(store, BEN, by_counter(1), NOW_MS)
        with pytest.raises(TicketsClosed):
            await store.sweep(NOW_MS)
        with pytest.raises(TicketsClosed):
            await store.accept_tickets()
    with pytest.raises(ConfigError, match=r"restored backup.*`certless tickets forget`"):
        async with redis_store_with_tickets(redis.url, tickets.url):
            raise AssertionError("it was opened")


async def test_an_older_copy_without_the_revocation(redis: RedisProcess, tickets: Tickets) -> None:
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        await resumed(store)
        await asyncio.to_thread(tickets.copy)
        await store.end_chain(CHAIN)
        await asyncio.to_thread(tickets.put_back)
        assert await tickets_of(store) == BOTH
        await nothing_is_redeemed(store)


async def test_an_older_copy_and_a_loss_of_redis(redis: RedisProcess, tickets: Tickets) -> None:
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        await opened(store, CHAINED)
        await asyncio.to_thread(tickets.copy)
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)
        await asyncio.to_thread(tickets.put_back)
        await lost(redis)
        await nothing_is_redeemed(store)
        with pytest.raises(TicketsClosed, match="Redis has lost its data"):
            await store.sweep(NOW_MS)
    with pytest.raises(ConfigError, match="`certless tickets accept`"):
        async with redis_store_with_tickets(redis.url, tickets.url):
            raise AssertionError("it was opened")


async def test_both_were_restarted_and_an_operator_decides(
    redis: RedisProcess, tickets: Tickets
) -> None:
    async with redis_store_with_tickets(redis.url, tickets.url) as store:
        await resumed(store)
        await asyncio.to_thread(tickets.restart)
        await lost(redis)
        await nothing_is_redeemed(store)
        assert await store.accept_tickets()
        assert not await store.accept_tickets()
        await spent_stays_spent(store)
        await asyncio.to_thread(tickets.restart)
        await lost(redis)
        await nothing_is_redeemed(store)
        await store.forget_tickets()
        assert await store.chains(NOW_MS) == []
        assert not await store.open_resumed(replace(AGAIN, session_id=salt(9)), THIRD_CHAIN)
        await opened(store, CHAINED)
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)


async def test_a_dump_that_was_loaded(
    redis: RedisProcess, own_postgresql: PostgresqlProcess
) -> None:
    # The server was not restarted, and its number is the same.
    async with redis_store_with_tickets(redis.url, own_postgresql.url) as store:
        await opened(store, CHAINED)
        dump = await asyncio.to_thread(own_postgresql.dump)
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)
        await asyncio.to_thread(own_postgresql.load, dump)
        await lost(redis)
        assert await store.load_ticket(b"1" * 32, NOW_MS) == StoredTicket(b"ticket 1", FIRST_CHAIN)
        await nothing_is_redeemed(store)


async def test_a_copy_of_the_database_in_the_same_server(
    redis: RedisProcess, own_postgresql: PostgresqlProcess
) -> None:
    async with redis_store_with_tickets(redis.url, own_postgresql.url) as store:
        await opened(store, CHAINED)
    own_postgresql.run("CREATE DATABASE older TEMPLATE postgres")
    async with redis_store_with_tickets(redis.url, own_postgresql.url) as store:
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)
    await lost(redis)
    older = own_postgresql.url.replace("/postgres?", "/older?")
    with pytest.raises(ConfigError, match="`certless tickets accept`"):
        async with redis_store_with_tickets(redis.url, older):
            raise AssertionError("it was opened")


async def test_another_ticket_store(redis: RedisProcess, tmp_path: Path, tickets_url: str) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
    # An empty one has nothing that could be valid again; then the first one is an older one.
    async with redis_store_with_tickets(redis.url, f"sqlite:{tmp_path / 'new.db'}") as store:
        assert await tickets_of(store) == []
        await opened(store, CHAINED)
    with pytest.raises(ConfigError, match="or the wrong one"):
        async with redis_store_with_tickets(redis.url, tickets_url):
            raise AssertionError("it was opened")


async def test_a_role_of_postgresql_without_privileges(
    redis: RedisProcess, own_postgresql: PostgresqlProcess
) -> None:
    for sql in ("CREATE ROLE plain LOGIN", "CREATE DATABASE plain OWNER plain"):
        own_postgresql.run(sql)
    url = own_postgresql.url.replace("vault@/postgres", "plain@/plain")
    async with redis_store_with_tickets(redis.url, url) as store:
        await resumed(store)
        await lost(redis)
        await spent_stays_spent(store)


# --- between the two steps ---


async def test_a_gateway_that_was_killed_between_claim_and_session(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as killed:
        await opened(killed, CHAINED)
        # The step in the ticket store, and then nothing more.
        assert await killed._tickets.redeem(await killed._seen(), RESUMED, FIRST_CHAIN)
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        # The session of before is open, until the device resumes with its old ticket.
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await tickets_of(store) == BOTH
        assert not await store.open_resumed(AGAIN, FIRST_CHAIN)
        assert await store.open_resumed(AGAIN, SECOND_CHAIN)
        assert await store.load(ADA, NOW_MS) is None
        assert [one.session_id for one in await store.sessions(NOW_MS)] == [NOBODY]


async def test_a_login_that_was_killed_between_chain_and_session(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await store.add_handshake(ADA, LOGIN, EXPIRES_MS, USER)
        await store._tickets.add(await store._seen(), NEW_CHAIN)
        # The code is not spent. The ticket of the chain has left nowhere.
        assert await store.claim_attempt(ADA, NOW_MS)
        assert await store.open_login(replace(CHAINED, chain_id=salt(1), ticket_hash=b"9" * 32))


async def test_a_claim_that_comes_late_opens_nothing(redis: RedisProcess, tickets_url: str) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await opened(store, CHAINED)
        late = await store._tickets.redeem(await store._seen(), RESUMED, FIRST_CHAIN)
        assert late
        assert await store.open_resumed(AGAIN, SECOND_CHAIN)
        # It was overtaken by another one of its chain.
        assert not await store._open("open_redeemed", RESUMED, late)
        assert await store.load(BEN, NOW_MS) is None
        assert await store.load(NOBODY, NOW_MS) == AGAIN.sealed


@pytest.mark.parametrize("loss", ["nothing", "redis", "fence"])
async def test_a_claim_that_was_revoked_meanwhile_opens_nothing(
    redis: RedisProcess, tickets_url: str, loss: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await opened(store, CHAINED)
        late = await store._tickets.redeem(await store._seen(), RESUMED, FIRST_CHAIN)
        assert late
        await store.end_chain(CHAIN)
        # With either of these, Redis has lost the revocation.
        if loss == "redis":
            await lost(redis)
        elif loss == "fence":
            for key in await redis.tell("KEYS", "*:ticket_fence:*"):
                await redis.tell("DEL", key)
        await store.sweep(NOW_MS)
        with pytest.raises(StoreUnavailable):
            await store._open("open_redeemed", RESUMED, late)
        assert await store.load(BEN, NOW_MS) is None
        assert await store.sessions(NOW_MS) == []


@pytest.mark.parametrize("lose", [False, True])
async def test_a_revocation_is_retried_until_its_session_has_ended(
    redis: RedisProcess, tickets_url: str, lose: bool
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
        # The step in the ticket store, and then nothing more.
        await store._tickets.revoke_chain(await store._seen(), CHAIN)
        assert await tickets_of(store) == []
        assert await store.chains(NOW_MS) == []
        if lose:
            await lost(redis)
        else:
            assert await store.load(BEN, NOW_MS) == RESUMED.sealed
        await store.sweep(NOW_MS)
        assert await store.load(BEN, NOW_MS) is None
        assert await store._tickets.revoked() == []


async def test_an_expired_chain_is_swept(redis: RedisProcess, tickets_url: str) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await opened(store, CHAINED)
        await store.sweep(FAR_MS)
        assert len(await tickets_of(store)) == 1
        await store.sweep(FAR_MS + 1)
        assert await tickets_of(store) == []


async def test_a_full_redis_does_not_stop_a_revocation(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await resumed(store)
        await redis.tell("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(StoreUnavailable):
            await store.ping()
        await store.end_chain(CHAIN)
        assert await store.load(BEN, NOW_MS) is None
        assert await store._tickets.revoked() == []


# --- several gateways ---


async def test_two_gateways_redeem_one_ticket(redis: RedisProcess, tickets_url: str) -> None:
    async with (
        redis_store_with_tickets(redis.url, tickets_url) as here,
        redis_store_with_tickets(redis.url, tickets_url) as there,
    ):
        await opened(here, CHAINED)
        openings = [
            replace(RESUMED, session_id=salt(n), ticket_hash=bytes(31) + bytes([n]))
            for n in range(20)
        ]
        tries = [
            (here, there)[n % 2].open_resumed(one, FIRST_CHAIN) for n, one in enumerate(openings)
        ]
        assert (await asyncio.gather(*tries)).count(True) == 1
        assert len(await here.sessions(NOW_MS)) == 1


async def test_a_user_is_ended_while_they_log_in(
    redis: RedisProcess, tickets_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        redis_store_with_tickets(redis.url, tickets_url) as here,
        redis_store_with_tickets(redis.url, tickets_url) as there,
    ):
        run = there._run

        async def run_after_the_login(
            name: str, keys: Sequence[tuple[str, bytes]] = (), *details: object
        ) -> Any:
            # The ticket store has revoked all chains, and Redis has not ended the sessions yet.
            if name == "end_user":
                await opened(here, CHAINED)
            return await run(name, keys, *details)

        monkeypatch.setattr(there, "_run", run_after_the_login)
        assert await there.end_user(USER) == 1
        assert await here.load(ADA, NOW_MS) is None
        assert await tickets_of(here) == []
        assert await here.chains(NOW_MS) == []


async def test_users_are_ended_while_they_log_in_and_resume(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with (
        redis_store_with_tickets(redis.url, tickets_url) as here,
        redis_store_with_tickets(redis.url, tickets_url) as there,
    ):

        async def use(login: NewSession, number: int) -> None:
            if await here.open_login(login):
                next_ticket = b"\x01" * 31 + bytes([number])
                again = replace(
                    login,
                    session_id=salt(f"r{number}"),
                    chain=SECOND_CHAIN,
                    ticket_hash=next_ticket,
                )
                await here.open_resumed(again, FIRST_CHAIN)

        for number in range(12):
            login = replace(
                CHAINED,
                session_id=salt(f"l{number}"),
                chain_id=salt(f"c{number}"),
                ticket_hash=bytes(31) + bytes([number]),
            )
            await here.add_handshake(login.session_id, LOGIN, EXPIRES_MS, USER)
            used, ended = await asyncio.gather(
                use(login, number), there.end_user(USER), return_exceptions=True
            )
            assert isinstance(ended, int)
            # Logins and resumptions on their way can fail, and then the client tries again.
            assert used is None or isinstance(used, StoreUnavailable)
            # A session whose chain was revoked would never end.
            if await there.sessions(NOW_MS):
                assert await there.chains(NOW_MS)
            await there.end_user(USER)
            assert await there.chains(NOW_MS) == []
            assert await there.sessions(NOW_MS) == []


# --- out of reach ---


async def test_messages_go_on_without_the_ticket_store(
    redis: RedisProcess, own_postgresql: PostgresqlProcess
) -> None:
    async with redis_store_with_tickets(redis.url, own_postgresql.url) as store:
        await resumed(store)
        await asyncio.to_thread(own_postgresql.stop)
        with pytest.raises(StoreUnavailable, match="it does not answer"):
            await store.load_ticket(b"1" * 32, NOW_MS)
        await nothing_is_redeemed(store)
        assert await claim(store, BEN, by_counter(1), NOW_MS)
        # An epoch of a device begins with a message too.
        await store.see_device(CHAIN, NOW_MS)
        own_postgresql.start()
        await store.end(BEN)
        await spent_stays_spent(store)


async def test_a_limit_that_is_reached_gives_the_ticket_back(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url) as store:
        await opened(store, CHAINED)
        await store.end(ADA)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(replace(CHAINED, session_id=BEN, chain_id=b""))
        with pytest.raises(RateLimited):
            await store.open_resumed(replace(AGAIN, caps=SessionCaps(1, 0, NOW_MS)), FIRST_CHAIN)
        assert await tickets_of(store) == [(b"ticket 1", FIRST_CHAIN)]
        assert await tickets_of(store, FAR_MS + 1) == []
        assert await store.load_ticket(b"3" * 32, NOW_MS) is None


# --- what does not go together ---


async def test_no_gateway_runs_without_the_ticket_store_of_the_others(
    redis: RedisProcess, tickets_url: str
) -> None:
    async with redis_store_with_tickets(redis.url, tickets_url):
        with pytest.raises(ConfigError, match="set the same --ticket-store"):
            async with redis_store(redis.url):
                raise AssertionError("it was opened")


async def test_a_gateway_without_the_option_just_after_redis_was_lost(
    redis: RedisProcess, tickets_url: str
) -> None:
    """It starts until a sweep: it takes no ticket of the others, and they take none of it."""
    ticket, other = CHAINED.ticket_hash, b"9" * 32
    async with redis_store_with_tickets(redis.url, tickets_url) as both:
        await opened(both, CHAINED)
        await lost(redis)
        async with redis_store(redis.url) as alone:
            assert await alone.load_ticket(ticket, NOW_MS) is None
            away = replace(CHAINED, chain_id=NOBODY, ticket_hash=other)
            await opened(alone, away)
            assert await alone.load_ticket(other, NOW_MS) is not None
        await both.sweep(NOW_MS)
        assert await both.load_ticket(other, NOW_MS) is None
        assert await both.load_ticket(ticket, NOW_MS) is not None
        with pytest.raises(ConfigError, match="set the same --ticket-store"):
            async with redis_store(redis.url):
                raise AssertionError("it was opened")


async def test_no_redis_that_evicts(redis: RedisProcess, tickets_url: str) -> None:
    with pytest.raises(ConfigError, match="evicts"):
        async with redis_store_with_tickets(f"{redis.url}?eviction=accepted", tickets_url):
            raise AssertionError("it was opened")
