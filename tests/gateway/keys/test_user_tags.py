"""User tags: what a dump of a store or a log tells to somebody who has a list of addresses."""

import asyncio
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import redis_servers
from gateways import InProcess, Running, running
from hardened_gateways import Device

from gateway.errors import ConfigError
from gateway.keys.key_file import KeyFile
from gateway.keys.keyring import KeyRing
from gateway.keys.rotation import rotate
from gateway.keys.user_tags import UserTags
from gateway.sessions.management import Operators
from gateway.stores import Store
from gateway.stores.memory.store import MemoryStore
from gateway.stores.sqlite.store import SqliteStore
from protocol.common.primitives import sha256

ANN, BEN = "ann@example.org", "ben@example.org"


def plain_tag(user: str) -> bytes:
    """What anybody can compute, and what version 0.1.0 kept."""
    return sha256(b"user\x00" + user.encode())[:16]


def plain_counter(limit: str, who: str) -> bytes:
    """The same for a counter: ``limits`` writes its key like this."""
    return sha256(f"limit\x00LIMITER/{limit}/{who}/100/1/hour".encode())[:16]


def assembled(at: Running) -> UserTags:
    assert isinstance(at, InProcess)
    return at.assembly.tags


async def tags_of(store: Store, keyring: KeyRing) -> UserTags:
    return await UserTags(store, keyring).opened()


async def test_a_list_of_addresses_unmasks_nothing(tmp_path: Path) -> None:
    path, audit = tmp_path / "db", tmp_path / "audit.log"
    async with running(
        store=f"sqlite:{path}", audit=audit, logins_per_address="100 per hour"
    ) as at:
        await Device(at).login(ANN)
        await at.raw_login(BEN)
        tags = assembled(at)
        dump = "".join(sqlite3.connect(path).iterdump()).lower()
        lines = audit.read_text()
        for user in (ANN, BEN):
            # There is something to unmask, and it takes the key.
            assert tags.of(user).hex() in dump
            assert tags.of(user).hex() in lines
            assert plain_tag(user).hex() not in dump + lines
        assert tags.of_counter("LIMITER/logins_per_address/127.0.0.1/100/1/hour").hex() in dump
        assert plain_counter("logins_per_address", "127.0.0.1").hex() not in dump


def test_tags_differ_by_user_and_by_deployment() -> None:
    async def made() -> list[UserTags]:
        return [await tags_of(MemoryStore(), KeyRing.ephemeral()) for _ in range(2)]

    here, there = asyncio.run(made())
    assert len({one.of(user) for one in (here, there) for user in (ANN, BEN)}) == 4
    assert here.of(ANN) == here.of(ANN)
    assert here.of_counter(ANN) not in (here.of(ANN), there.of_counter(ANN))


async def test_tags_stay_over_restarts_and_rotations(tmp_path: Path) -> None:
    path, file = tmp_path / "db", tmp_path / "key"
    found = set()
    for _ in range(3):
        async with running(store=f"sqlite:{path}", key_file=file) as at:
            found.add(assembled(at).of(ANN))
            assert isinstance(at, InProcess)
            await rotate(at.assembly.store, KeyFile(file))
            await at.assembly.sweep()
            found.add(assembled(at).of(ANN))
    # The first key is not needed any more, and is not there.
    file.write_text(file.read_text().splitlines()[0] + "\n")
    async with running(store=f"sqlite:{path}", key_file=file) as at:
        found.add(assembled(at).of(ANN))
    assert len(found) == 1


async def test_a_store_of_another_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    async with running(store=f"sqlite:{path}", key_file=tmp_path / "key"):
        pass
    KeyFile(tmp_path / "another").make()
    with pytest.raises(ConfigError, match="sealed with another key than key file"):
        async with running(store=f"sqlite:{path}", key_file=tmp_path / "another"):
            pass


async def test_a_tag_that_comes_before_the_key_is_a_mistake_of_ours() -> None:
    with pytest.raises(RuntimeError, match="before open"):
        UserTags(MemoryStore(), KeyRing.ephemeral()).of(ANN)


async def test_a_file_of_an_earlier_version_keeps_all_that_users_have(tmp_path: Path) -> None:
    path, key_file = tmp_path / "db", tmp_path / "key"
    options: dict[str, Any] = {
        "store": f"sqlite:{path}",
        "key_file": key_file,
        "mail_limit": 1,
    }
    async with running(**options) as at:
        device = Device(at)
        online = await device.login(ANN)
        classic = await at.raw_login(BEN)
        tags = {assembled(at).of(user): plain_tag(user) for user in (ANN, BEN, "cleo@example.org")}
        assert isinstance(at, InProcess)
        operators = Operators(at.assembly.store, KeyRing.from_file(key_file), at.clock)
        issued = await operators.issue_code("cleo@example.org")
    _as_before(path, tags)

    async with running(**options) as at:
        device.at = online.device.at = at
        assert isinstance(at, InProcess)
        assert assembled(at).of(ANN) in tags
        dump = "".join(sqlite3.connect(path).iterdump()).lower()
        assert not any(plain.hex() in dump for plain in tags.values())
        classic.at = at
        assert (await classic.call("POST", "/echo")).status == 200
        assert online.ticket
        resumed = await device.resume(online.ticket)
        assert (await resumed.call("POST", "/echo")).status == 200
        await device.login("cleo@example.org", issued.text)
        # The mail of before is counted: a second one does not go out.
        await device.greet(ANN)
        await device.greet("dan@example.org")
        await at.mails.code()
        assert at.mails.mails.empty()
        operators = Operators(at.assembly.store, KeyRing.from_file(key_file), at.clock)
        assert [await operators.end_user(user) for user in (ANN, BEN)] == [1, 1]


