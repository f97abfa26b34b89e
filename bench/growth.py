"""Memory and time of a gateway as its sessions grow, on SQLite and on Redis.

For each store and each number of sessions: the store is filled with sessions and tickets as logins
create them, a new gateway starts on one core, and messages are sent to it, each in another session.
Redis and wrk share the other core. The result is CPU time (of the gateway, including its store if
that is a thread of it, and of Redis), because other programs on the machine affect rates much more
than CPU time.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiohttp

from bench.hardened_target import HardenedTarget, seal_order
from bench.load import QUICK_MESSAGES, play
from bench.messages import Bench
from bench.processes import Process
from bench.redis_process import RedisProcess, redis_process
from bench.results import Row, Rows, Size, progress
from gateway.clock import system_clock
from gateway.keys.keyring import KeyRing
from gateway.keys.user_tags import UserTags
from gateway.sessions.hardened import HardenedSessions
from gateway.stores import Store
from gateway.stores.urls import store_from_url
from protocol.hardened.client_session import ClientSession
from protocol.hardened.confirmation import TICKET_LIFETIME_MS, Enrolment
from protocol.hardened.handshake_messages import ServerConfirmation
from protocol.hardened.records import SessionRecord, TicketChain, TicketRecord
from protocol.hardened.suites import DEFAULT_REALM, ECDH_GCM

KINDS = ("SQLite", "Redis")
GROWTH = (1_000, 10_000, 100_000)
QUICK_GROWTH = (10, 20)
ROUNDS = 3
MESSAGES = 5_000
MIB = 1024 * 1024
_LIFETIME_MS = 6 * 3600 * 1000
_AT_ONCE = 256

# What ``fill`` returns of each session.
Client = TypeVar("Client")


def new_session(number: int) -> tuple[Enrolment, ClientSession]:
    """A session and its ticket as both sides keep them, with fresh keys."""
    session_id, name = secrets.token_bytes(16), f"user{number}@example.org"
    c2s, s2c = secrets.token_bytes(32), secrets.token_bytes(32)
    now_ms, suite = system_clock(), ECDH_GCM.name
    expires_ms = now_ms + _LIFETIME_MS
    chain_id, ticket, secret = (
        secrets.token_bytes(16),
        secrets.token_bytes(32),
        secrets.token_bytes(32),
    )
    enrolment = Enrolment(
        SessionRecord(session_id, suite, name, "clock", expires_ms, b"", 0, c2s, s2c),
        TicketRecord(ticket, chain_id, suite, name, secret),
        TicketChain(chain_id, suite, name, now_ms + TICKET_LIFETIME_MS, session_id, b"", ticket),
        None,
        ServerConfirmation(bytes(32), b""),
    )
    return (
        enrolment,
        ClientSession(
            session_id, suite, name, DEFAULT_REALM, "clock", expires_ms, 0, 0, now_ms, c2s, s2c
        ),
    )


async def fill(
    store: Store, keyring: KeyRing, count: int, new: Callable[[int], tuple[Enrolment, Client]]
) -> list[Client]:
    """Put ``count`` sessions that ``new`` makes into ``store``; returns the clients' side."""
    tags = await UserTags(store, keyring).opened()
    sessions = HardenedSessions(store, keyring, tags, (ECDH_GCM.name,))

    async def enrol(number: int) -> Client:
        enrolment, client = new(number)
        record = sessions.new_session(enrolment, enrolment.session.username, system_clock())
        await store.add_handshake(record.session_id, b"spent", record.expires_ms, record.user_tag)
        enrolment.accept(await store.open_login(record))
        return client

    clients: list[Client] = []
    while len(clients) < count:
        batch = range(len(clients), min(len(clients) + _AT_ONCE, count))
        clients += await asyncio.gather(*map(enrol, batch))
    return clients


class GrownTarget(HardenedTarget):
    """A gateway with existing sessions; each message belongs to another one."""

    def __init__(
        self, server: Process, http: aiohttp.ClientSession, clients: list[ClientSession]
    ) -> None:
        super().__init__(server, http, ECDH_GCM.name)
        self._clients = clients

    async def open_session(self) -> ClientSession:
        return self._clients[0]

    async def corpus(self, count: int) -> Iterator[bytes]:
        chosen = random.choices(self._clients, k=count)  # noqa: S311 (which one is no secret)
        return (seal_order(client)[0].serialize("msgpack") for client in chosen)


def file_bytes(folder: Path, count: int) -> int:
    """The file of SQLite, and those beside it."""
    return sum(file.stat().st_size for file in folder.glob(f"{count}.db*"))


@dataclass(frozen=True, slots=True)
class Grown:
    """A gateway with a store of ``sessions`` sessions."""

    target: GrownTarget
    redis: RedisProcess | None
    stored_mib: float

    async def play(self, row: Row, messages: int) -> None:
        before_s = self.redis.cpu_s() if self.redis else 0.0
        sample = await play(self.target, messages)
        redis_s = self.redis.cpu_s() - before_s if self.redis else 0.0
        redis_us = redis_s / sample.answered * 1e6
        row.add(
            sample.fault,
            cpu_us=sample.cpu_us,
            redis_us=redis_us,
            total_us=sample.cpu_us + redis_us,
            stored_mib=self.stored_mib,
            resident_mib=self.target.server.resident_bytes() / MIB,
        )


async def grow(one: Bench, kind: str, count: int) -> Grown:
    """A store with ``count`` sessions and a gateway that works on it."""
    key_file = one.folder / f"{kind}-{count}.key"
    keyring = KeyRing.from_file(key_file)
    redis = None
    if kind == "Redis":
        redis = await one.stack.enter_async_context(redis_process(one.load_core))
        url = redis.url
    else:
        url = f"sqlite:{one.folder / f'{count}.db'}"
    store = store_from_url(url)
    await store.open()
    empty = await redis.used_bytes() if redis else 0
    clients = await fill(store, keyring, count, new_session)
    await store.close()
    stored = await redis.used_bytes() - empty if redis else file_bytes(one.folder, count)
    own = ("--store", url, "--key-file", str(key_file), "--key-pool-size=1")
    server = await one.python("bench.server", "--certless", *own)
    server.wait_until_idle()
    progress(f"{kind}: {count:,} sessions")
    return Grown(GrownTarget(server, one.http, clients), redis, stored / MIB)


async def growth(one: Bench, size: Size) -> Rows:
    """The CPU time of a message and the memory, by the number of sessions."""
    grown = {
        f"{kind}, {count:,} sessions": await grow(one, kind, count)
        for kind in KINDS
        for count in (QUICK_GROWTH if size.quick else GROWTH)
    }
    rows = {name: Row() for name in grown}
    for number in range(size.of(ROUNDS, 1)):
        for name, one_grown in grown.items():
            await one_grown.play(rows[name], size.of(MESSAGES, QUICK_MESSAGES))
            progress(f"round {number + 1}: {name}: {rows[name].figures['total_us'][-1]:.0f} us")
    return rows
