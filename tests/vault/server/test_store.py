"""The contract of the store, on SQLite and on PostgreSQL."""

import asyncio
import secrets
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from postgresql_servers import PostgresqlProcess
from sqlalchemy import text

from certless import ConfigError
from vault.core.attempts import Attempts
from vault.server.errors import Unavailable
from vault.server.store.database import Database
from vault.server.store.migrations import STEPS
from vault.server.store.records import Stage, StoredAccount, StoredDevice, StoredRun, TemporaryKey

ANN, BOB = b"a" * 32, b"b" * 32
KEY_ID = b"k" * 16


@pytest.fixture
async def database(vault_url: str) -> AsyncIterator[Database]:
    """An open database."""
    opened = Database(vault_url)
    await opened.open(KEY_ID)
    yield opened
    await opened.close()


@pytest.fixture
async def other(database: Database, vault_url: str) -> AsyncIterator[Database]:
    """The same database, as another process opens it."""
    opened = Database(vault_url)
    await opened.open(KEY_ID)
    yield opened
    await opened.close()


def account(name: bytes = ANN) -> StoredAccount:
    return StoredAccount(
        account=name,
        head=b"h" * 32,
        revision=b"r" * 32,
        kdf=1,
        salt=b"s" * 16,
        verifier=b"v" * 126,
        password_wrap=b"w" * 61,
        recovery_proof=b"p" * 32,
        recovery_wrap=b"x" * 61,
    )


def device(device_id: bytes, *, opens: bool = True) -> StoredDevice:
    proof, wrap = (b"p" * 32, b"w" * 61) if opens else (None, None)
    return StoredDevice(device_id * 16, b"r" * 285, proof, wrap, b"session")


def run(number: int, name: bytes = ANN, session: str = "s1", until_ms: int = 1000) -> StoredRun:
    return StoredRun(bytes([number]) * 16, name, session, b"c" * 61, until_ms + number)


