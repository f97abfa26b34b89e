"""Whether a database has run since its last change, or can have been put back since (STORAGE §4).

PostgreSQL can answer this itself. It has a number that never changes (``system_identifier``), and
the time of its start. A restored copy and a replica that became the primary have another start. A
copy of the database in the same server has another number (``oid``). A dump that was loaded has
rows of another transaction.

SQLite is only a file. So the processes that use it keep its position in the memory of the machine
(``/dev/shm``) too. That memory is in no backup, and a restart of the machine clears it.
"""

import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, literal, literal_column

from gateway.errors import ConfigError

from .tables import FENCE

MEMORY = Path("/dev/shm")  # noqa: S108 (0600, and the name is random)
_DIGITS = 20


class History(ABC):
    """``name`` of the present server, ``transaction`` that writes, and ``continues`` are SQL."""

    name: ColumnElement[Any]
    transaction: ColumnElement[Any]
    continues: ColumnElement[Any]

    @abstractmethod
    def open(self) -> None:
        """Check that this machine can tell. Raises: ConfigError."""

    @abstractmethod
    def begin(self, generation: str, position: int) -> None:
        """A new generation begins."""

    @abstractmethod
    def holds(self, generation: str, position: int) -> bool:
        """Whether the generation has run on, and never beyond ``position``."""

    @abstractmethod
    def note(self, generation: str, position: int) -> None:
        """A change was committed. Raises: OSError, if that cannot be noted."""

    @abstractmethod
    def end(self, generation: str) -> None:
        """A generation is over."""


class PostgresqlHistory(History):
    """The history of a PostgreSQL server, which the server itself knows."""

    name = literal_column(
        "(SELECT system_identifier::text FROM pg_control_system())"
        " || ' ' || extract(epoch FROM pg_postmaster_start_time())::text"
        " || ' ' || (SELECT oid::text FROM pg_database WHERE datname = current_database())"
    )
    transaction = literal_column("txid_current()")
    # A row keeps the number of its transaction. A row that was loaded has another one.
    continues = (FENCE.c.history == name) & (
        FENCE.c.written_by % 4294967296
        == literal_column("certless_ticket_fence.xmin::text::bigint")
    )

    def open(self) -> None:
        """Any server can."""

    def begin(self, generation: str, position: int) -> None:
        """The row of the fence has it."""

    def holds(self, generation: str, position: int) -> bool:
        return True

    def note(self, generation: str, position: int) -> None:
        """The row of the fence has it."""

    def end(self, generation: str) -> None:
        """The row of the fence has it."""


class SqliteHistory(History):
    """The history of a file: its position in the memory of the machine."""

    name = literal("")
    transaction = literal(0)
    continues = literal(value=True)

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self) -> None:
        if not MEMORY.is_dir():
            raise ConfigError(
                f"a ticket store in SQLite needs {MEMORY}, which this machine does not have: use "
                "postgresql://USER@HOST/NAME"
            )

    @staticmethod
    def _path(generation: str) -> Path:
        return MEMORY / f"certless-tickets-{generation}"

    def begin(self, generation: str, position: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        handle = os.open(self._path(generation), flags, 0o600)
        try:
            if os.geteuid() == 0:
                # A command of root must not take the memory away from the gateway.
                owner = self._file.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
            os.pwrite(handle, _number(position), 0)
        finally:
            os.close(handle)

    def holds(self, generation: str, position: int) -> bool:
        with suppress(OSError, ValueError), self._locked(generation) as handle:
            return int(os.pread(handle, _DIGITS, 0)) <= position
        return False

    def note(self, generation: str, position: int) -> None:
        with self._locked(generation) as handle:
            # Processes come here in any order.
            if int(os.pread(handle, _DIGITS, 0)) < position:
                os.pwrite(handle, _number(position), 0)

    def end(self, generation: str) -> None:
        self._path(generation).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, generation: str) -> Iterator[int]:
        handle = os.open(self._path(generation), os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)


def _number(position: int) -> bytes:
    return f"{position:0{_DIGITS}}".encode()
