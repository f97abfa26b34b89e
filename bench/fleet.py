"""1,000 devices that all resume when a gateway has started again.

The devices are the real client in C, all in one process (bench/fleet.c), on one core. The gateway
is ``serve`` with ``ecdh-gcm`` on the other one; nginx and Redis share the core of the devices. Each
device opens three connections: two for its resumption and one for a message. Its first message is
made before, so the devices need little time of their own; ``note`` says how much.
"""

import asyncio
import json
import secrets
import subprocess
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bench.growth import MIB, fill, new_session
from bench.messages import Bench
from bench.nginx import nginx
from bench.processes import Process, pinned, started
from bench.redis_process import free_port, redis_process
from bench.results import ROOT, Row, Rows, Size, progress
from gateway.keys.keyring import KeyRing
from gateway.stores.urls import store_from_url
from protocol.hardened.confirmation import Enrolment
from protocol.hardened.records import ticket_hash

DEVICES = 1000
ROUNDS = 3
# A gateway that does not run for this time, while the devices try.
AWAY_S = 20
_PATIENCE_S = 300
_WITHIN_S = 400
_FIRST_ADDRESS = IPv4Address("127.1.0.1")
_PROGRAM = "client_c/build/release/bench_fleet"


@dataclass(frozen=True, slots=True)
class Plant:
    """What a row is about. ``one_address``: all devices are behind one NAT.

    ``tickets``: they are in a ticket store beside Redis; ``emptied``: Redis has lost its data.
    """

    store: str = "SQLite"
    tickets: bool = False
    emptied: bool = False
    one_address: bool = False
    options: tuple[str, ...] = ()
    away: bool = False


PLANTS = {
    "SQLite": Plant(),
    "Redis": Plant("Redis"),
    "Redis and a ticket store in SQLite": Plant("Redis", tickets=True),
    "the same, and Redis has lost its data": Plant("Redis", tickets=True, emptied=True),
    "one address, default limits": Plant(one_address=True),
    "one address, `5000 per 15 minutes`": Plant(
        one_address=True, options=("--resumptions-per-address", "5000 per 15 minutes")
    ),
    f"the gateway was away for {AWAY_S} s": Plant(away=True),
}


def built() -> str:
    """The program of the devices."""
    target = _PROGRAM.removeprefix("client_c/")
    subprocess.run(["make", "--silent", "-C", "client_c", target], check=True, cwd=ROOT)
    return str(ROOT / _PROGRAM)


def new_device(number: int) -> tuple[Enrolment, str]:
    """A device with a session and a ticket as the gateway keeps it, and what the device keeps."""
    made, _ = new_session(number)
    ticket, secret = secrets.token_bytes(16), secrets.token_bytes(32)
    assert made.ticket is not None
    assert made.chain is not None
    kept = ticket_hash(ticket)
    enrolment = Enrolment(
        made.session,
        replace(made.ticket, ticket_hash=kept, secret=secret),
        replace(made.chain, next=kept),
        None,
        made.accept(stored=True),
    )
    return enrolment, f"{made.session.username} {ticket.hex()} {secret.hex()}"


async def new_devices(
    url: str, key_file: Path, count: int, ticket_store: str | None = None
) -> list[str]:
    """``count`` devices in the store at ``url``."""
    store = store_from_url(url, ticket_store=ticket_store)
    await store.open()
    try:
        return await fill(store, KeyRing.from_file(key_file), count, new_device)
    finally:
        await store.close()


