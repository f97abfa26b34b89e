"""One SQLite file and the thread that uses it.

The thread runs all waiting operations in one transaction and answers them after the commit, so
under load many claims share one sync to the disk. ``store.py`` has the operations.
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import StoreUnavailable
from gateway.stores import Store
from protocol.common.errors import ProtocolError

_T = TypeVar("_T")
_BATCH = 256
_BUSY_TIMEOUT_S = 5.0

# Step n converts a file of version n to version n + 1. Released steps never change.
_STEPS = (
    """
CREATE TABLE IF NOT EXISTS sessions (
    id BLOB PRIMARY KEY, state TEXT NOT NULL, sealed BLOB NOT NULL, expires_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, passphrases INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    session_id BLOB NOT NULL REFERENCES sessions ON DELETE CASCADE, tag BLOB NOT NULL,
    tries INTEGER NOT NULL,
    PRIMARY KEY (session_id, tag)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mails (user_tag BLOB NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS mails_by_user ON mails (user_tag, at_ms);
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_ms);
""",
    """
ALTER TABLE sessions ADD COLUMN user_tag BLOB NOT NULL DEFAULT x'';
ALTER TABLE sessions ADD COLUMN chain_id BLOB;
ALTER TABLE sessions ADD COLUMN forgotten_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_by_chain ON sessions (chain_id) WHERE chain_id IS NOT NULL;
CREATE TABLE salts (
    session_id BLOB NOT NULL REFERENCES sessions ON DELETE CASCADE, salt BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (session_id, salt)
) WITHOUT ROWID;
CREATE TABLE windows (
    session_id BLOB PRIMARY KEY REFERENCES sessions ON DELETE CASCADE, numbers BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE handshakes (
    id BLOB PRIMARY KEY, sealed BLOB NOT NULL, expires_ms INTEGER NOT NULL,
    user_tag BLOB NOT NULL, code_id BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE exchanges (
    id BLOB PRIMARY KEY, sealed BLOB NOT NULL, expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE chains (
    id BLOB PRIMARY KEY, sealed BLOB NOT NULL, expires_ms INTEGER NOT NULL, user_tag BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE tickets (
    hash BLOB PRIMARY KEY, chain_id BLOB NOT NULL REFERENCES chains ON DELETE CASCADE,
    sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_chain ON tickets (chain_id);
CREATE TABLE codes (
    user_tag BLOB PRIMARY KEY, id BLOB NOT NULL, sealed BLOB NOT NULL,
    expires_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
""",
    """
CREATE TABLE counters (
    key BLOB PRIMARY KEY, value INTEGER NOT NULL, expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX counters_by_expiry ON counters (expires_ms);
CREATE INDEX sessions_by_user ON sessions (user_tag, state, expires_ms);
CREATE INDEX open_sessions ON sessions (state, expires_ms);
CREATE INDEX salts_by_expiry ON salts (expires_ms);
CREATE INDEX chains_by_expiry ON chains (expires_ms);
""",
    """
CREATE TABLE tag_keys (id BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
""",
    """
ALTER TABLE codes RENAME TO codes_of_users;
CREATE TABLE codes (
    user_tag BLOB NOT NULL, device_tag BLOB NOT NULL, id BLOB NOT NULL, sealed BLOB NOT NULL,
    expires_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_tag, device_tag)
) WITHOUT ROWID;
INSERT INTO codes (user_tag, device_tag, id, sealed, expires_ms, attempts)
    SELECT user_tag, x'', id, sealed, expires_ms, attempts FROM codes_of_users;
DROP TABLE codes_of_users;
CREATE INDEX codes_by_id ON codes (id);
""",
    """
ALTER TABLE chains ADD COLUMN seen_ms INTEGER;
ALTER TABLE chains ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
""",
)
# The version of files that this code writes.
FILE_VERSION = len(_STEPS)


class _Job:
    """One operation for the thread."""

    def __init__(
        self,
        run: Callable[[sqlite3.Connection], Any],
        future: "asyncio.Future[Any]",
        truncates_journal: bool,
    ) -> None:
        self.run = run
        self.future = future
        self.truncates_journal = truncates_journal
        self.result: Any = None
        self.rejection: Exception | None = None

    def answer(self, error: Exception | None) -> None:
        """In the loop of the future."""
        if self.future.done():
            return
        error = error or self.rejection
        if error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(error)


def _answer(jobs: list[_Job], error: Exception | None) -> None:
    """Resolve the futures, with one call into each loop: a call wakes the loop by a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.future.get_loop(), []).append(job)

    def answer(of_loop: list[_Job]) -> None:
        for job in of_loop:
            job.answer(error)

    for loop, of_loop in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(answer, of_loop)


class SqliteFile(Store):
    """The file of a store: opens it, converts it to this version, and runs operations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="certless-sqlite", daemon=True)

    async def open(self) -> None:
        """Create the file (mode 0600) and the tables if missing. Raises: StoreUnavailable."""
        self._thread.start()
        await self.ping()

    async def ping(self) -> None:
        def run(db: sqlite3.Connection) -> None:
            # A counter that has expired: nothing reads it, and a sweep deletes it.
            db.execute("INSERT OR REPLACE INTO counters (key, value, expires_ms) VALUES ('', 0, 0)")

        await self._do(run)

    async def close(self) -> None:
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- the thread ---

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self._path, isolation_level=None, timeout=_BUSY_TIMEOUT_S, check_same_thread=False
        )
        try:
            self._switch_to_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            # 64 MiB: about 100,000 sessions can be read without a system call.
            connection.execute("PRAGMA cache_size = -65536")
            # Overwrite deleted records, which are sealed keys. A sweep truncates the journal.
            connection.execute("PRAGMA secure_delete = ON")
            self._convert(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @staticmethod
    def _switch_to_wal(connection: sqlite3.Connection) -> None:
        # SQLite's own timeout does not apply to this statement.
        deadline_s = time.monotonic() + _BUSY_TIMEOUT_S
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.02)
            else:
                return

    @staticmethod
    def _convert(connection: sqlite3.Connection) -> None:
        # In one exclusive transaction: another process can open the file at the same time.
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FILE_VERSION:
            raise sqlite3.DatabaseError("written by a later version of Certless")
        for step in _STEPS[version:]:
            for statement in filter(str.strip, step.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FILE_VERSION}")
        connection.execute("COMMIT")

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while (first := self._jobs.get()) is not None:
            jobs = [first]
            ended = False
            while len(jobs) < _BATCH and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    ended = True
                    break
                jobs.append(job)
            error: Exception | None = None
            try:
                connection = connection or self._connect()
                self._transact(connection, jobs)
                if any(job.truncates_journal for job in jobs):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (sqlite3.Error, OSError, ProtocolError) as failure:
                error = StoreUnavailable(f"SQLite file {self._path}: {failure}")
                # The file may have been replaced: open it again for the next batch.
                if connection is not None:
                    connection.close()
                connection = None
            _answer(jobs, error)
            if ended:
                break
        if connection is not None:
            connection.close()

    @staticmethod
    def _transact(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                try:
                    job.result = job.run(connection)
                except (sqlite3.Error, ProtocolError):
                    raise
                except Exception as rejection:
                    # This operation has changed nothing; the others continue.
                    job.rejection = rejection
            connection.execute("COMMIT")
        except (sqlite3.Error, ProtocolError):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    async def _do(
        self, run: Callable[[sqlite3.Connection], _T], *, truncates_journal: bool = False
    ) -> _T:
        """The result of ``run``, after the commit. If it raises, it must have changed nothing."""
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(run, future, truncates_journal))
        return await future