def _as_before(path: Path, tags: dict[bytes, bytes]) -> None:
    """Make the file one of the version before, in which tags had no key."""
    with sqlite3.connect(path) as database:
        for table in ("sessions", "handshakes", "chains", "codes", "mails"):
            for keyed, plain in tags.items():
                database.execute(
                    f"UPDATE {table} SET user_tag = ? WHERE user_tag = ?",  # noqa: S608
                    (plain, keyed),
                )
        database.execute("DROP TABLE tag_keys")
        database.executescript(
            "ALTER TABLE codes RENAME TO later;"
            "CREATE TABLE codes ("
            " user_tag BLOB PRIMARY KEY, id BLOB NOT NULL, sealed BLOB NOT NULL,"
            " expires_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
            "INSERT INTO codes SELECT user_tag, id, sealed, expires_ms, attempts FROM later;"
            "DROP TABLE later;"
            "ALTER TABLE chains DROP COLUMN seen_ms;"
            "ALTER TABLE chains DROP COLUMN revoked;"
        )
        database.execute("PRAGMA user_version = 3")
    database.close()


async def test_gateways_that_open_one_store_at_once_have_the_same_tags(tmp_path: Path) -> None:
    keyring = KeyRing.ephemeral()
    stores = [SqliteStore(tmp_path / "db") for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    found = await asyncio.gather(*(tags_of(store, keyring) for store in stores))
    assert len({tags.of(ANN) for tags in found}) == 1
    await asyncio.gather(*(store.close() for store in stores))


async def test_after_redis_has_lost_all_the_tags_are_the_same(tmp_path: Path) -> None:
    async with redis_servers.running(tmp_path / "redis") as server:
        audit = tmp_path / "audit.log"
        options: dict[str, Any] = {"store": server.url, "key_file": tmp_path / "key"}
        async with running(**options, audit=audit) as at:
            await Device(at).login(ANN)
            async with server.client() as client:
                await client.flushall()
            await Device(at).login(ANN)
            assert isinstance(at, InProcess)
            await at.assembly.sweep()
            await Device(at).login(ANN)
            async with running(**options) as other:
                assert assembled(other).of(ANN) == assembled(at).of(ANN)
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        assert len({line["user"] for line in lines if "user" in line}) == 1


# --- the key file that does not belong to the store ---


@pytest.mark.parametrize("has_users", [False, True])
async def test_a_mistyped_key_file_is_refused_and_not_made(tmp_path: Path, has_users: bool) -> None:
    options: dict[str, Any] = {"store": f"sqlite:{tmp_path / 'db'}"}
    right, mistyped = tmp_path / "key", tmp_path / "kye"
    async with running(**options, key_file=right) as at:
        if has_users:
            await at.raw_login(ANN)
    said = re.escape(f"there is no key file {mistyped}, but the store is sealed with a key: set")
    with pytest.raises(ConfigError, match=said):
        async with running(**options, key_file=mistyped):
            pass
    assert not mistyped.exists()
    async with running(**options, key_file=right):
        pass


async def test_a_key_file_that_was_lost_is_not_made_anew(tmp_path: Path) -> None:
    async with running(store=f"sqlite:{tmp_path / 'db'}"):
        pass
    lost = tmp_path / "db.key"
    lost.unlink()
    with pytest.raises(ConfigError, match=re.escape(f"there is no key file {lost}, but")):
        async with running(store=f"sqlite:{tmp_path / 'db'}"):
            pass
    assert not lost.exists()


async def test_an_earlier_store_under_another_key_is_refused_and_left_as_it_was(
    tmp_path: Path,
) -> None:
    """It has no tag key yet; then its records say whose it is."""
    path, right, another = tmp_path / "db", tmp_path / "key", tmp_path / "another"
    options: dict[str, Any] = {"store": f"sqlite:{path}"}
    async with running(**options, key_file=right) as at:
        raw = await at.raw_login(ANN)
    _as_before(path, {})
    ids = KeyRing.from_file(another).ids
    for key_file, said in (
        (another, f"another key than key file {another} ({ids[0]})"),
        (tmp_path / "none", f"there is no key file {tmp_path / 'none'}"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            async with running(**options, key_file=key_file):
                pass
    assert not (tmp_path / "none").exists()
    async with running(**options, key_file=right) as at:
        raw.at = at
        assert (await raw.call("GET", "/echo")).status == 200


async def test_gateways_that_start_together_make_one_key(tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": f"sqlite:{tmp_path / 'db'}", "key_file": tmp_path / "key"}
    async with running(**options) as one, running(**options) as other:
        assert assembled(one).of(ANN) == assembled(other).of(ANN)
