"""Memory and time of a gateway as its sessions grow, on SQLite and on Redis.

``python -m bench.growth [PICTURE.png]``

For each store and each number of sessions: the store is filled with sessions and tickets as logins
create them, a new gateway starts on one core, and messages are sent to it, each in another session.
Redis and wrk share the other core. The result is CPU time (of the gateway, including its store if
that is a thread of it, and of Redis), because other programs on the machine affect rates much more
than CPU time. The rounds of all rows are interleaved, and a figure is the median of its rounds. A
row in which any message was refused is invalid.
"""

import asyncio
import os
import random
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
from matplotlib import pyplot

from bench.hardened_target import HardenedTarget, seal_order
from bench.redis_process import RedisProcess, redis_process
from bench.run import KIB, Sample, cores, play
from bench.targets import Server, python
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
ROUNDS = 5
ROUND_S = 3
MESSAGES = 18_000
AIM = 1.1
_LIFETIME_MS = 6 * 3600 * 1000
_AT_ONCE = 256


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


async def fill(store: Store, keyring: KeyRing, count: int) -> list[ClientSession]:
    """Put ``count`` sessions into ``store``; returns the clients' side."""
    tags = await UserTags(store, keyring).opened()
    sessions = HardenedSessions(store, keyring, tags, (ECDH_GCM.name,))

    async def enrol(number: int) -> ClientSession:
        enrolment, client = new_session(number)
        record = sessions.new_session(enrolment, enrolment.session.username, system_clock())
        await store.add_handshake(record.session_id, b"spent", record.expires_ms, record.user_tag)
        enrolment.accept(await store.open_login(record))
        return client

    clients: list[ClientSession] = []
    while len(clients) < count:
        batch = range(len(clients), min(len(clients) + _AT_ONCE, count))
        clients += await asyncio.gather(*map(enrol, batch))
    return clients


class GrownTarget(HardenedTarget):
    """A gateway with existing sessions; each message belongs to another one."""

    def __init__(
        self, server: Server, http: aiohttp.ClientSession, clients: list[ClientSession]
    ) -> None:
        super().__init__(server, http, ECDH_GCM.name)
        self._clients = clients

    async def corpus(self, count: int) -> Iterator[bytes]:
        chosen = random.choices(self._clients, k=count)  # noqa: S311 (which one is no secret)
        return (seal_order(client)[0].serialize("msgpack") for client in chosen)


@dataclass(slots=True)
class GrownRow:
    """One store with one number of sessions."""

    store: str
    sessions: int
    target: GrownTarget
    redis: RedisProcess | None
    stored_bytes: int
    started_bytes: int
    samples: list[Sample] = field(default_factory=list)
    redis_us: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    @property
    def cpu_us(self) -> float:
        return median(sample.cpu_us for sample in self.samples)

    @property
    def store_us(self) -> float:
        return median(self.redis_us) if self.redis_us else 0.0

    @property
    def total_us(self) -> float:
        """CPU time of a message, in gateway and store."""
        return self.cpu_us + self.store_us

    @property
    def fault(self) -> str:
        return "; ".join(sorted({sample.fault for sample in self.samples} - {""}))

    async def play(self) -> None:
        before_s = self.redis.cpu_s() if self.redis else 0.0
        sample = await play(self.target, MESSAGES, ROUND_S)
        self.samples.append(sample)
        self.resident.append(self.target.server.resident_bytes())
        if self.redis:
            answered = sample.rate * ROUND_S
            self.redis_us.append((self.redis.cpu_s() - before_s) / answered * 1e6)


def file_bytes(folder: Path, count: int) -> int:
    """The file of SQLite, and those beside it."""
    return sum(file.stat().st_size for file in folder.glob(f"{count}.db*"))