async def rows_of(database: Database, table: str) -> int:
    async with database.transaction() as at:
        found = await at._connection.execute(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
        return int(found.scalar_one())


# --- accounts ---


async def test_an_account_is_kept_as_it_was_given(database: Database, other: Database) -> None:
    async with database.transaction() as at:
        assert await at.account(ANN) is None
        assert await at.add_account(account())
    async with other.transaction() as at:
        assert await at.account(ANN) == account()
        assert await at.account(BOB) is None
        assert not await at.add_account(replace(account(), kdf=2))
        changed = replace(account(), kdf=2, reset_hour=500_000, verifier=b"V" * 126)
        await at.save_account(changed)
    async with database.transaction() as at:
        assert await at.account(ANN) == changed


async def test_a_transaction_that_fails_changes_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as at:
            await at.add_account(account())
            await at.put_note(ANN, b"n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as at:
        assert await at.account(ANN) is None
        assert await at.note(ANN) is None


async def test_one_of_many_adds_the_account(database: Database, other: Database) -> None:
    async def add(at: Database) -> bool:
        async with at.transaction() as transaction:
            return await transaction.add_account(account())

    added = await asyncio.gather(*(add(at) for at in (database, other) * 4))
    assert sum(added) == 1


async def test_changes_of_one_account_happen_one_after_the_other(
    database: Database, other: Database
) -> None:
    async with database.transaction() as at:
        await at.add_account(replace(account(), reset_hour=0))

    async def increment(at: Database) -> None:
        async with at.transaction() as transaction:
            found = await transaction.account(ANN)
            assert found is not None
            await transaction.save_account(replace(found, reset_hour=(found.reset_hour or 0) + 1))

    await asyncio.gather(*(increment(at) for at in (database, other) * 10))
    async with database.transaction() as at:
        found = await at.account(ANN)
    assert found is not None
    assert found.reset_hour == 20


async def test_deletion_takes_everything_of_the_account_and_nothing_of_others(
    database: Database,
) -> None:
    async with database.transaction() as at:
        for name in (ANN, BOB):
            await at.add_account(account(name))
            await at.put_note(name, b"note")
            await at.put_meta(name, b"meta")
            await at.put_stage(name, Stage(b"body", 1000))
            await at.put_temporary(name, TemporaryKey(b"p" * 32, b"w" * 61, 1000))
            await at.put_device(name, device(b"d"))
            await at.attempts(name)
            await at.add_run(replace(run(1, name), run=name[:16]), 8)
    tables = (
        "accounts",
        "notes",
        "metas",
        "stages",
        "temporary_keys",
        "devices",
        "attempts",
        "runs",
    )
    async with database.transaction() as at:
        await at.delete_account(ANN)
    async with database.transaction() as at:
        assert await at.account(ANN) is None
        assert await at.note(BOB) == b"note"
        assert await at.meta(BOB) == b"meta"
        assert await at.stage(BOB) == Stage(b"body", 1000)
        assert await at.temporary(BOB) == TemporaryKey(b"p" * 32, b"w" * 61, 1000)
        assert await at.devices(BOB) == [device(b"d")]
    assert {table: await rows_of(database, f"vault_{table}") for table in tables} == dict.fromkeys(
        tables, 1
    )


# --- parts of an account ---


async def test_a_note_a_stage_and_a_temporary_key_are_replaced_and_deleted(
    database: Database,
) -> None:
    large = secrets.token_bytes(69_661)
    async with database.transaction() as at:
        await at.add_account(account())
        for note in (b"first", large, None, b"last"):
            await at.put_note(ANN, note)
            assert await at.note(ANN) == note
        for stage in (Stage(b"1", 1), Stage(large, 2**45), None):
            await at.put_stage(ANN, stage)
            assert await at.stage(ANN) == stage
        for key in (TemporaryKey(b"p", b"w", 1), TemporaryKey(b"q", b"x", 2**45), None):
            await at.put_temporary(ANN, key)
            assert await at.temporary(ANN) == key


async def test_devices_are_listed_by_their_ids(database: Database) -> None:
    async with database.transaction() as at:
        await at.add_account(account())
        await at.put_device(ANN, device(b"z"))
        await at.put_device(ANN, device(b"a", opens=False))
        assert await at.devices(ANN) == [device(b"a", opens=False), device(b"z")]
        renamed = replace(device(b"z"), record=b"R" * 285)
        await at.put_device(ANN, renamed)
        assert await at.device(ANN, b"z" * 16) == renamed
        assert await at.device(BOB, b"z" * 16) is None
        await at.delete_device(BOB, b"z" * 16)
        await at.delete_device(ANN, b"a" * 16)
        assert await at.devices(ANN) == [renamed]


# --- attempts and runs ---


async def test_no_attempt_is_lost_between_two_processes(
    database: Database, other: Database
) -> None:
    async def count(at: Database) -> bool:
        async with at.transaction() as transaction:
            before = await transaction.attempts(ANN)
            after, is_looked_at = before.counted(1000)
            await transaction.put_attempts(ANN, after)
            return is_looked_at

    looked_at = await asyncio.gather(*(count(at) for at in (database, other) * 10))
    assert sum(looked_at) == 5
    async with database.transaction() as at:
        assert await at.attempts(ANN) == Attempts(5, 31_000, 1000)
        assert await at.attempts(BOB) == Attempts()


async def test_attempts_are_counted_while_another_process_forgets_them(
    database: Database, other: Database
) -> None:
    async def forget() -> None:
        for _ in range(60):
            async with other.transaction() as transaction:
                await transaction.forget_unlocking(ANN)

    async def attempt() -> None:
        for _ in range(30):
            async with database.transaction() as transaction:
                assert await transaction.attempts(ANN) in (Attempts(), Attempts(1, 0, 1))
                await transaction.put_attempts(ANN, Attempts(1, 0, 1))

    async with asyncio.timeout(60):
        await asyncio.gather(forget(), attempt(), attempt())


async def test_a_run_is_taken_once_and_only_by_its_session(
    database: Database, other: Database
) -> None:
    async with database.transaction() as at:
        await at.add_run(run(1), 8)

    async def take(at: Database, name: bytes, session: str) -> StoredRun | None:
        async with at.transaction() as transaction:
            return await transaction.take_run(b"\x01" * 16, name, session)

    assert await take(database, BOB, "s1") is None
    assert await take(database, ANN, "s2") is None
    taken = await asyncio.gather(*(take(at, ANN, "s1") for at in (database, other) * 4))
    assert [one for one in taken if one is not None] == [run(1)]


async def test_an_account_keeps_its_newest_runs(database: Database) -> None:
    async with database.transaction() as at:
        for number in range(5):
            await at.add_run(run(number), 3)
        await at.add_run(run(9, BOB), 3)
        taken = [await at.take_run(run(n).run, ANN, "s1") for n in range(5)]
        assert [one is not None for one in taken] == [False, False, True, True, True]
        await at.end_runs(BOB)
        assert await at.take_run(run(9).run, BOB, "s1") is None


async def test_a_sweep_deletes_what_has_expired(database: Database) -> None:
    now = 40 * 86_400_000
    async with database.transaction() as at:
        for name, until in ((ANN, now), (BOB, now + 1)):
            await at.add_account(account(name))
            await at.put_stage(name, Stage(b"body", until))
            await at.put_temporary(name, TemporaryKey(b"p", b"w", until))
            await at.add_run(StoredRun(name[:16], name, "s1", b"c", until), 8)
            await at.attempts(name)
            last = until - 30 * 86_400_000
            await at.put_attempts(name, Attempts(3, 0, last))
        await at.sweep(now)
        assert [await at.stage(name) for name in (ANN, BOB)] == [None, Stage(b"body", now + 1)]
        assert await at.temporary(ANN) is None
        assert await at.temporary(BOB) is not None
        assert await at.take_run(ANN[:16], ANN, "s1") is None
        assert await at.take_run(BOB[:16], BOB, "s1") is not None
        assert (await at.attempts(ANN)).count == 0
        assert (await at.attempts(BOB)).count == 3


# --- versions ---


async def test_a_later_database_is_refused_and_an_earlier_one_is_updated(vault_url: str) -> None:
    step = ("CREATE TABLE vault_planted (id INTEGER PRIMARY KEY)",)
    database = Database(vault_url)
    await database.open(KEY_ID)
    async with database.transaction() as at:
        await at.add_account(account())
    # Two processes at once: one of them runs the step.
    second = Database(vault_url)
    steps = (*STEPS, step)
    await asyncio.gather(database.open(KEY_ID, steps), second.open(KEY_ID, steps))
    assert await rows_of(database, "vault_planted") == 0
    with pytest.raises(ConfigError, match="has version 3, and this program knows versions up to 2"):
        await database.open(KEY_ID)
    async with database.transaction() as at:
        assert await at.account(ANN) == account()
    await database.close()
    await second.close()


async def test_a_step_that_fails_changes_nothing(vault_url: str) -> None:
    database = Database(vault_url)
    await database.open(KEY_ID)
    broken = ("CREATE TABLE vault_planted (id INTEGER PRIMARY KEY)", "CREATE NONSENSE")
    with pytest.raises(Unavailable):
        await database.open(KEY_ID, (*STEPS, broken))
    await database.open(KEY_ID)
    with pytest.raises(Unavailable):
        await rows_of(database, "vault_planted")
    await database.close()


async def test_many_processes_make_one_new_database(vault_url: str) -> None:
    databases = [Database(vault_url) for _ in range(4)]
    await asyncio.gather(*(database.open(KEY_ID) for database in databases))
    for database in databases:
        assert await rows_of(database, "vault_schema") == 1
        await database.close()


async def test_another_key_is_refused(vault_url: str) -> None:
    database = Database(vault_url)
    await database.open(KEY_ID)
    with pytest.raises(ConfigError, match="restore that file"):
        await database.open(b"K" * 16)
    await database.close()


# --- what is on the disk ---


async def test_an_answered_commit_is_on_the_disk(database: Database) -> None:
    names = ["synchronous_commit"]
    if database.file is not None:
        names = ["journal_mode", "synchronous", "foreign_keys", "secure_delete"]
    found = []
    async with database.transaction() as at:
        for name in names:
            query = f"PRAGMA {name}" if database.file is not None else f"SHOW {name}"
            found.append((await at._connection.execute(text(query))).scalar_one())
    # synchronous: 2 is FULL.
    assert found == (["wal", 2, 1, 1] if database.file is not None else ["on"])


async def test_the_files_of_sqlite_are_private(tmp_path: Path) -> None:
    path = tmp_path / "private.db"
    database = Database(f"sqlite:{path}")
    await database.open(KEY_ID)
    async with database.transaction() as at:
        await at.add_account(account())
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}  # noqa: ASYNC240
    assert modes == {"private.db": 0o600, "private.db-wal": 0o600, "private.db-shm": 0o600}
    await database.close()


# --- errors ---


@pytest.mark.parametrize("url", ["vault.db", "sqlite:", "sqlite://x", "mysql://h/n", "postgresql"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:PATH or postgresql"):
        Database(url)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        await Database(f"sqlite:{tmp_path / 'no' / 'vault.db'}").open(KEY_ID)


async def test_a_database_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await Database(f"postgresql://nobody@/none?host={tmp_path}").open(KEY_ID)


async def test_an_error_names_its_kind(postgresql_server: PostgresqlProcess) -> None:
    url = postgresql_server.url.replace("/postgres?", "/missing?")
    with pytest.raises(Unavailable, match="does not answer: InvalidCatalogNameError"):
        await Database(url).open(KEY_ID)


async def test_no_error_shows_a_value(database: Database) -> None:
    canary = secrets.token_hex(16)

    async def fail() -> None:
        # There is no such account.
        async with database.transaction() as at:
            await at.put_note(canary.encode(), canary.encode())

    with pytest.raises(Unavailable) as caught:
        await fail()
    assert canary not in "".join(traceback.format_exception(caught.value))


async def test_a_database_that_other_users_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vault.db"
    file.touch(mode=0o600)
    file.chmod(0o640)
    database = Database(f"sqlite:{file}")
    with pytest.raises(ConfigError, match="chmod 600"):
        await database.open(b"k" * 16)
    file.chmod(0o600)
    await database.open(b"k" * 16)
    await database.close()
