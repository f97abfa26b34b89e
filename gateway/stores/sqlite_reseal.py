"""Every sealed record of the SQLite file, sealed anew."""

import sqlite3

from . import Reseal

# What is sealed: the kind of it, where it stands, and what it is sealed under.
_SEALED = (
    ("session", "sessions", "id"),
    ("handshake", "handshakes", "id"),
    ("exchange", "exchanges", "id"),
    ("chain", "chains", "id"),
    ("ticket", "tickets", "hash"),
    ("issued code", "codes", "id"),
)
_PORTION = 1000


def reseal_all(db: sqlite3.Connection, reseal: Reseal) -> int:
    """``Store.reseal``, inside a transaction; where it raises, nothing of it has happened."""
    db.execute("SAVEPOINT before")
    try:
        return sum(_reseal(db, reseal, *one) for one in _SEALED)
    except Exception:
        db.execute("ROLLBACK TO before")
        raise
    finally:
        db.execute("RELEASE before")


def _reseal(db: sqlite3.Connection, reseal: Reseal, kind: str, table: str, key: str) -> int:
    """How many records of a kind have changed. The record of a spent login is empty."""
    changed = 0
    select = f"SELECT {key}, sealed FROM {table} WHERE sealed != x'' AND {key} > ?"  # noqa: S608
    update = f"UPDATE {table} SET sealed = ? WHERE {key} = ?"  # noqa: S608
    last = b""
    # In portions, for there may be many, and in their order, so that pages are written once.
    while rows := db.execute(f"{select} ORDER BY {key} LIMIT {_PORTION}", (last,)).fetchall():
        new = [(reseal(kind, one, sealed), one) for one, sealed in rows]
        other = [pair for pair, (_, sealed) in zip(new, rows, strict=True) if pair[0] != sealed]
        db.executemany(update, other)
        changed += len(other)
        last = rows[-1][0]
    return changed