class Devices:
    """The process of the devices."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, core: int, file: Path) -> "Devices":
        """The devices in ``file``, when their first messages are made."""
        command = pinned(core, built(), str(file), str(_PATIENCE_S))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        assert process.stdout is not None
        async with asyncio.timeout(_WITHIN_S):
            assert await process.stdout.readline() == b"ready\n"
        return cls(process)

    def begin(self, port: int) -> None:
        """All of them, now."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"127.0.0.1 {port}\n".encode())

    async def results(self) -> dict[str, Any]:
        """What happened, when all have ended."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                out, _ = await self._process.communicate()
        finally:
            if self._process.returncode is None:
                self._process.kill()
        found: dict[str, Any] = json.loads(out)
        return found


@contextmanager
def serving(one: Bench, upstream: str, port: int, *options: str) -> Iterator[Process]:
    """``serve`` on ``port`` when it listens; it need not be idle."""
    where = ("--listen", f"127.0.0.1:{port}", "--upstream", upstream, "--suites", "ecdh-gcm")
    users = ("--any-address", "--mail", f"dir:{one.folder}")
    with started("gateway", "serve", *where, *users, *options, core=one.core) as process:
        yield process


def note(found: dict[str, Any]) -> str:
    """The errors by kind, and the CPU time of the devices."""
    kinds = [
        f"{count} {name.replace('_', ' ')}" for name, count in found["errors"].items() if count
    ]
    if found["stopped"]:
        kinds.append(
            f"to come back after {found['least_wait_s']:.0f} to {found['most_wait_s']:.0f} s"
        )
    return "; ".join([*kinds, f"devices: {found['cpu_s']:.1f} s of CPU"])


async def one_round(one: Bench, size: Size, plant: Plant, upstream: str, url: str) -> Row:
    """A new gateway with a store of its own, and all devices."""
    count, port = size.of(DEVICES, 20), free_port()
    key_file, file = one.folder / "fleet.key", one.folder / "devices"
    ticket_store = f"sqlite:{one.folder / secrets.token_hex(8)}.db" if plant.tickets else None
    lines = await new_devices(url, key_file, count, ticket_store)
    if plant.emptied:
        async with Redis.from_url(url) as redis:
            await redis.flushall()
    addresses = [_FIRST_ADDRESS + (0 if plant.one_address else n) for n in range(count)]
    file.write_text("".join(f"{a} {line}\n" for a, line in zip(addresses, lines, strict=True)))
    devices = await Devices.start(one.load_core, file)
    away_s = size.of(AWAY_S, 2) if plant.away else 0
    if away_s:
        devices.begin(port)
        await asyncio.sleep(away_s)
    began_s = time.monotonic()
    own = ["--store", url, "--key-file", str(key_file), *plant.options]
    if ticket_store:
        own += ["--ticket-store", ticket_store]
    with serving(one, upstream, port, *own) as server:
        idle_mib, before_s, listens_s = (
            server.resident_bytes() / MIB,
            server.cpu_s(),
            time.monotonic(),
        )
        if not away_s:
            devices.begin(port)
        found = await devices.results()
        cpu_s, peak_mib = server.cpu_s() - before_s, server.peak_mib()
    # If the devices began before the gateway, their clocks show it.
    shift_s = away_s + listens_s - began_s if away_s else 0.0
    errors = found["errors"]
    row = Row(note=note(found))
    row.add(
        "" if found["sent"] + found["stopped"] == count else "a device has not sent its message",
        sessions=found["sessions"],
        session_s=found["session_s"] - shift_s,
        median_s=found["median_s"] - shift_s,
        sent_s=found["sent_s"] - shift_s,
        limited=errors["limited"],
        errors=sum(errors.values()) - errors["limited"],
        cpu_ms=cpu_s / max(found["sent"], 1) * 1000,
        idle_mib=idle_mib,
        peak_mib=peak_mib,
    )
    return row


async def fleet(one: Bench, size: Size) -> Rows:
    """Each plant, in turn."""
    upstream = await one.stack.enter_async_context(nginx(one.folder, one.load_core))
    rows: Rows = {}
    for number in range(size.of(ROUNDS, 1)):
        for name, plant in PLANTS.items():
            async with redis_process(one.load_core) as redis:
                db = one.folder / f"{secrets.token_hex(8)}.db"
                url = redis.url if plant.store == "Redis" else f"sqlite:{db}"
                made = await one_round(one, size, plant, upstream, url)
            kept = rows.setdefault(name, made)
            if kept is not made:
                kept.add(made.fault, **{key: values[0] for key, values in made.figures.items()})
                kept.note = made.note
            progress(f"round {number + 1}: {name}: {made.figures['sent_s'][0]:.1f} s; {made.note}")
    return rows
