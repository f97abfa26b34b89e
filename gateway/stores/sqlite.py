"""A store in one SQLite file: sessions and claims outlive the process, also one killed with -9.

One thread owns the connection. Whatever waits when it is free is carried out in one transaction
and answered after the commit, so that under load many claims share one sync to the disk. The
statements stand beside the thread that runs them: they are one idea, so the room is a little long.
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
from protocol.codes import CODE_ATTEMPTS
from protocol.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, NonceClaim
from protocol.session import Event, State, advance

from . import MAIL_LIMIT, MAIL_WINDOW_MS, Store

_T = TypeVar("_T")
_BATCH = 256
_CLAIMED = PASSPHRASE_ATTEMPTS + 1
_BUSY_TIMEOUT_S = 5.0

_SET_TRIES = "INSERT OR REPLACE INTO claims (session_id, tag, tries) VALUES (?, ?, ?)"
_SCHEMA = """
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
"""


class _Job:
    """One operation that waits for the thread."""

    def __init__(
        self,
        run: Callable[[sqlite3.Connection], Any],
        future: "asyncio.Future[Any]",
        empties: bool,
    ) -> None:
        self.run = run
        self.future = future
        self.empties = empties
        self.result: Any = None

    def answer(self, error: Exception | None) -> None:
        loop = self.future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._resolve, error)

    def _resolve(self, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(error)


class SqliteStore(Store):
    """Durable, and shared by all processes that open the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="certless-sqlite", daemon=True)

    async def open(self) -> None:
        """Create file (mode 0600) and tables where they are missing. Raises: StoreUnavailable."""
        self._thread.start()
        await self._do(lambda _: None)

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
            # Deleted are sealed keys: overwritten here, and gone from the journal by a sweep.
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @staticmethod
    def _switch_to_wal(connection: sqlite3.Connection) -> None:
        # SQLite's own timeout does not hold for this one step.
        give_up_s = time.monotonic() + _BUSY_TIMEOUT_S
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.02)
            else:
                return

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
                if any(job.empties for job in jobs):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (sqlite3.Error, OSError) as failure:
                error = StoreUnavailable(f"SQLite file {self._path}: {failure}")
                # The file may have been replaced: begin anew with the next batch.
                if connection is not None:
                    connection.close()
                connection = None
            for job in jobs:
                job.answer(error)
            if ended:
                break
        if connection is not None:
            connection.close()

    @staticmethod
    def _transact(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                job.result = job.run(connection)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    async def _do(self, run: Callable[[sqlite3.Connection], _T], *, empties: bool = False) -> _T:
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(run, future, empties))
        return await future

    # --- the contract ---

    async def add_login(self, session_id: bytes, sealed: bytes, expires_ms: int) -> None:
        state = advance(State.NEW, Event.SESSION_REQUESTED)

        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO sessions (id, state, sealed, expires_ms) VALUES (?, ?, ?, ?)",
                (session_id, state.value, sealed, expires_ms),
            )

        await self._do(run)

    async def claim_code(self, session_id: bytes, now_ms: int) -> bytes | None:
        claimed = advance(State.AWAITING_CODE, Event.CODE_CLAIMED)

        def run(db: sqlite3.Connection) -> bytes | None:
            row = db.execute(
                "UPDATE sessions SET state = ?, attempts = attempts + 1"
                " WHERE id = ? AND state = ? AND expires_ms >= ? RETURNING sealed",
                (claimed.value, session_id, State.AWAITING_CODE.value, now_ms),
            ).fetchone()
            return None if row is None else row[0]

        return await self._do(run)

    async def release_code(self, session_id: bytes) -> None:
        awaiting = advance(State.CODE_CLAIMED, Event.CODE_REFUSED)

        def run(db: sqlite3.Connection) -> None:
            claimed = (session_id, State.CODE_CLAIMED.value, CODE_ATTEMPTS)
            db.execute("DELETE FROM sessions WHERE id = ? AND state = ? AND attempts >= ?", claimed)
            db.execute(
                "UPDATE sessions SET state = ? WHERE id = ? AND state = ? AND attempts < ?",
                (awaiting.value, *claimed),
            )

        await self._do(run)

    async def enrol(self, session_id: bytes, sealed: bytes, expires_ms: int) -> bool:
        enrolled = advance(State.CODE_CLAIMED, Event.CLIENT_ENROLLED)

        def run(db: sqlite3.Connection) -> bool:
            cursor = db.execute(
                "UPDATE sessions SET state = ?, sealed = ?, expires_ms = ?"
                " WHERE id = ? AND state = ?",
                (enrolled.value, sealed, expires_ms, session_id, State.CODE_CLAIMED.value),
            )
            return cursor.rowcount == 1

        return await self._do(run)

    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        def run(db: sqlite3.Connection) -> bytes | None:
            row = db.execute(
                "SELECT sealed FROM sessions WHERE id = ? AND state = ? AND expires_ms >= ?",
                (session_id, State.ENROLLED.value, now_ms),
            ).fetchone()
            return None if row is None else row[0]

        return await self._do(run)

    @staticmethod
    def _passphrases(db: sqlite3.Connection, session_id: bytes, now_ms: int) -> int | None:
        """How many an open session has taken; None where it is not open."""
        row = db.execute(
            "SELECT passphrases FROM sessions WHERE id = ? AND state = ? AND expires_ms >= ?",
            (session_id, State.ENROLLED.value, now_ms),
        ).fetchone()
        return None if row is None else row[0]

    @staticmethod
    def _tries(db: sqlite3.Connection, session_id: bytes, tag: bytes) -> int:
        row = db.execute(
            "SELECT tries FROM claims WHERE session_id = ? AND tag = ?", (session_id, tag)
        ).fetchone()
        return 0 if row is None else row[0]

    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            passphrases = self._passphrases(db, session_id, now_ms)
            tries = self._tries(db, session_id, tag)
            if passphrases is None or tries >= PASSPHRASE_ATTEMPTS:
                return False
            if tries == 0:
                if passphrases >= MAX_MESSAGES:
                    db.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
                    return False
                db.execute(
                    "UPDATE sessions SET passphrases = passphrases + 1 WHERE id = ?", (session_id,)
                )
            db.execute(_SET_TRIES, (session_id, tag, tries + 1))
            return True

        return await self._do(run)

    async def claim(self, session_id: bytes, claim: NonceClaim, now_ms: int) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            if (
                self._passphrases(db, session_id, now_ms) is None
                or self._tries(db, session_id, claim.nonce_tag) > 0
                or self._tries(db, session_id, claim.passphrase_tag) == _CLAIMED
            ):
                return False
            for tag in (claim.nonce_tag, claim.passphrase_tag):
                db.execute(_SET_TRIES, (session_id, tag, _CLAIMED))
            return True

        return await self._do(run)

    async def end(self, session_id: bytes) -> None:
        await self._do(lambda db: db.execute("DELETE FROM sessions WHERE id = ?", (session_id,)))

    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            (recent,) = db.execute(
                "SELECT count(*) FROM mails WHERE user_tag = ? AND at_ms > ?",
                (user_tag, now_ms - MAIL_WINDOW_MS),
            ).fetchone()
            if recent >= limit:
                return False
            db.execute("INSERT INTO mails (user_tag, at_ms) VALUES (?, ?)", (user_tag, now_ms))
            return True

        return await self._do(run)

    async def sweep(self, now_ms: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM mails WHERE at_ms <= ?", (now_ms - MAIL_WINDOW_MS,))
            return db.execute("DELETE FROM sessions WHERE expires_ms < ?", (now_ms,)).rowcount

        return await self._do(run, empties=True)
