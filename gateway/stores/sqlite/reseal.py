"""Seals all records of the SQLite file with a new key; converts user tags."""

import sqlite3

from gateway.stores import TAG_KEY_ID, Reseal, Retag

# The sealed records: their kind, their table, and the column of the id that they are sealed under.
_SEALED = (
    ("session", "sessions", "id"),
    ("handshake", "handshakes", "id"),
    ("exchange", "exchanges", "id"),
    ("chain", "chains", "id"),
    ("ticket", "tickets", "hash"),
    ("issued code", "codes", "id"),
    ("tag key", "tag_keys", "id"),
)
_TAGGED = ("sessions", "handshakes", "chains", "codes", "mails")
_PORTION = 1000


def reseal_all(db: sqlite3.Connection, reseal: Reseal) -> int:
    """``Store.reseal``, inside a transaction; if it raises, nothing is changed."""
    db.execute("SAVEPOINT before")
    try:
        return sum(_reseal(db, reseal, *one) for one in _SEALED)
    except Exception:
        db.execute("ROLLBACK TO before")
        raise
    finally:
        db.execute("RELEASE before")


def _reseal(db: sqlite3.Connection, reseal: Reseal, kind: str, table: str, key: str) -> int:
    """Reseal one kind of record; the number of changes. A used login has an empty record."""
    changed = 0
    select = f"SELECT {key}, sealed FROM {table} WHERE sealed != x'' AND {key} > ?"  # noqa: S608
    update = f"UPDATE {table} SET sealed = ? WHERE {key} = ?"  # noqa: S608
    last = b""
    # In portions, because there can be many, and in order, so that each page is written once.
    while rows := db.execute(f"{select} ORDER BY {key} LIMIT {_PORTION}", (last,)).fetchall():
        new = [(reseal(kind, one, sealed), one) for one, sealed in rows]
        other = [pair for pair, (_, sealed) in zip(new, rows, strict=True) if pair[0] != sealed]
        db.executemany(update, other)
        changed += len(other)
        last = rows[-1][0]
    return changed


def find_tag_key(db: sqlite3.Connection) -> bytes | None:
    """``Store.tag_key``."""
    row = db.execute("SELECT sealed FROM tag_keys WHERE id = ?", (TAG_KEY_ID,)).fetchone()
    return bytes(row[0]) if row else None


def keep_tag_key(db: sqlite3.Connection, offered: bytes, retag: Retag) -> bytes:
    """``Store.keep_tag_key``, inside a transaction."""
    if (existing := find_tag_key(db)) is not None:
        return existing
    db.execute("INSERT INTO tag_keys (id, sealed) VALUES (?, ?)", (TAG_KEY_ID, offered))
    db.create_function("retag", 1, retag, deterministic=True)
    for table in _TAGGED:
        # Sessions of the first version have no tag.
        db.execute(f"UPDATE {table} SET user_tag = retag(user_tag) WHERE user_tag != x''")  # noqa: S608
    # Their keys are unkeyed hashes of names and addresses, which are not used any more.
    db.execute("DELETE FROM counters WHERE key != ''")
    return offered
