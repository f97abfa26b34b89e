"""The tables of the newest version. ``migrations.py`` brings older databases to it.

No table has the name of a user, and no column has a time that the server does not need. Times are
milliseconds since 1970, unless the name says otherwise.

The tables of blocks have no column that names an account, and no order of writing: in SQLite, their
rows are in the order of the keys (WITHOUT ROWID). In PostgreSQL, ``rewrite`` brings them into it.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

METADATA = MetaData()
# In the order of ``Hashes``.
HASH_COLUMNS = ("write_hash", "read_hash", "renew_hash")


def _of_account() -> Column[bytes]:
    """The account of a row that is deleted with the account."""
    target = ForeignKey("vault_accounts.account", ondelete="CASCADE")
    return Column("account", LargeBinary, target, primary_key=True)


ACCOUNTS = Table(
    "vault_accounts",
    METADATA,
    Column("account", LargeBinary, primary_key=True),
    Column("head", LargeBinary, nullable=False),
    Column("revision", LargeBinary, nullable=False),
    Column("kdf", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    # w0 and L, under the key of the server.
    Column("verifier", LargeBinary, nullable=False),
    # Under the key of the server as well: whether a wrap opens says whether a guess is right.
    Column("password_wrap", LargeBinary, nullable=False),
    Column("recovery_proof", LargeBinary, nullable=False),
    Column("recovery_wrap", LargeBinary, nullable=False),
    # The hour of the request, as hours since 1970.
    Column("reset_hour", BigInteger),
    # The bucket of the last use (VAULT §22). A sweep sets it where it is empty.
    Column("bucket", BigInteger),
    # The value of ``bucket`` for which a warning was mailed.
    Column("warned_bucket", BigInteger),
)

NOTES = Table(
    "vault_notes",
    METADATA,
    _of_account(),
    Column("note", LargeBinary, nullable=False),
)

STAGES = Table(
    "vault_stages",
    METADATA,
    _of_account(),
    # The body of the request, under the key of the server, because it contains w0 and L.
    Column("body", LargeBinary, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

TEMPORARY = Table(
    "vault_temporary_keys",
    METADATA,
    _of_account(),
    Column("proof", LargeBinary, nullable=False),
    Column("wrap", LargeBinary, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("wrong_proofs", Integer, nullable=False),
)

DEVICES = Table(
    "vault_devices",
    METADATA,
    _of_account(),
    Column("id", LargeBinary, primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("proof", LargeBinary),
    Column("wrap", LargeBinary),
    # The session of the gateway that registered the device, under the key of the server.
    Column("session", LargeBinary, nullable=False),
)

# The attempts at passwords. Users without an account have rows too, so they cause the same work.
ATTEMPTS = Table(
    "vault_attempts",
    METADATA,
    Column("account", LargeBinary, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("waits_until_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)

RUNS = Table(
    "vault_runs",
    METADATA,
    Column("run", LargeBinary, primary_key=True),
    Column("account", LargeBinary, nullable=False),
    Column("session", String(64), nullable=False),
    # The right confirmP, under the key of the server.
    Column("confirm", LargeBinary, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("vault_runs_by_account", "account"),
)

METAS = Table(
    "vault_metas",
    METADATA,
    _of_account(),
    Column("meta", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


def _of_block() -> list[Column[Any]]:
    """A block as the server keeps it. ``block`` is the last column, so a scan need not read it."""
    hashes = (Column(name, LargeBinary, nullable=False) for name in HASH_COLUMNS)
    return [
        Column("id", LargeBinary, primary_key=True),
        Column("bucket", BigInteger, nullable=False),
        *hashes,
        Column("block", LargeBinary, nullable=False),
    ]


BLOCKS = Table(
    "vault_blocks",
    METADATA,
    *_of_block(),
    Index("vault_blocks_by_bucket", "bucket", "id"),
    sqlite_with_rowid=False,
)

# Blocks that have expired. ``bucket`` is that of the move.
ARCHIVE = Table(
    "vault_archive",
    METADATA,
    *_of_block(),
    Index("vault_archive_by_bucket", "bucket", "id"),
    sqlite_with_rowid=False,
)

# Hashes of the ids of deleted blocks, with the bucket of the deletion.
TOMBSTONES = Table(
    "vault_tombstones",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("bucket", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The changes of blocks that were not applied yet: the state of each changed block. ``kind`` is that
# of ``pending.py``.
POOL = Table(
    "vault_pool",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("bucket", BigInteger, nullable=False),
    *(Column(name, LargeBinary) for name in HASH_COLUMNS),
    Column("block", LargeBinary),
    sqlite_with_rowid=False,
)

# One row: the frame of all buckets in this database, and the bucket of the last sweep.
EXPIRY = Table(
    "vault_expiry",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("frame_s", BigInteger, nullable=False),
    Column("bucket", BigInteger),
)

# One row: the version of the tables, and the name of the key that seals values in them.
SCHEMA = Table(
    "vault_schema",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("key_id", LargeBinary, nullable=False),
)
