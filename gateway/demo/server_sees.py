"""What the server of the vault sees: the rows of its tables, and what can be concluded from them.

The rows are read from the file of the database, as a thief of the disk would read them.
"""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vault.server.store.tables import METADATA

MAX_ROWS = 20
_SHOWN_BYTES = 10

_ACCOUNT = (
    "Whose row this is, for somebody who knows the user name: it is a hash of realm and name.",
    "The name. But names can be guessed, and compared with the hash.",
)
_UNTIL = ("When the row is deleted.", "Nothing else.")
_PROOF = (
    "The public half of a key pair. It checks that a client has the secret, without the secret.",
    "The secret. It is random and too long to guess.",
)
_WRAP = (
    "That there is a copy of the account key, encrypted under this secret.",
    "The account key. Only the secret opens the copy.",
)
_BUCKET = (
    "The year of the last write or renewal. A random time of up to six weeks is added before.",
    "Any time finer than that.",
)
_HASHES: dict[str, tuple[str, str]] = {
    "write_hash": (
        "Whether a request that deletes the block is from its owner.",
        "The token itself. A copy of the database cannot be used to delete blocks.",
    ),
    "read_hash": (
        "Whether a request that reads the block is from its owner.",
        "The token itself, and the name of the owner.",
    ),
    "renew_hash": (
        "Whether a request that renews the block is from its owner.",
        "The token itself.",
    ),
}
_BLOCK = (
    "Nothing. All blocks have 16,384 bytes.",
    "The content, its length, and whether it is of a note, a file, a name or nothing at all.",
)
# The purpose of each table. For each column: what can be concluded, and what cannot.
WORDS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "vault_accounts": (
        "One row for each vault.",
        {
            "account": _ACCOUNT,
            "head": (
                "The public key that checks the user’s requests. A new value means that the user "
                "has revoked devices.",
                "The account key. It cannot be computed from this key.",
            ),
            "revision": (
                "That a secret or a device has changed, if the value changes.",
                "What has changed, and to what.",
            ),
            "kdf": (
                "The price of one guess of the password. 1 means 64 MiB of memory and about a "
                "third of a second.",
                "Whether the password is a good one.",
            ),
            "salt": (
                "Nothing. It is random, and makes equal passwords different here.",
                "The password.",
            ),
            "verifier": (
                "With the server’s key file too: whether a guess of the password is right, at the "
                "price of kdf.",
                "Anything without the key file. The password itself is never sent.",
            ),
            "password_wrap": (
                "With the server’s key file too: whether a guess of the password is right, and "
                "then the account key.",
                "Anything without the key file.",
            ),
            "recovery_proof": _PROOF,
            "recovery_wrap": _WRAP,
            "reset_hour": (
                "The hour in which somebody asked for a reset, in hours since 1970.",
                "Who it was. It can be somebody with the mailbox of the user.",
            ),
            "bucket": ("The year in which the user was here last.", "Any time finer than that."),
            "warned_bucket": (
                "Whether a mail has warned the user that the data will expire.",
                "Whether they have read it.",
            ),
        },
    ),
    "vault_notes": (
        "The short note of each vault.",
        {
            "account": _ACCOUNT,
            "note": (
                "The length, in steps of 4,096 bytes. A new value means that the note was saved.",
                "The text, its exact length, and how much of it has changed.",
            ),
        },
    ),
    "vault_metas": (
        "The root of each index of notes and files.",
        {
            "account": _ACCOUNT,
            "meta": (
                "That the user has notes or files. A new value means that something was changed, "
                "or renewed. All have the same length.",
                "How many notes and files there are, their names, and what was changed.",
            ),
        },
    ),
    "vault_blocks": (
        "Blocks of all users, in the order of their random ids.",
        {
            "id": (
                "How many blocks all users have together.",
                "Whose block this is, and which blocks belong together. Ids are random.",
            ),
            "bucket": _BUCKET,
            **_HASHES,
            "block": _BLOCK,
        },
    ),
    "vault_pool": (
        "Changes of blocks that wait to be applied to vault_blocks, all at once. So a copy of "
        "vault_blocks does not show which blocks came together. A copy of this table does.",
        {
            "id": (
                "Which blocks were changed since the pool was applied. Few users change blocks in "
                "this time, so they probably belong together.",
                "Whose they are.",
            ),
            "kind": ("Whether the block was written, renewed or deleted.", "Why."),
            "bucket": _BUCKET,
            **_HASHES,
            "block": _BLOCK,
        },
    ),
    "vault_archive": (
        "Blocks that nobody renewed. The owner can bring them back for another year.",
        {
            "id": ("How many blocks have expired.", "Whose they were."),
            "bucket": ("The year of the move.", "Any time finer than that."),
            **_HASHES,
            "block": _BLOCK,
        },
    ),
    "vault_tombstones": (
        "Ids that were deleted, so that nobody uses them again.",
        {
            "hash": ("How many blocks were deleted.", "Which ones, for somebody without the id."),
            "bucket": ("The year of the deletion.", "Any time finer than that."),
        },
    ),
    "vault_expiry": (
        "One row about the time.",
        {
            "id": ("Nothing. It is always 1.", "Nothing."),
            "frame_s": ("How long blocks are kept: one to two times this, in seconds.", "Nothing."),
            "bucket": ("The year of the last sweep.", "Anything about users."),
        },
    ),
    "vault_devices": (
        "The devices on the list of each vault.",
        {
            "account": _ACCOUNT,
            "id": ("How many devices there are.", "Which ones: it is random."),
            "record": (
                "Nothing. All have the same length.",
                "Name, kind and day of the device.",
            ),
            "proof": (
                "Whether the device can unlock by itself. A page without HTTPS cannot, and has no "
                "value here.",
                "The secret of the device.",
            ),
            "wrap": _WRAP,
            "session": (
                "With the key file too: which session put the device on the list.",
                "Anything without the key file.",
            ),
        },
    ),
    "vault_temporary_keys": (
        "Temporary keys that were not used yet.",
        {
            "account": _ACCOUNT,
            "proof": _PROOF,
            "wrap": _WRAP,
            "until_ms": _UNTIL,
            "wrong_proofs": (
                "How often somebody tried a wrong key. With the fifth, the row is deleted.",
                "What they tried.",
            ),
        },
    ),
    "vault_stages": (
        "Changes of secrets that were not completed. A row is here for a moment.",
        {
            "account": _ACCOUNT,
            "body": (
                "With the key file too: new values of vault_accounts.",
                "Anything without the key file.",
            ),
            "until_ms": _UNTIL,
        },
    ),
    "vault_attempts": (
        "Wrong passwords in a row. Users without a vault have rows too.",
        {
            "account": _ACCOUNT,
            "count": (
                "How often it was wrong since it was right. After 5, the vault waits.",
                "How near it was. There is no near.",
            ),
            "waits_until_ms": (
                "Until when the vault accepts no secret of this kind.",
                "Who it was.",
            ),
            "last_ms": ("When somebody tried last.", "Who it was."),
        },
    ),
    "vault_runs": (
        "Unlocks by password that have begun, for 60 seconds.",
        {
            "run": ("Nothing. It is random.", "The password."),
            "account": _ACCOUNT,
            "session": ("Which login of the user unlocks.", "The keys of the session."),
            "confirm": (
                "With the key file too: the answer that this one unlock must give.",
                "Anything without the key file, and the password in both cases.",
            ),
            "until_ms": _UNTIL,
        },
    ),
    "vault_schema": (
        "One row about the tables.",
        {
            "id": ("Nothing. It is always 1.", "Nothing."),
            "version": ("Which version of Certless made the tables.", "Anything about users."),
            "key_id": ("Which key file belongs to the database.", "The key."),
        },
    ),
}


