"""The rows of a dump in their physical order: a file of SQLite, or a plain dump by ``pg_dump``."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Value: TypeAlias = "bytes | int | float | str | None"

_MAGIC = b"SQLite format 3\0"
_COPY = re.compile(rb"COPY (?:\w+\.)?(\w+) \(([^)]*)\) FROM stdin;")
_ESCAPED = re.compile(rb"\\(.)")
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class NotADump(Exception):
    """The file is neither a database of SQLite nor a plain dump of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump. ``tables`` has the names of the columns of each table."""

    path: Path
    tables: dict[str, tuple[str, ...]]
    is_sqlite: bool

    def rows(self, table: str) -> Iterator[tuple[Value, ...]]:
        """The rows of a table, in the order in which they lie in the dump."""
        return _sqlite_rows(self, table) if self.is_sqlite else _copied_rows(self.path, table)

    def pages(self, table: str) -> list[int]:
        """The first overflow page of each row in a leaf, in the order of the keys.

        Empty if the dump has no pages, or if this SQLite cannot list them.
        """
        if not self.is_sqlite:
            return []
        query = "SELECT path, pageno, pagetype FROM dbstat WHERE name = ? ORDER BY path"
        with closing(_opened(self.path)) as connection:
            try:
                found = connection.execute(query, (table,)).fetchall()
            except sqlite3.OperationalError:
                return []
        internal = {path for path, _, kind in found if kind == "internal"}
        # "/1c2/000+000000" is the first overflow page of the first row in the page "/1c2/".
        return [
            page
            for path, page, _ in found
            if path.endswith("+000000") and path[: path.rindex("/") + 1] not in internal
        ]


def read(path: Path) -> Dump:
    """Raises: NotADump, OSError."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            return Dump(path, _sqlite_tables(path), is_sqlite=True)
    tables = {}
    with path.open("rb") as file:
        for line in file:
            if found := _COPY.match(line):
                names = found[2].decode().replace('"', "").split(", ")
                tables[found[1].decode()] = tuple(names)
    if not tables:
        raise NotADump(
            f"{path} is no database of SQLite and no plain dump of PostgreSQL: use the file of the "
            "database, or pg_dump --format=plain"
        )
    return Dump(path, tables, is_sqlite=False)


def _opened(path: Path) -> sqlite3.Connection:
    # Read as it is, without a journal: nothing of the dump changes.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _sqlite_tables(path: Path) -> dict[str, tuple[str, ...]]:
    with closing(_opened(path)) as connection:
        try:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: tuple(row[1] for row in connection.execute(f'PRAGMA table_info("{name}")'))
                for (name,) in names.fetchall()
                if not name.startswith("sqlite_")
            }
        except sqlite3.DatabaseError as error:
            raise NotADump(f"{path} cannot be read as a database of SQLite: {error}") from None


def _sqlite_rows(dump: Dump, table: str) -> Iterator[tuple[Value, ...]]:
    with closing(_opened(dump.path)) as connection:
        query = f'SELECT * FROM "{table}" NOT INDEXED ORDER BY rowid'  # noqa: S608
        try:
            rows = connection.execute(query)
        except sqlite3.OperationalError:
            # Without rowids, the rows lie in the order of their keys.
            rows = connection.execute(f'SELECT * FROM "{table}" NOT INDEXED')  # noqa: S608
        yield from rows


def _copied_rows(path: Path, table: str) -> Iterator[tuple[Value, ...]]:
    with path.open("rb") as file:
        is_inside = False
        for line in file:
            if is_inside:
                if line == b"\\.\n":
                    return
                yield tuple(_value(field) for field in line.rstrip(b"\n").split(b"\t"))
            elif found := _COPY.match(line):
                is_inside = found[1].decode() == table


def _value(field: bytes) -> Value:
    if field == rb"\N":
        return None
    if field.startswith(rb"\\x"):
        return bytes.fromhex(field[3:].decode())
    if re.fullmatch(rb"-?\d+", field):
        return int(field)
    plain = _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), field)
    return plain.decode(errors="replace")
