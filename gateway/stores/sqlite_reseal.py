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
    for (one,) in db.execute(f"SELECT {key} FROM {table} WHERE sealed != x''").fetchall():  # noqa: S608
        (sealed,) = db.execute(f"SELECT sealed FROM {table} WHERE {key} = ?", (one,)).fetchone()  # noqa: S608
        new = reseal(kind, one, sealed)
        if new != sealed:
            db.execute(f"UPDATE {table} SET sealed = ? WHERE {key} = ?", (new, one))  # noqa: S608
            changed += 1
    return changed
