"""The store in a SQLite file, under the contract of all stores, and what a file adds to it."""

# Files and processes here are small and local: nothing else waits for this loop.
# ruff: noqa: ASYNC240

import asyncio
import os
import secrets
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hardened_store_contract import (
    ADA,
    BEN,
    CHAINED,
    CODE,
    FIRST_CHAIN,
    RESUMED,
    USER,
    by_clock,
    by_counter,
    claim,
    confirming,
    resumed,
    tickets_of,
)
from hardened_store_contract import opened as reach_opened
from opened_stores import sqlite_store
from processes import ROOT, started
from store_contract import (
    ANN,
    BOB,
    EXPIRES_MS,
    LOGIN,
    NOW_MS,
    SESSION,
    StoreContract,
    message,
    reach_awaiting_code,
    reach_code_claimed,
    reach_enrolled,
    tag,
)

from gateway.clock import system_clock
from gateway.errors import StoreUnavailable
from gateway.keys.keyring import KeyRing
from gateway.sessions.classic import Sessions
from gateway.stores import NewCode, StoredChain
from gateway.stores.sqlite import file as room
from gateway.stores.sqlite.store import SqliteStore
from protocol.common.codes import Code, session_id
from protocol.common.primitives import RsaPrivateKey

REPOSITORY = ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "certless.db"


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def store(self, path: Path) -> AsyncIterator[SqliteStore]:
        async with sqlite_store(path) as store:
            yield store


# --- what outlives the process ---


async def test_everything_survives_a_reopening(path: Path) -> None:
    async with sqlite_store(path) as store:
        await reach_enrolled(store, ANN)
        await reach_awaiting_code(store, BOB)
        assert await store.claim(ANN, message(1), NOW_MS)
        for _ in range(3):
            assert await store.count_mail(tag("ann"), NOW_MS)
    async with sqlite_store(path) as store:
        assert await store.load(ANN, NOW_MS) == SESSION
        assert not await store.claim(ANN, message(1), NOW_MS)
        assert await store.claim(ANN, message(2), NOW_MS)
        assert await store.claim_code(BOB, NOW_MS) == LOGIN
        assert not await store.count_mail(tag("ann"), NOW_MS)


async def test_attempts_are_not_forgotten(path: Path) -> None:
    async with sqlite_store(path) as store:
        await reach_awaiting_code(store)
    for _ in range(5):
        async with sqlite_store(path) as store:
            assert await store.claim_code(ANN, NOW_MS) == LOGIN
            await store.release_code(ANN)
    async with sqlite_store(path) as store:
        assert await store.claim_code(ANN, NOW_MS) is None


async def test_a_code_claimed_before_a_stop_is_spent(path: Path) -> None:
    async with sqlite_store(path) as store:
        await reach_code_claimed(store)
    async with sqlite_store(path) as store:
        assert await store.claim_code(ANN, NOW_MS) is None