async def grow(
    stack: AsyncExitStack,
    folder: Path,
    kind: str,
    count: int,
    http: aiohttp.ClientSession,
    core: int,
    load_core: int,
) -> GrownRow:
    """A store with ``count`` sessions and a gateway on ``core`` that works on it."""
    key_file = folder / f"{kind}-{count}.key"
    keyring = KeyRing.from_file(key_file)
    redis = None
    if kind == "Redis":
        redis = await stack.enter_async_context(redis_process(load_core))
        url = redis.url
    else:
        url = f"sqlite:{folder / f'{count}.db'}"
    store = store_from_url(url)
    await store.open()
    empty = await redis.used_bytes() if redis else 0
    clients = await fill(store, keyring, count)
    await store.close()
    stored = await redis.used_bytes() - empty if redis else file_bytes(folder, count)
    command = python(
        "bench.server",
        "--certless",
        "--store",
        url,
        "--key-file",
        str(key_file),
        "--key-pool-size=1",
    )
    server = await Server.start(core, command)
    stack.push_async_callback(server.stop)
    await server.wait_until_idle()
    print(f"{kind}: {count:,} sessions", file=sys.stderr)
    return GrownRow(
        kind, count, GrownTarget(server, http, clients), redis, stored, server.resident_bytes()
    )


def print_table(rows: list[GrownRow]) -> None:
    print("| store | sessions | CPU µs a message (gateway + Redis) | to 1,000 | store | gateway |")
    print("|---|--:|--:|--:|--:|--:|")
    for row in rows:
        first = next(other for other in rows if other.store == row.store)
        spent = f"{row.cpu_us:,.0f}" + (f" + {row.store_us:,.0f}" if row.redis else "")
        ratio = f"{row.total_us / first.total_us:.2f}"
        stored, resident = row.stored_bytes / KIB**2, median(row.resident) / KIB**2
        figures = f"{spent} | {ratio} | {stored:,.1f} MiB | {resident:,.0f} MiB"
        print(
            f"| {row.store} | {row.sessions:,} | "
            + (f"VOID: {row.fault} | | | |" if row.fault else f"{figures} |")
        )
    worst = max(
        row.total_us / next(r for r in rows if r.store == row.store).total_us for row in rows
    )
    print(f"\nPer message at most {worst:.2f} of what 1,000 sessions take (aim: {AIM}).")


def draw(rows: list[GrownRow], path: Path) -> None:
    """The table as a chart: the cost of a message, and the memory of sessions."""
    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for kind, color in (("SQLite", "tab:green"), ("Redis", "tab:red")):
        grown = [row for row in rows if row.store == kind]
        sessions = [row.sessions for row in grown]
        time.plot(sessions, [row.total_us for row in grown], "o-", color=color, label=kind)
        stored = [row.stored_bytes / KIB**2 for row in grown]
        resident = [median(row.resident) / KIB**2 for row in grown]
        memory.plot(sessions, stored, "o-", color=color, label=f"{kind}: the store")
        memory.plot(sessions, resident, "s--", color=color, label=f"{kind}: the gateway")
    time.set(title="CPU time of a message", ylabel="µs, gateway and Redis")
    time.set_ylim(bottom=0)
    memory.set(title="Memory, and the file of SQLite", ylabel="MiB")
    for axes in (time, memory):
        axes.set(xscale="log", xlabel="open sessions")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)


async def growth(path: Path | None) -> None:
    """The table, printed; the picture, written."""
    core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="certless-growth-")))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        rows = [
            await grow(stack, folder, kind, count, http, core, load_core)
            for kind in KINDS
            for count in GROWTH
        ]
        for number in range(ROUNDS):
            for row in rows:
                await row.play()
                print(
                    f"round {number + 1}: {row.store} {row.sessions:,}: {row.samples[-1]}",
                    file=sys.stderr,
                )
    print_table(rows)
    if path:
        draw(rows, path)


if __name__ == "__main__":
    asyncio.run(growth(Path(sys.argv[1]) if sys.argv[1:] else None))
