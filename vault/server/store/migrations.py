"""The version of the tables in a database, and the steps from one version to the next.

A new database gets the newest tables at once. A released step never changes. All of it happens in
one transaction, and workers that start at the same time wait for each other.
"""

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import inspect, select, text, update
from sqlalchemy.engine import Connection

from certless import ConfigError

from .tables import METADATA, SCHEMA

Step: TypeAlias = Sequence[str]

# {bytes} and {by_key} are the type of bytes, and the option of a table whose rows are in the order
# of its keys.
_DIALECTS = {
    "sqlite": {"bytes": "BLOB", "by_key": " WITHOUT ROWID"},
    "postgresql": {"bytes": "BYTEA", "by_key": ""},
}
_BLOCKS = (
    "id {bytes} NOT NULL PRIMARY KEY, bucket BIGINT NOT NULL, write_hash {bytes} NOT NULL, "
    "read_hash {bytes} NOT NULL, renew_hash {bytes} NOT NULL, block {bytes} NOT NULL"
)
# STEPS[n] has the statements that convert version n + 1 to version n + 2.
STEPS: tuple[Step, ...] = (
    # Blocks, the meta, and expiry.
    (
        "ALTER TABLE vault_accounts ADD COLUMN bucket BIGINT",
        "ALTER TABLE vault_accounts ADD COLUMN warned_bucket BIGINT",
        "CREATE TABLE vault_metas (account {bytes} NOT NULL, meta {bytes} NOT NULL, "
        "PRIMARY KEY (account), FOREIGN KEY(account) REFERENCES vault_accounts (account) "
        "ON DELETE CASCADE){by_key}",
        f"CREATE TABLE vault_blocks ({_BLOCKS}){{by_key}}",
        "CREATE INDEX vault_blocks_by_bucket ON vault_blocks (bucket, id)",
        f"CREATE TABLE vault_archive ({_BLOCKS}){{by_key}}",
        "CREATE INDEX vault_archive_by_bucket ON vault_archive (bucket, id)",
        "CREATE TABLE vault_tombstones (hash {bytes} NOT NULL PRIMARY KEY, bucket BIGINT NOT NULL)"
        "{by_key}",
        "CREATE TABLE vault_pool (id {bytes} NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, "
        "bucket BIGINT NOT NULL, write_hash {bytes}, read_hash {bytes}, renew_hash {bytes}, "
        "block {bytes}){by_key}",
        "CREATE TABLE vault_expiry (id INTEGER NOT NULL PRIMARY KEY, frame_s BIGINT NOT NULL, "
        "bucket BIGINT)",
    ),
)
# The number of the lock that workers take in PostgreSQL. SQLite has one writer at a time anyway.
_LOCK = 0x7661756C74


def migrate(connection: Connection, key_id: bytes, steps: Sequence[Step] = STEPS) -> None:
    """Create or update the tables. ``key_id`` names the key of the server.

    Raises: ConfigError, if the database has a later version or values under another key.
    """
    newest = len(steps) + 1
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if not inspect(connection).has_table(SCHEMA.name):
        METADATA.create_all(connection)
        row = {"id": 1, "version": newest, "key_id": key_id}
        connection.execute(SCHEMA.insert().values(row))
        return
    found = connection.execute(select(SCHEMA)).one()
    if found.version > newest:
        raise ConfigError(
            f"the vault's database has version {found.version}, and this program knows versions up "
            f"to {newest}: install the Certless that wrote it, or a later one"
        )
    if found.key_id != key_id:
        raise ConfigError(
            "the vault's key file is not the one with which the database was made: restore that "
            "file from the backup; without it, no password opens an account"
        )
    for step in steps[found.version - 1 :]:
        for statement in step:
            names = _DIALECTS[connection.dialect.name]
            connection.execute(text(statement.format(**names)))
    connection.execute(update(SCHEMA).values(version=newest))