async def tables(database: Path) -> list[dict[str, Any]]:
    """All tables with their columns and their first 20 rows, shortened, for ``/tables.json``."""
    return await asyncio.to_thread(_tables, database)


def _tables(database: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return [_table(connection, name) for name in WORDS]


def _table(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    purpose, columns = WORDS[name]
    names = [column.name for column in METADATA.tables[name].columns]
    # The names are constants of this module and of the vault.
    query = f"SELECT {', '.join(names)} FROM {name} LIMIT {MAX_ROWS}"  # noqa: S608
    rows = connection.execute(query).fetchall()
    (count,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608
    return {
        "name": name,
        "purpose": purpose,
        "rows": count,
        "columns": [
            {
                "name": column,
                "tells": columns[column][0],
                "hides": columns[column][1],
                "values": [_shown(column, row[at]) for row in rows],
            }
            for at, column in enumerate(names)
        ],
    }


def _shown(column: str, value: Any) -> str:
    if value is None:
        return "(empty)"
    if isinstance(value, bytes):
        rest = f"… ({len(value):,} bytes)" if len(value) > _SHOWN_BYTES else ""
        return value[:_SHOWN_BYTES].hex() + rest
    if column.endswith("_ms") and value:
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%d %b %H:%M:%S UTC")
    return str(value)