async def test_a_claim_survives_kill_9(path: Path) -> None:
    # The process that claimed is killed as soon as it was told that the claim holds.
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from gateway.stores.sqlite.store import SqliteStore\n"
        "from store_contract import ANN, BOB, NOW_MS, message\n"
        "async def main():\n"
        "    store = SqliteStore(Path(sys.argv[1]))\n"
        "    await store.open()\n"
        "    print(await store.claim(ANN, message(1), NOW_MS), flush=True)\n"
        "    print(await store.claim_code(BOB, NOW_MS), flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    async with sqlite_store(path) as store:
        await reach_enrolled(store, ANN)
        await reach_awaiting_code(store, BOB)
    python_path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    with started(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": python_path},
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"True\n"
        assert child.stdout.readline() == b"b'a sealed login'\n"
        child.kill()
    assert child.returncode < 0
    async with sqlite_store(path) as store:
        assert await store.load(ANN, NOW_MS) == SESSION
        assert not await store.claim(ANN, message(1), NOW_MS)
        assert await store.claim_code(BOB, NOW_MS) is None
        assert await store.claim(ANN, message(2), NOW_MS)


async def test_hardened_sessions_claims_and_tickets_survive_kill_9(path: Path) -> None:
    # As above: killed as soon as it was told that the claim holds, before any handler would run.
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from gateway.stores.sqlite.store import SqliteStore\n"
        "from hardened_store_contract import *\n"
        "async def main():\n"
        "    store = SqliteStore(Path(sys.argv[1]))\n"
        "    await store.open()\n"
        "    await resumed(store)\n"
        "    await confirming(store)\n"
        "    print(await claim(store, BEN, by_clock(1), NOW_MS), flush=True)\n"
        "    print(await claim(store, BEN, by_counter(5), NOW_MS), flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    python_path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    with started(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": python_path},
    ) as child:
        assert child.stdout
        assert [child.stdout.readline() for _ in range(2)] == [b"True\n"] * 2
        child.kill()
    assert child.returncode < 0
    async with sqlite_store(path) as store:
        assert await store.load(BEN, NOW_MS) == b"a resumed session"
        assert not await claim(store, BEN, by_clock(1), NOW_MS)
        assert not await claim(store, BEN, by_counter(5), NOW_MS)
        assert await claim(store, BEN, by_counter(4), NOW_MS)
        assert len(await tickets_of(store)) == 2
        attempt = await store.claim_attempt(ADA, NOW_MS)
        assert attempt
        assert attempt.number == 2


async def test_what_was_forgotten_stays_so_after_a_restart(path: Path) -> None:
    async with sqlite_store(path) as store:
        await reach_opened(store)
        assert await claim(store, ADA, by_clock(1, NOW_MS + 5), NOW_MS)
        await store.sweep(NOW_MS + 100)
    async with sqlite_store(path) as store:
        assert not await claim(store, ADA, by_clock(1, NOW_MS + 5), NOW_MS)


# --- a file of a former version ---

FIRST_SCHEMA = """
CREATE TABLE sessions (
    id BLOB PRIMARY KEY, state TEXT NOT NULL, sealed BLOB NOT NULL, expires_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, passphrases INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE claims (
    session_id BLOB NOT NULL REFERENCES sessions ON DELETE CASCADE, tag BLOB NOT NULL,
    tries INTEGER NOT NULL,
    PRIMARY KEY (session_id, tag)
) WITHOUT ROWID;
CREATE TABLE mails (user_tag BLOB NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX mails_by_user ON mails (user_tag, at_ms);
CREATE INDEX sessions_by_expiry ON sessions (expires_ms);
"""


@pytest.fixture
def former(path: Path) -> Path:
    """A file as version 0.1.0 wrote it, with a session and a message that was claimed."""
    database = sqlite3.connect(path)
    database.executescript("PRAGMA journal_mode = WAL;" + FIRST_SCHEMA)
    database.execute(
        "INSERT INTO sessions (id, state, sealed, expires_ms) VALUES (?, 'ENROLLED', ?, ?)",
        (ANN, SESSION, EXPIRES_MS),
    )
    for claimed in (message(1).nonce_tag, message(1).passphrase_tag):
        database.execute("INSERT INTO claims VALUES (?, ?, 6)", (ANN, claimed))
    database.commit()
    database.close()
    return path


async def test_a_former_file_is_brought_to_this_version(former: Path) -> None:
    for _ in range(2):
        async with sqlite_store(former) as store:
            assert await store.load(ANN, NOW_MS) == SESSION
            assert not await store.claim(ANN, message(1), NOW_MS)
            assert await store.swap(ANN, SESSION, SESSION)
    async with sqlite_store(former) as store:
        await resumed(store)
        assert await claim(store, BEN, by_counter(1), NOW_MS)


