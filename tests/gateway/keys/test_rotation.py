"""New keys for a store that a gateway serves from, by ``certless keys``, and what may go wrong."""

import ast
import asyncio
import base64
import os
import re
import secrets
import shutil
import sqlite3
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis_servers
from consoles import Ran, run_command
from gateways import Running, running
from hardened_gateways import Device, a_code
from opened_stores import sqlite_store
from processes import ROOT, python
from two_gateways import WAYS, log_in, two_gateways

from gateway.clock import system_clock
from gateway.keys.key_file import KeyFile
from gateway.keys.keyring import KeyRing, key_id
from gateway.keys.rotation import PURPOSES, records_by_key, rotate
from gateway.sessions.management import Operators
from gateway.stores import NewCode, Reseal
from gateway.stores.sqlite.store import SqliteStore
from protocol.hardened.handshake_messages import ResumptionServerHello


@dataclass
class Beside:
    """A store with its key file, and a console of the machine."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    store: str

    @property
    def db(self) -> Path:
        return self.folder / "db"

    @property
    def file(self) -> KeyFile:
        return KeyFile(self.folder / "key")

    def certless(self, *arguments: str) -> Ran:
        where = ("--store", self.store, "--key-file", str(self.file.path))
        return run_command(self.capsys, *arguments, *where)

    async def keys(self, *arguments: str) -> Ran:
        return await asyncio.to_thread(self.certless, "keys", *arguments)

    async def listed(self) -> list[tuple[str, int]]:
        """The names of all keys and how many records each seals."""
        ran = await self.keys("list")
        assert (ran.status, ran.err) == (0, "")
        head, *rows = [re.split(r"  +", line) for line in ran.out.splitlines()]
        assert head == ["ID", "RECORDS", "USE"]
        return [(name, int(count)) for name, count, _ in rows]

    def names(self) -> list[str]:
        return [key_id(key) for key in self.file.read()]

    def settle(self) -> None:
        """As if the last change of the key file were a minute ago."""
        before = self.file.path.stat().st_mtime - 60
        os.utime(self.file.path, (before, before))

    def content(self) -> list[str]:
        """All that the store holds."""
        database = sqlite3.connect(self.db)
        try:
            return list(database.iterdump())
        finally:
            database.close()


@pytest.fixture
def beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Beside:
    return Beside(tmp_path, capsys, f"sqlite:{tmp_path / 'db'}")


@pytest.fixture
async def beside_redis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Beside]:
    async with redis_servers.running(tmp_path / "redis") as server:
        yield Beside(tmp_path, capsys, server.url)


@pytest.fixture
async def at(beside: Beside) -> AsyncIterator[Running]:
    async with running(store=beside.store, key_file=beside.file.path) as gateway:
        yield gateway


def test_what_is_sealed_is_known_to_the_rotation() -> None:
    # A purpose that it does not know would be a record that it cannot open.
    used = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("keyring.seal"):
                assert isinstance(node.args[0], ast.Constant), path
                used.add(node.args[0].value)
    assert used == {purpose for purposes in PURPOSES.values() for purpose in purposes}


async def test_everything_that_is_under_way_goes_on(beside: Beside, at: Running) -> None:
    await _everything_goes_on(beside, at)


async def test_everything_that_is_under_way_goes_on_redis(beside_redis: Beside) -> None:
    async with running(store=beside_redis.store, key_file=beside_redis.file.path) as at:
        await _everything_goes_on(beside_redis, at)


async def _everything_goes_on(beside: Beside, at: Running) -> None:
    classic, device = await at.raw_login(), Device(at)
    online = await device.login("ben@example.org")
    greeted = await device.greet("cleo@example.org")
    cleo = await at.mails.code()
    confirming = await device.share(
        await device.greet("dan@example.org"), a_code(await at.mails.code())
    )
    issued = await asyncio.to_thread(beside.certless, "code", "issue", "eve@example.org")
    assert online.ticket
    answer, begun = await device.begin(online.ticket)
    resuming = begun.open(ResumptionServerHello.parse(device.form, answer.body), None)
    (old,) = beside.names()

    ran = await beside.keys("rotate")
    assert (ran.status, ran.out) == (0, "")
    new, last = beside.names()
    assert last == old
    # Two sessions, a chain, a ticket, two logins and their one exchange, a resumption, a code, and
    # the key of user tags.
    assert f"New key {new}; 10 records" in ran.err
    assert await beside.listed() == [(new, 10), (old, 0)]

    assert (await classic.call("POST", "/echo")).status == 200
    assert (await online.call("POST", "/echo")).status == 200
    message, pending = await device.share(greeted, a_code(cleo))
    device.enrolled(await device.send_confirmation(message), pending)
    device.enrolled(await device.send_confirmation(confirming[0]), confirming[1])
    resumed = device.enrolled(await device.send_redemption(resuming[0]), resuming[1])
    assert resumed.ticket
    assert (await (await device.resume(resumed.ticket)).call("POST", "/echo")).status == 200
    await device.login("eve@example.org", issued.out.strip())
    # What came after the rotation is sealed under the new key as well.
    assert (await beside.listed())[1] == (old, 0)


async def test_a_ticket_that_was_redeemed_meanwhile_is_no_chain_that_was_resealed(
    beside: Beside, at: Running
) -> None:
    device = Device(at)
    online = await device.login()
    assert online.ticket
    answer, begun = await device.begin(online.ticket)
    late, _ = begun.open(ResumptionServerHello.parse(device.form, answer.body), None)
    assert (await beside.keys("rotate")).status == 0
    await device.resume(online.ticket)
    assert (await device.send_redemption(late)).status == 403


async def test_an_old_key_is_dropped_once_nothing_needs_it(beside: Beside, at: Running) -> None:
    raw = await at.raw_login()
    shutil.copy(beside.file.path, beside.folder / "key before")
    await asyncio.to_thread(_copy, beside.db, beside.folder / "db before")
    (old,) = beside.names()
    # A gateway that seals just before the new key comes first.
    async with sqlite_store(beside.db) as store:
        late = Operators(store, KeyRing.from_file(beside.folder / "key before"), system_clock)
        await late.tag_of("late@example.org")
        assert (await beside.keys("rotate")).status == 0
        await late.issue_code("late@example.org")
    new = beside.names()[0]
    beside.settle()

    before = beside.file.path.read_bytes()
    for name, words in (
        (old, f"1 records need key {old}: `keys rotate --no-new-key`"),
        (new, "seals new records"),
        ("0" * 12, "see `keys list`"),
    ):
        ran = await beside.keys("drop", name)
        assert (ran.status, ran.out) == (2, "")
        assert words in ran.err
        assert ran.err.count("\n") == 1
    assert beside.file.path.read_bytes() == before

    assert (await beside.keys("rotate", "--no-new-key")).err.startswith("1 records")
    assert (await beside.keys("drop", old)).status == 0
    assert beside.names() == [new]
    assert (await raw.call("POST", "/echo")).status == 200
    # Who has the store of then and the keys of now has nothing.
    async with sqlite_store(beside.folder / "db before") as store:
        counted = await records_by_key(store, KeyRing.from_file(beside.file.path))
        assert dict(counted) == {"": 2}


async def test_a_drop_waits_for_what_was_sealed_before_the_rotation(
    beside: Beside, at: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    await beside.keys("rotate")
    beside.settle()
    old = beside.names()[1]
    with monkeypatch.context() as patched:
        patched.setattr("gateway.keys.rotation.asyncio.sleep", sleep)
        await beside.keys("drop", old)
        await beside.keys("rotate")
        await beside.keys("drop", beside.names()[1])
    assert waited[0] == 0
    assert 0 < waited[1] <= 10


async def test_what_was_sealed_under_the_old_key_meanwhile_is_sealed_anew(beside: Beside) -> None:
    former = KeyRing.from_file(beside.file.path)
    gateway: list[Operators] = []

    class Busy(SqliteStore):
        """A gateway stores what it sealed a moment ago, once all was sealed anew."""

        late = True

        async def reseal(self, reseal: Reseal) -> int:
            changed = await super().reseal(reseal)
            if len(beside.names()) == 2 and self.late:
                self.late = False
                await gateway[0].issue_code("late@example.org")
            return changed

    store = Busy(beside.db)
    await store.open()
    gateway.append(Operators(store, former, system_clock))
    try:
        await gateway[0].tag_of("late@example.org")
        # The tag key, and the code that came late.
        assert (await rotate(store, beside.file)).records == 2
    finally:
        await store.close()
    assert await beside.listed() == [(beside.names()[0], 2), (former.ids[0], 0)]


async def test_a_record_that_no_key_opens_stops_it_before_it_begins(
    beside: Beside, at: Running
) -> None:
    raw = await at.raw_login()
    async with sqlite_store(beside.db) as store:
        code_id = secrets.token_bytes(16)
        lost = KeyRing.ephemeral().seal("issued code", code_id, b"ABCD1234")
        await store.add_codes([NewCode(code_id, lost, system_clock() + 600_000, bytes(16))])
    before, keys = beside.content(), beside.file.path.read_bytes()
    for arguments in (["rotate"], ["rotate", "--no-new-key"]):
        ran = await beside.keys(*arguments)
        assert (ran.status, ran.out) == (1, "")
        assert "no key opens the" in ran.err
        assert ran.err.count("\n") == 1
        assert (beside.content(), beside.file.path.read_bytes()) == (before, keys)
    assert (await beside.listed())[1:] == [("-", 1)]
    assert (await raw.call("POST", "/echo")).status == 200


async def test_a_store_that_fails_leaves_store_and_sealing_key(beside: Beside) -> None:
    async with sqlite_store(beside.db) as store:
        keyring = KeyRing.from_file(beside.file.path)
        for name in ("ann", "ben"):
            await Operators(store, keyring, system_clock).issue_code(name)
    (old,) = beside.names()
    with sqlite3.connect(beside.db) as database:
        database.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON codes BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    database.close()
    before = beside.content()
    ran = await beside.keys("rotate")
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert beside.content() == before
    assert await beside.listed() == [(old, 3), (beside.names()[1], 0)]
    # The new one is of no use and no harm, and can go.
    beside.settle()
    assert (await beside.keys("drop", beside.names()[1])).status == 0
    assert beside.names() == [old]


async def test_keys_of_the_environment(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    monkeypatch.setenv("CERTLESS_KEYS", old)
    async with sqlite_store(beside.db) as store:
        keyring = KeyRing.chosen(None)
        await Operators(store, keyring, system_clock).issue_code("ann")
    store_alone = ("--store", f"sqlite:{beside.db}")

    def keys(*arguments: str) -> Ran:
        return run_command(beside.capsys, "keys", *arguments, *store_alone)

    ran = await asyncio.to_thread(keys, "rotate")
    assert ran.status == 0
    assert "0 records are now sealed with key" in ran.err
    assert "put a new one before this one in CERTLESS_KEYS" in ran.err

    monkeypatch.setenv("CERTLESS_KEYS", f"{new},{old}")
    ran = await asyncio.to_thread(keys, "rotate")
    assert "2 records are now sealed with key" in ran.err
    assert "put a new one before" not in ran.err
    assert "The other keys of CERTLESS_KEYS still open" in ran.err
    assert "remove it from CERTLESS_KEYS" in ran.err
    ran = await asyncio.to_thread(keys, "drop", KeyRing.chosen(None).ids[1])
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "remove it there" in ran.err
    monkeypatch.setenv("CERTLESS_KEYS", new)
    assert re.search(r" +2 +seals", (await asyncio.to_thread(keys, "list")).out)
    assert not beside.file.path.exists()
    # A file that is named beside is a contradiction.
    ran = await beside.keys("list")
    assert (ran.status, ran.err.count("\n")) == (2, 1)


# --- with processes of their own ---


@pytest.mark.parametrize("point", ["file 1", "record 1", "record 20", "committed", "file 2"])
async def test_killed_at_any_point_nothing_is_lost(beside: Beside, at: Running, point: str) -> None:
    raw, online = await at.raw_login(), await Device(at).login("ben@example.org")
    async with sqlite_store(beside.db) as store:
        operators = Operators(store, KeyRing.from_file(beside.file.path), system_clock)
        for number in range(30):
            await operators.issue_code(f"user-{number}")
    total = sum(count for _, count in await beside.listed())

    program = str(ROOT / "tests" / "support" / "stopped_rotation.py")
    arguments = (program, str(beside.db), str(beside.file.path), point)
    async with python(*arguments, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout
        assert await process.stdout.readline() == b"stopped\n"
        process.kill()
        await process.wait()

    async def goes_on() -> None:
        assert (await raw.call("POST", "/echo")).status == 200
        assert (await online.call("POST", "/echo")).status == 200
        counted = await beside.listed()
        assert sum(count for _, count in counted) == total
        assert "-" not in dict(counted)

    await goes_on()
    assert len(beside.names()) == 2
    # And the next one ends as if that had never been.
    assert (await beside.keys("rotate")).status == 0
    assert (await beside.listed())[0] == (beside.names()[0], total)
    for name in beside.names()[1:]:
        beside.settle()
        assert (await beside.keys("drop", name)).status == 0
    await goes_on()


async def test_two_gateways_serve_on_while_keys_are_rotated(beside: Beside) -> None:
    await _two_gateways_serve_on(beside)


async def test_two_gateways_serve_on_while_keys_are_rotated_redis(beside_redis: Beside) -> None:
    await _two_gateways_serve_on(beside_redis)


async def _two_gateways_serve_on(beside: Beside) -> None:
    async with two_gateways(beside.folder, beside.store) as pair:
        sessions = [await log_in(way, pair.a, f"{way}-{n}") for way in WAYS for n in range(2)]
        statuses: list[int | None] = []
        rotated = asyncio.Event()

        async def traffic(number: int) -> None:
            while not rotated.is_set():
                orders = sessions[number % len(sessions)]
                statuses.append(await orders.order().send((pair.a, pair.b)[number // 2 % 2]))

        async def rotation() -> None:
            try:
                for _ in range(4):
                    ran = await beside.keys("rotate")
                    assert ran.status == 0, ran.err
                    # New logins while keys change, too.
                    await log_in("clock", pair.b, f"new-{secrets.token_hex(4)}")
            finally:
                rotated.set()

        await asyncio.gather(rotation(), *(traffic(number) for number in range(8)))
        assert len(statuses) > 50
        assert set(statuses) == {200}
        assert set(pair.ran().values()) == {1}
        for name in beside.names()[1:]:
            beside.settle()
            assert (await beside.keys("drop", name)).status == 0
        assert len(beside.names()) == 1
        for orders in sessions:
            assert [await orders.order().send(one) for one in (pair.a, pair.b)] == [200, 200]
        assert "Traceback" not in pair.logs()


def _copy(source: Path, target: Path) -> None:
    """The store as it is, with what stands in its journal."""
    before, copy = sqlite3.connect(source), sqlite3.connect(target)
    before.backup(copy)
    before.close()
    copy.close()
