"""Devices whose gateways keep tickets in a database beside Redis: real processes, all of them.

Redis is killed, a gateway is killed, the database is put back; what is spent or revoked stays so.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hardened_gateways import Device, Online
from postgresql_servers import PostgresqlProcess
from processes import python
from redis_gate import RedisGate, redis_gate
from redis_servers import RedisProcess, running
from two_gateways import Pair, two_gateways

from gateway.stores.tickets import history
from protocol.hardened.client_session import ClientTicket
from protocol.hardened.handshake_messages import ResumptionServerHello


@dataclass
class Plant:
    """Two gateways, their Redis behind an address, and their ticket store."""

    redis: RedisProcess
    gate: RedisGate
    tickets: str
    folder: Path
    stack: AsyncExitStack
    pair: Pair = field(init=False)

    async def start(self) -> None:
        options = ("--ticket-store", self.tickets)
        self.pair = await self.stack.enter_async_context(
            two_gateways(self.folder, self.gate.url, *options)
        )

    async def lose_redis(self) -> None:
        self.redis.kill()
        await self.redis.start()

    async def command(self, *arguments: str) -> tuple[int | None, str]:
        """The status of ``certless`` with these stores, and what it prints."""
        stores = ("--store", self.gate.url, "--ticket-store", self.tickets)
        keys = ("--key-file", str(self.folder / "key"))
        pipe = asyncio.subprocess.PIPE
        given = ("-m", "gateway", *arguments, *stores, *keys)
        async with python(*given, stdout=pipe, stderr=asyncio.subprocess.STDOUT) as process:
            async with asyncio.timeout(60):
                output, _ = await process.communicate()
        return process.returncode, output.decode()


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new ticket store."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: PostgresqlProcess = request.getfixturevalue("postgresql_server")
        yield server.emptied()
        return
    file = tmp_path / "tickets.db"
    yield f"sqlite:{file}"
    for one in memories(file):
        one.unlink(missing_ok=True)


BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def memories(file: Path) -> list[Path]:
    """The memory of the machine for this file."""
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as connection:
        (generation,) = connection.execute(
            "SELECT generation FROM certless_ticket_fence"
        ).fetchone()
    return [history.MEMORY / f"certless-tickets-{generation}"]


@pytest.fixture
async def plant(tmp_path: Path, database: str) -> AsyncIterator[Plant]:
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(running(tmp_path / "redis"))
        gate = await stack.enter_async_context(redis_gate(redis.port))
        plant = Plant(redis, gate, database, tmp_path, stack)
        await plant.start()
        yield plant


def ticket_of(online: Online) -> ClientTicket:
    assert online.ticket
    return online.ticket


async def status_of(online: Online) -> int:
    """The status of one message."""
    return (await online.send(online.seal("POST", "/orders", b'{"id": "x"}')[0])).status


async def is_refused(device: Device, ticket: ClientTicket) -> bool:
    answer, begun = await device.begin(ticket)
    if answer.status == 200:
        greeting = ResumptionServerHello.parse(device.form, answer.body)
        answer = await device.send_redemption(begun.open(greeting, device.public_key)[0])
    assert answer.status in (200, 403), answer
    return answer.status == 403


@BOTH
async def test_devices_resume_after_redis_was_killed(plant: Plant) -> None:
    at_a, at_b = Device(plant.pair.a), Device(plant.pair.b)
    names = [f"fan-{number}@example.org" for number in range(5)]
    online = [await at_a.login(name) for name in names]
    tickets = [ticket_of(one) for one in online]
    await plant.lose_redis()
    for one in online:
        assert await status_of(one) == 403
    for ticket in tickets:
        again = await at_b.resume(ticket)
        assert await status_of(again) == 200


@BOTH
async def test_a_spent_ticket_revokes_its_chain_after_redis_was_killed(plant: Plant) -> None:
    device = Device(plant.pair.a)
    stolen = ticket_of(await device.login())
    second = ticket_of(await device.resume(stolen))
    third = ticket_of(await device.resume(second))
    await plant.lose_redis()
    online = await device.resume(third)
    assert await status_of(online) == 200
    assert await is_refused(Device(plant.pair.b), stolen)
    assert "a used ticket was used again" in plant.pair.logs()
    assert await status_of(online) == 403
    await plant.lose_redis()
    for ticket in (stolen, second, third, ticket_of(online)):
        assert await is_refused(device, ticket)


async def test_a_chain_that_an_operator_revoked_stays_revoked(plant: Plant) -> None:
    device = Device(plant.pair.a)
    ticket = ticket_of(await device.login())
    status, listed = await plant.command("tickets", "list")
    assert status == 0, listed
    chain = listed.splitlines()[1].split()[0]
    status, text = await plant.command("tickets", "revoke", chain)
    assert status == 0, text
    assert await is_refused(device, ticket)
    # An operator who forgets the ticket store would revoke nothing.
    keys = ("--key-file", str(plant.folder / "key"))
    async with python(
        *("-m", "gateway", "tickets", "list", "--store", plant.gate.url, *keys),
        stderr=asyncio.subprocess.PIPE,
    ) as process:
        _, error = await process.communicate()
    assert process.returncode == 2
    assert b"set the same --ticket-store" in error
    await plant.lose_redis()
    assert await is_refused(device, ticket)


async def test_a_failover_to_an_empty_replica(plant: Plant) -> None:
    device = Device(plant.pair.a)
    online = await device.login()
    async with running(plant.folder / "replica") as replica:
        plant.gate.lead_to(replica.port)
        plant.redis.kill()
        again = await device.resume(ticket_of(online))
        assert await status_of(again) == 200
        last = await Device(plant.pair.b).resume(ticket_of(again))
        assert await status_of(last) == 200
        # By now this one is spent.
        assert await is_refused(device, ticket_of(online))
        assert await is_refused(device, ticket_of(last))


@BOTH
async def test_a_gateway_that_is_killed_between_claim_and_session(plant: Plant) -> None:
    at_a, at_b = Device(plant.pair.a), Device(plant.pair.b)
    before = await at_a.login()
    ticket = ticket_of(before)
    plant.gate.hold("open_redeemed")
    lost = asyncio.create_task(at_a.redeem(ticket))
    async with asyncio.timeout(20):
        # The ticket store has claimed the ticket; Redis does not hear of it.
        await plant.gate.has_held.wait()
    await plant.pair.a.kill()
    await asyncio.gather(lost, return_exceptions=True)
    plant.gate.pass_all()
    online = await at_b.resume(ticket)
    assert await status_of(online) == 200
    before.device = at_b
    assert await status_of(before) == 403
    status, listed = await plant.command("sessions", "list")
    assert status == 0, listed
    assert len(listed.splitlines()) == 2
    assert await status_of(await at_b.resume(ticket_of(online))) == 200
    assert await is_refused(at_b, ticket)


@BOTH
async def test_of_redemptions_at_both_gateways_one_stands(plant: Plant) -> None:
    both = (Device(plant.pair.a), Device(plant.pair.b))
    ticket = ticket_of(await both[0].login())
    for _ in range(5):
        begun = []
        for device in both * 3:
            answer, pending = await device.begin(ticket)
            greeting = ResumptionServerHello.parse(device.form, answer.body)
            begun.append((device, *pending.open(greeting, device.public_key)))
        answers = await asyncio.gather(*(device.send_redemption(m) for device, m, _ in begun))
        assert sorted(answer.status for answer in answers) == [200] + [403] * 5
        won = [answer.status for answer in answers].index(200)
        device, _, confirmation = begun[won]
        online = device.enrolled(answers[won], confirmation)
        assert await status_of(online) == 200
        ticket = ticket_of(online)


async def test_a_ticket_store_that_was_put_back_is_closed(plant: Plant) -> None:
    device = Device(plant.pair.a)
    spent = ticket_of(await device.login())
    file, backup = plant.folder / "tickets.db", plant.folder / "backup.db"
    with closing(sqlite3.connect(file)) as here, closing(sqlite3.connect(backup)) as there:
        here.backup(there)
    second = ticket_of(await device.resume(spent))
    online = await device.resume(second)
    with closing(sqlite3.connect(backup)) as here, closing(sqlite3.connect(file)) as there:
        here.backup(there)

    answer, _ = await device.redeem(spent)
    assert answer.status == 503
    assert "is it a restored backup" in plant.pair.logs()
    assert await status_of(online) == 200
    serve = ("serve", "--any-address", "--mail", "console:", "--listen", "127.0.0.1:0")
    for command in (("tickets", "accept"), (*serve, "--upstream", "http://127.0.0.1:9")):
        status, text = await plant.command(*command)
        assert status == 2, text
        assert "is it a restored backup" in text
        assert "`certless tickets forget` deletes all tickets" in text
    status, text = await plant.command("tickets", "forget")
    assert status == 0, text
    assert await is_refused(device, spent)
    assert await is_refused(device, ticket_of(online))
    assert await status_of(await device.resume(ticket_of(await device.login()))) == 200


async def test_both_were_restarted_and_the_operator_accepts(plant: Plant) -> None:
    device = Device(plant.pair.a)
    ticket = ticket_of(await device.login())
    for one in memories(plant.folder / "tickets.db"):
        one.unlink()
    await plant.lose_redis()
    answer, _ = await device.redeem(ticket)
    assert answer.status == 503
    assert "`certless tickets accept` uses them again" in plant.pair.logs()
    status, text = await plant.command("tickets", "accept")
    assert (status, text) == (0, "The tickets are used again.\n")
    online = await device.resume(ticket)
    assert await status_of(online) == 200
    status, text = await plant.command("tickets", "accept")
    assert (status, text) == (0, "The tickets are in use: all is well.\n")