async def test_codes_and_chains_of_before_there_were_devices(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for step in room._STEPS[:4]:
        database.executescript(step)
    database.execute("PRAGMA user_version = 4")
    code = (USER, CODE, b"a sealed code", EXPIRES_MS)
    database.execute(
        "INSERT INTO codes (user_tag, id, sealed, expires_ms, attempts) VALUES (?, ?, ?, ?, 4)",
        code,
    )
    chain = (CHAINED.chain_id, FIRST_CHAIN, EXPIRES_MS, USER)
    database.execute(
        "INSERT INTO chains (id, sealed, expires_ms, user_tag) VALUES (?, ?, ?, ?)", chain
    )
    database.close()
    store = SqliteStore(path)
    await store.open()
    try:
        assert await store.chains(NOW_MS) == [StoredChain(CHAINED.chain_id, FIRST_CHAIN, USER)]
        found = await store.find_code(USER, NOW_MS)
        assert found
        assert (found.code_id, found.sealed) == (CODE, b"a sealed code")
        # The attempts of before count.
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER, CODE)
        for is_void in (False, True):
            attempt = await store.claim_attempt(BEN, NOW_MS)
            assert attempt
            assert attempt.is_void is is_void
        await store.end_chain(CHAINED.chain_id)
        assert await store.chains(NOW_MS) == []
    finally:
        await store.close()


async def test_many_bring_one_file_to_this_version(former: Path) -> None:
    stores = [SqliteStore(former) for _ in range(4)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        for store in stores:
            assert await store.load(ANN, NOW_MS) == SESSION
    finally:
        for store in stores:
            await store.close()


async def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    async with sqlite_store(path) as store:
        await reach_enrolled(store)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match="later version"):
        await store.open()
    await store.close()


async def test_what_is_looked_for_by_time_or_user_has_an_index(path: Path) -> None:
    async with sqlite_store(path):
        pass
    database = sqlite3.connect(path)
    for statement in (
        "SELECT session_id FROM salts WHERE expires_ms < 1",
        "DELETE FROM salts WHERE expires_ms < 1",
        "DELETE FROM counters WHERE expires_ms < 1",
        "DELETE FROM chains WHERE expires_ms < 1",
        "DELETE FROM sessions WHERE user_tag = x''",
        "SELECT count(*) FROM sessions WHERE state = 'ENROLLED' AND expires_ms >= 1",
        "SELECT min(expires_ms) FROM sessions WHERE state = 'ENROLLED' AND expires_ms >= 1"
        " AND user_tag = x''",
    ):
        plan = database.execute("EXPLAIN QUERY PLAN " + statement).fetchall()
        assert all(row[3].startswith("SEARCH") for row in plan), (statement, plan)
    database.close()


# --- two on one file ---


