"""The database of a ticket store: SQLite or PostgreSQL, by its URL."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import ConfigError, StoreUnavailable

from .history import History, PostgresqlHistory, SqliteHistory

_BUSY_S = 5
_ANSWER_S = 10
# A commit that was answered is on the disk. Deleted values, which are sealed, are overwritten.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
_POSTGRESQL = {
    "synchronous_commit": "on",
    "statement_timeout": f"{_ANSWER_S}s",
    # A process that was stopped in a transaction keeps all others waiting.
    "idle_in_transaction_session_timeout": "90s",
}
_FAILURES = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class Database:
    """The connections to the database. Several processes can use one database."""

    def __init__(self, url: str) -> None:
        """``url`` is ``sqlite:PATH`` or ``postgresql://…``. Raises: ConfigError."""
        self.file, self.where, self._engine = _engine(url)
        self.history: History = SqliteHistory(self.file) if self.file else PostgresqlHistory()
        self._turn = asyncio.Lock()

    def open(self) -> None:
        """Check the machine and create the file of SQLite. Raises: ConfigError."""
        self.history.open()
        if self.file:
            _make_private(self.file)

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that only reads. Raises: StoreUnavailable."""
        async with self.errors_named(), self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. It is on the disk after the block, or undone if the block raises.

        In this process it is the only one. Raises: StoreUnavailable.
        """
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._turn.acquire()
        except TimeoutError:
            raise self.unavailable("too many requests are waiting for it") from None
        try:
            async with self.errors_named(), self._engine.connect() as connection:
                if self.file:
                    # A transaction that reads before it writes could fail if it began later.
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                await connection.commit()
        finally:
            self._turn.release()

    @asynccontextmanager
    async def errors_named(self) -> AsyncIterator[None]:
        """Errors of the library become StoreUnavailable: their text can have values."""
        try:
            yield
        except _FAILURES as error:
            raise self.unavailable(f"it does not answer ({_kind_of(error)})") from None

    def unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"the ticket store {self.where}: {reason}")


def _kind_of(error: BaseException) -> str:
    cause: BaseException = error.orig if isinstance(error, DBAPIError) and error.orig else error
    # asyncpg's own error is the cause of the error that SQLAlchemy makes of it.
    return type(cause.__cause__ or cause).__name__


def _engine(url: str) -> tuple[Path | None, str, AsyncEngine]:
    """The file (of SQLite), a name for messages, and the connections. Raises: ConfigError."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest and not rest.startswith("//"):
        file = Path(rest)
        sqlite = URL.create("sqlite+aiosqlite", database=str(file))
        # Values never go into errors or logs.
        engine = create_async_engine(
            sqlite, connect_args={"timeout": _BUSY_S}, hide_parameters=True
        )
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        return file, f"sqlite:{file}", engine
    with suppress(ArgumentError):
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            arguments = {
                "server_settings": _POSTGRESQL,
                "timeout": _BUSY_S,
                "command_timeout": _ANSWER_S,
            }
            engine = create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                connect_args=arguments,
                hide_parameters=True,
                pool_pre_ping=True,
            )
            host = parsed.host or parsed.query.get("host", "localhost")
            return None, f"in PostgreSQL at {host}", engine
    raise ConfigError("the ticket store must be sqlite:PATH or postgresql://USER@HOST/NAME")


def _set_pragmas(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _make_private(file: Path) -> None:
    """Create the file with mode 0600, which SQLite gives to its journal. Raises: ConfigError."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(f"the ticket store sqlite:{file}: {error.strerror}") from None
    if file.stat().st_mode & 0o077:
        raise ConfigError(f"other users can read the ticket store {file}: chmod 600 {file}")
