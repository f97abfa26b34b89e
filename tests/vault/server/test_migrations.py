"""A database of version 1 is updated. ``version_1/`` was written by the code of that version.

It has the accounts of Ann and Bob with their notes, a device, and a reset that waits.
"""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from block_peer import BlockPeer, random_meta
from postgresql_servers import PostgresqlProcess, program
from sqlalchemy import inspect, select
from sqlalchemy.engine import Connection
from vaults import running

from vault.core.expiry import FRAME_S, bucket_of
from vault.server.store.database import Database
from vault.server.store.tables import ACCOUNTS, SCHEMA

# Just after the reset was requested.
MADE_MS = 1_796_076_270_000
VERSION_1 = Path(__file__).parent / "version_1"


@pytest.fixture
def old_url(vault_url: str, vault_key: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database of version 1."""
    vault_key.touch(mode=0o600)
    vault_key.write_bytes((VERSION_1 / "key.txt").read_bytes())
    scheme, _, path = vault_url.partition(":")
    if scheme == "sqlite":
        Path(path).touch(mode=0o600)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((VERSION_1 / "sqlite.sql").read_text())
        return vault_url
    server: PostgresqlProcess = request.getfixturevalue("postgresql_server")
    file = str(VERSION_1 / "postgresql.sql")
    command = [program("psql"), "-h", str(server.folder), "-U", "vault", "-qf", file, "postgres"]
    ran = subprocess.run(
        [*command, "-v", "ON_ERROR_STOP=1"], check=False, timeout=60, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return vault_url


def schema_of(connection: Connection) -> dict[str, object]:
    """Every table with its columns, keys and indexes."""
    found: dict[str, object] = {}
    about = inspect(connection)
    for table in sorted(about.get_table_names()):
        columns = {
            column["name"]: (str(column["type"]), column["nullable"])
            for column in about.get_columns(table)
        }
        keys = about.get_pk_constraint(table)["constrained_columns"]
        indexes = sorted((one["name"], one["column_names"]) for one in about.get_indexes(table))
        foreign = [(one["referred_table"], one["options"]) for one in about.get_foreign_keys(table)]
        found[table] = (columns, keys, indexes, foreign)
    return found


async def schema_at(url: str) -> dict[str, object]:
    database = Database(url)
    async with database.blocks() as at:
        found = await at.connection.run_sync(schema_of)
    await database.close()
    return dict(found)


async def test_accounts_of_version_1_open_and_use_blocks(old_url: str, vault_key: Path) -> None:
    async with running(old_url, vault_key) as at:
        at.clock.stopped_at_ms = MADE_MS
        for name in ("ann", "bob"):
            peer = await at.peer(f"{name}@example.org")
            assert await peer.unlock(f"the password of {name}")
            note = await peer.note()
            assert note is not None
            assert note.text == f"the note of {name}"
            state = await peer.state()
            is_bob = name == "bob"
            assert (len(state.devices), state.is_to_be_reset) == (is_bob, is_bob)
            blocks = BlockPeer.of(peer)
            put = await blocks.put(2)
            await at.server.application.apply()
            assert await blocks.get(one.id for one in put) == [one.block for one in put]
            assert await blocks.meta() is None
            assert (await blocks.put_meta(b"", random_meta())).status == 204
    database = Database(old_url)
    async with database.blocks() as at_blocks:
        version = await at_blocks.connection.execute(select(SCHEMA.c.version))
        assert version.scalar_one() == 2
    await database.close()


async def test_accounts_of_version_1_get_the_bucket_of_the_update(
    old_url: str, vault_key: Path
) -> None:
    async with running(old_url, vault_key) as at:
        await at.server.sweep.sweep()
        present = bucket_of(at.clock() // 1000, FRAME_S)
    database = Database(old_url)
    async with database.blocks() as at_blocks:
        rows = (await at_blocks.connection.execute(select(ACCOUNTS.c.bucket))).scalars().all()
    assert rows == [present, present]
    await database.close()


async def test_an_updated_database_has_the_tables_of_a_new_one(
    old_url: str, vault_key: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with running(old_url, vault_key):
        updated = await schema_at(old_url)
    if old_url.startswith("sqlite:"):
        new_url = f"sqlite:{tmp_path / 'new.db'}"
    else:
        server: PostgresqlProcess = request.getfixturevalue("postgresql_server")
        new_url = server.emptied()
    async with running(new_url, vault_key):
        assert await schema_at(new_url) == updated
    if old_url.startswith("sqlite:"):
        # Also whether the rows are in the order of their keys.
        def by_key(path: str) -> set[str]:
            with closing(sqlite3.connect(path)) as connection:
                query = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
                return {n for n, sql in connection.execute(query) if "WITHOUT ROWID" in sql}

        found = by_key(old_url.removeprefix("sqlite:"))
        assert found == by_key(new_url.removeprefix("sqlite:"))
        assert {"vault_blocks", "vault_archive", "vault_pool", "vault_metas"} <= found