async def test_two_stores_race_for_each_hardened_message(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        await reach_opened(first)
        for number in range(1, 50):
            for one in (by_clock(number), by_counter(number)):
                tries = [claim(store, ADA, one, NOW_MS) for store in (first, second) * 2]
                assert (await asyncio.gather(*tries)).count(True) == 1


async def test_two_stores_race_for_the_attempts_of_a_code(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        await first.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await confirming(first)
        await second.add_handshake(BEN, LOGIN, EXPIRES_MS, USER, CODE)
        tries = [store.claim_attempt(BEN, NOW_MS) for store in (first, second) * 10]
        assert sum(attempt is not None for attempt in await asyncio.gather(*tries)) == 5


async def test_two_stores_race_for_a_chain(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        await reach_opened(first, CHAINED)
        tries = [store.open_resumed(RESUMED, FIRST_CHAIN) for store in (first, second) * 5]
        assert (await asyncio.gather(*tries)).count(True) == 1


async def test_two_stores_race_for_each_message(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        await reach_enrolled(first)
        for number in range(100):
            tries = [store.claim(ANN, message(number), NOW_MS) for store in (first, second) * 2]
            assert (await asyncio.gather(*tries)).count(True) == 1


async def test_two_stores_race_for_a_code(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        for number in range(30):
            key = tag(number)
            await first.add_login(key, LOGIN, EXPIRES_MS, USER)
            tries = [store.claim_code(key, NOW_MS) for store in (first, second) * 2]
            assert (await asyncio.gather(*tries)).count(LOGIN) == 1


async def test_two_stores_count_mails_together(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        tries = [store.count_mail(tag("ann"), NOW_MS) for store in (first, second) * 10]
        assert (await asyncio.gather(*tries)).count(True) == 3


async def test_a_session_that_one_ended_is_gone_for_the_other(path: Path) -> None:
    async with sqlite_store(path) as first, sqlite_store(path) as second:
        await reach_enrolled(first)
        assert await second.load(ANN, NOW_MS) == SESSION
        await second.end(ANN)
        assert not await first.claim(ANN, message(1), NOW_MS)


async def test_counters_do_not_pile_up(path: Path) -> None:
    async with sqlite_store(path) as store:
        await store.count(b"a key", 5, 1000, NOW_MS)
        await store.sweep(NOW_MS + 1001)
        # Looked at as if it were earlier: gone, not merely late.
        assert (await store.count(b"a key", 0, 1000, NOW_MS)).value == 0


async def test_claims_of_ended_sessions_do_not_pile_up(path: Path) -> None:
    async with sqlite_store(path) as store:
        for key in (ANN, BOB):
            await reach_enrolled(store, key)
            assert await store.claim(key, message(1), NOW_MS)
        await store.end(ANN)
        assert await store.sweep(EXPIRES_MS + 1) == 1
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    database.close()


@pytest.fixture
def holder(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection, which holds the file locked for writing."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE another (a)")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO another VALUES (1)")
    yield connection
    connection.close()


async def test_opening_waits_for_a_file_that_another_has_locked(
    path: Path, holder: sqlite3.Connection
) -> None:
    # Two gateways that start on one new file at the same moment: neither may fail for that.
    store = SqliteStore(path)
    opening = asyncio.create_task(store.open())
    await asyncio.wait([opening], timeout=0.2)
    holder.execute("COMMIT")
    try:
        await opening
        await reach_enrolled(store)
    finally:
        await store.close()


async def test_many_stores_open_one_new_file_at_once(tmp_path: Path) -> None:
    for number in range(10):
        stores = [SqliteStore(tmp_path / f"{number}.db") for _ in range(4)]
        try:
            await asyncio.gather(*(store.open() for store in stores))
        finally:
            for store in stores:
                await store.close()


async def test_a_lock_that_lasts_is_unavailable_and_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_BUSY_TIMEOUT_S", 0.05)
    async with sqlite_store(path) as store:
        await reach_enrolled(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.claim(ANN, message(1), NOW_MS)
        other.execute("COMMIT")
        other.close()
        assert await store.claim(ANN, message(1), NOW_MS)


# --- the file ---


async def test_files_are_for_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        async with sqlite_store(path) as store:
            await reach_enrolled(store)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert path.name in modes
    assert set(modes.values()) == {0o600}


async def use(store: SqliteStore) -> None:
    """Both a look and a change."""
    assert await store.load(ANN, NOW_MS) is None
    await reach_enrolled(store)
    assert await store.load(ANN, NOW_MS) == SESSION


async def refused(store: SqliteStore) -> str:
    """What the store says, in one line, to each of its methods."""
    for call in (
        store.add_login(ANN, LOGIN, EXPIRES_MS, USER),
        store.claim_code(ANN, NOW_MS),
        store.release_code(ANN),
        store.enrol(ANN, SESSION, EXPIRES_MS),
        store.load(ANN, NOW_MS),
        store.claim(ANN, message(1), NOW_MS),
        claim(store, ANN, by_clock(1), NOW_MS),
        claim(store, ANN, by_counter(1), NOW_MS),
        store.add_handshake(ANN, LOGIN, EXPIRES_MS, USER),
        store.claim_attempt(ANN, NOW_MS),
        store.take_exchange(ANN, NOW_MS),
        store.open_login(CHAINED),
        store.swap(ANN, LOGIN, SESSION),
        store.load_ticket(b"1" * 32, NOW_MS),
        store.end_user(USER),
        store.end(ANN),
        store.count_mail(tag("ann"), NOW_MS),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    with pytest.raises(StoreUnavailable) as caught:
        await store.sweep(NOW_MS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_path_that_becomes_usable(tmp_path: Path) -> None:
    path = tmp_path / "later" / "certless.db"
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.open()
    assert str(path) in await refused(store)
    path.parent.mkdir()
    await use(store)
    await store.close()


async def test_a_directory_that_makes_way(path: Path) -> None:
    path.mkdir()
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.open()
    assert str(path) in await refused(store)
    path.rmdir()
    await use(store)
    await store.close()


async def test_a_file_that_is_no_database(path: Path) -> None:
    junk = b"this was never a database\n" * 1000
    path.write_bytes(junk)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.open()
    assert str(path) in await refused(store)
    # It may be somebody's only copy of something: it is left as it is.
    assert path.read_bytes() == junk
    path.unlink()
    await use(store)
    await store.close()


async def test_a_file_that_goes_bad_under_way_and_is_replaced(path: Path) -> None:
    async with sqlite_store(path) as store:
        for number in range(200):
            await store.add_login(tag(number), bytes(1000), EXPIRES_MS, USER)
        # Another writer's change makes the store read the file anew, not its own cache.
        async with sqlite_store(path) as other:
            await other.add_login(BOB, LOGIN, EXPIRES_MS, USER)
        checkpointer = sqlite3.connect(path)
        checkpointer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        checkpointer.close()
        path.write_bytes(b"junk" * (path.stat().st_size // 4))
        with pytest.raises(StoreUnavailable):
            await store.load(ANN, NOW_MS)
        for file in path.parent.iterdir():
            file.unlink()
        # What was asked on the old file fails; what is asked from now on finds the new one.
        await use(store)


async def test_one_answer_for_all_that_waited(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "missing" / "certless.db")
    with pytest.raises(StoreUnavailable):
        await store.open()
    tries = [store.claim(ANN, message(number), NOW_MS) for number in range(50)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    await store.close()


# --- what the file gives away ---


async def test_nothing_is_in_the_clear_on_disk(path: Path) -> None:
    pair, client_pair = RsaPrivateKey.generate(), RsaPrivateKey.generate()
    code = Code("0123456789ABCDEFGHJKMNPQRS")
    username = "ann.of.green.gables@example.org"
    pending, token = secrets.token_hex(16), secrets.token_hex(16)
    async with sqlite_store(path) as store:
        sessions = Sessions(store, KeyRing.ephemeral(), system_clock, "classic", 3_600_000)
        await sessions.await_code(pending, username, USER, code)
        await sessions.await_code(token, username, USER, code)
        assert await sessions.claim_code(token)
        assert await sessions.enrol(token, username, pair, client_pair.public)
        live = await sessions.find(token, system_clock())
        assert live
        sealed = await store.load(session_id(token), system_clock())
        assert sealed
        on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())
    on_disk += b"".join(file.read_bytes() for file in path.parent.iterdir())

    # The search finds what is there. (Large records lie on several pages, hence the pieces.)
    found = [piece in on_disk for piece in pieces_of(sealed)]
    assert sum(found) > 0.9 * len(found)
    secret = [token.encode(), pending.encode(), code.text.encode(), username.encode(), b"gables"]
    for key in (pair.to_der(), pair.public.to_der(), client_pair.public.to_der()):
        secret += pieces_of(key[32:])  # without the header that all such keys begin with
    secret += pieces_of(live.keys.tag_key)
    assert len(secret) > 60
    assert [piece for piece in secret if piece in on_disk] == []


def pieces_of(data: bytes, size: int = 16) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


async def test_after_a_sweep_nothing_of_an_ended_session_is_left(path: Path) -> None:
    # Sealed, but whoever gets the key file as well could open what was recorded in that session.
    sealed = os.urandom(2000)
    store = SqliteStore(path)
    await store.open()
    await store.add_login(ANN, b"login", EXPIRES_MS, USER)
    await store.claim_code(ANN, NOW_MS)
    await store.enrol(ANN, sealed, EXPIRES_MS)
    await store.end(ANN)
    await store.sweep(NOW_MS)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not [at for at in range(0, 1990, 10) if sealed[at : at + 10] in files]
    await store.close()


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from gateway.errors import StoreUnavailable
from gateway.stores.sqlite.store import SqliteStore

async def main(path):
    store = SqliteStore(path)
    await store.open()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        await store.ping()
    except StoreUnavailable:
        print("takes nothing")
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.ping()
    await store.close()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_is_noticed_without_a_message(tmp_path: Path) -> None:
    # A limit on files stands in for the disk: SQLite is told of both by a write that fails.
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "db")]
    ran = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "takes nothing\n"
