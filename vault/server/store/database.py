"""A database of the vault: SQLite or PostgreSQL, by its URL."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from certless import ConfigError
from vault.server.errors import Unavailable

from .block_transaction import BlockTransaction, Lock
from .migrations import STEPS, Step, migrate
from .rewriting import rewrite
from .transaction import Transaction

_BUSY_TIMEOUT_S = 10
# A commit that was answered is on the disk. Deleted values are overwritten with zeros.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")


class BlockDatabase(Protocol):
    """A database as the handlers of blocks see it: without accounts."""

    def blocks(self, lock: Lock = "none") -> AbstractAsyncContextManager[BlockTransaction]: ...


class Database:
    """The tables of the vault. Several processes can use one database."""

    def __init__(self, url: str) -> None:
        """``url`` is ``sqlite:PATH`` or ``postgresql://…``. Raises: ConfigError."""
        self._file, self._engine = _engine(url)

    @property
    def file(self) -> Path | None:
        """The file, in SQLite."""
        return self._file

    async def open(self, key_id: bytes, steps: Sequence[Step] = STEPS) -> None:
        """Create or update the tables. Raises: ConfigError, Unavailable."""
        if self._file is not None:
            _make_private(self._file)
        async with _errors_named(), self._engine.begin() as connection:
            await connection.run_sync(migrate, key_id, steps)

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """One transaction. It is on the disk after the block, or undone if the block raises.

        Raises: Unavailable.
        """
        async with _errors_named(), self._engine.begin() as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def blocks(self, lock: Lock = "none") -> AsyncIterator[BlockTransaction]:
        """A transaction on the tables of blocks, which cannot read or write an account.

        Raises: Unavailable.
        """
        async with _errors_named(), self._engine.begin() as connection:
            transaction = BlockTransaction(connection)
            await transaction.take(lock)
            yield transaction

    async def rewrite(self) -> None:
        """Write the tables again in the order of their keys. Raises: Unavailable."""
        async with _errors_named(), self._engine.connect() as connection:
            await rewrite(connection)


@asynccontextmanager
async def _errors_named() -> AsyncIterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError) as error:
        # The text of the library has the statement and its values.
        raise Unavailable(f"the vault's database does not answer: {_kind_of(error)}") from None


def _kind_of(error: Exception) -> str:
    cause: BaseException = error.orig if isinstance(error, DBAPIError) and error.orig else error
    # asyncpg's own error is the cause of the one that SQLAlchemy makes of it.
    return type(cause.__cause__ or cause).__name__


def _engine(url: str) -> tuple[Path | None, AsyncEngine]:
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest and not rest.startswith("//"):
        file = Path(rest)
        sqlite = URL.create("sqlite+aiosqlite", database=str(file))
        # Values are secrets of users: they never go into errors or logs.
        engine = create_async_engine(
            sqlite, connect_args={"timeout": _BUSY_TIMEOUT_S}, hide_parameters=True
        )
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
        return file, engine
    with suppress(ArgumentError):
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            asked = parsed.set(drivername="postgresql+asyncpg")
            durable = {"server_settings": {"synchronous_commit": "on"}}
            return None, create_async_engine(
                asked, connect_args=durable, hide_parameters=True, pool_pre_ping=True
            )
    raise ConfigError("the vault's database must be sqlite:PATH or postgresql://USER@HOST/NAME")


def _set_pragmas(connection: Any, _: Any) -> None:
    # Without it, the driver begins a transaction by itself, and only at the first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that begins to read and then writes would fail if another one wrote meanwhile.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_private(file: Path) -> None:
    """Create the file with mode 0600, which SQLite gives to its journal. Raises: ConfigError."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        mode = os.fstat(handle).st_mode
        os.close(handle)
    except OSError as error:
        raise ConfigError(f"the vault's database {file}: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigError(f"other users can read the vault's database {file}: chmod 600 {file}")
