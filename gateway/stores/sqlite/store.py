"""A store in one SQLite file: sessions and claims survive the process, also ``kill -9``.

This module has classic logins, sessions, claims and mails. ``handshakes.py`` has hardened logins,
tickets and codes; ``file.py`` has the thread that runs the statements.
"""

import sqlite3

from gateway.errors import SessionChanged
from gateway.stores import (
    MAIL_LIMIT,
    MAIL_WINDOW_MS,
    Counter,
    Reseal,
    Retag,
    SessionCaps,
    StoredSession,
)
from protocol.classic.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, NonceClaim
from protocol.classic.session import Event, State, advance
from protocol.common.codes import CODE_ATTEMPTS
from protocol.hardened.replay_window import FreshnessClaim, ReplayWindow

from .handshakes import SqliteHandshakes, check_caps
from .reseal import find_tag_key, keep_tag_key, reseal_all

_CLAIMED = PASSPHRASE_ATTEMPTS + 1
_SET_TRIES = "INSERT OR REPLACE INTO claims (session_id, tag, tries) VALUES (?, ?, ?)"


class SqliteStore(SqliteHandshakes):
    """A durable store, which several processes can share."""

    async def add_login(
        self, session_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        state = advance(State.NEW, Event.SESSION_REQUESTED)

        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO sessions (id, state, sealed, expires_ms, user_tag)"
                " VALUES (?, ?, ?, ?, ?)",
                (session_id, state.value, sealed, expires_ms, user_tag),
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

    async def enrol(
        self, session_id: bytes, sealed: bytes, expires_ms: int, caps: SessionCaps | None = None
    ) -> bool:
        enrolled = advance(State.CODE_CLAIMED, Event.CLIENT_ENROLLED)

        def run(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "SELECT user_tag FROM sessions WHERE id = ? AND state = ?",
                (session_id, State.CODE_CLAIMED.value),
            ).fetchone()
            if row is None:
                return False
            check_caps(db, caps, row[0])
            db.execute(
                "UPDATE sessions SET state = ?, sealed = ?, expires_ms = ? WHERE id = ?",
                (enrolled.value, sealed, expires_ms, session_id),
            )
            return True

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
        """The number of passphrases of a session; None if it is not open."""
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

    async def claim_message(
        self, session_id: bytes, sealed: bytes, claim: FreshnessClaim, now_ms: int
    ) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "SELECT forgotten_ms FROM sessions"
                " WHERE id = ? AND state = ? AND expires_ms >= ? AND sealed = ?",
                (session_id, State.ENROLLED.value, now_ms, sealed),
            ).fetchone()
            if row is None:
                raise SessionChanged
            if claim.fresh == "clock":
                return self._claim_salt(db, session_id, claim, row[0], now_ms)
            return self._claim_number(db, session_id, claim)

        return await self._do(run)

    @staticmethod
    def _claim_salt(
        db: sqlite3.Connection,
        session_id: bytes,
        claim: FreshnessClaim,
        forgotten_ms: int,
        now_ms: int,
    ) -> bool:
        if claim.expires_ms < forgotten_ms:
            return now_ms > claim.expires_ms
        cursor = db.execute(
            "INSERT OR IGNORE INTO salts (session_id, salt, expires_ms) VALUES (?, ?, ?)",
            (session_id, claim.salt, claim.expires_ms),
        )
        return cursor.rowcount == 1

    @staticmethod
    def _claim_number(db: sqlite3.Connection, session_id: bytes, claim: FreshnessClaim) -> bool:
        row = db.execute(
            "SELECT numbers FROM windows WHERE session_id = ?", (session_id,)
        ).fetchone()
        window = ReplayWindow() if row is None else ReplayWindow.parse(row[0])
        claimed = window.claim(claim.value)
        if claimed is None:
            return False
        db.execute(
            "INSERT OR REPLACE INTO windows (session_id, numbers) VALUES (?, ?)",
            (session_id, claimed.serialize()),
        )
        return True

    async def swap(self, session_id: bytes, old: bytes, new: bytes) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            cursor = db.execute(
                "UPDATE sessions SET sealed = ? WHERE id = ? AND state = ? AND sealed = ?",
                (new, session_id, State.ENROLLED.value, old),
            )
            return cursor.rowcount == 1

        return await self._do(run)

    async def end(self, session_id: bytes) -> None:
        def run(db: sqlite3.Connection) -> None:
            for table in ("sessions", "handshakes", "exchanges"):
                db.execute(f"DELETE FROM {table} WHERE id = ?", (session_id,))  # noqa: S608

        await self._do(run)

    async def sessions(self, now_ms: int) -> list[StoredSession]:
        def run(db: sqlite3.Connection) -> list[StoredSession]:
            rows = db.execute(
                "SELECT id, sealed, expires_ms FROM sessions WHERE state = ? AND expires_ms >= ?",
                (State.ENROLLED.value, now_ms),
            )
            return [StoredSession(*row) for row in rows]

        return await self._do(run)

    async def count_sessions(self, now_ms: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            (count,) = db.execute(
                "SELECT count(*) FROM sessions WHERE state = ? AND expires_ms >= ?",
                (State.ENROLLED.value, now_ms),
            ).fetchone()
            return int(count)

        return await self._do(run)

    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            (recent,) = db.execute(
                "SELECT count(*) FROM mails WHERE user_tag = ? AND at_ms > ? AND at_ms < ?",
                (user_tag, now_ms - MAIL_WINDOW_MS, now_ms + MAIL_WINDOW_MS),
            ).fetchone()
            if recent >= limit:
                return False
            db.execute("INSERT INTO mails (user_tag, at_ms) VALUES (?, ?)", (user_tag, now_ms))
            return True

        return await self._do(run)

    async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
        def run(db: sqlite3.Connection) -> Counter:
            row = db.execute(
                "SELECT value, expires_ms FROM counters WHERE key = ? AND expires_ms >= ?",
                (key, now_ms),
            ).fetchone()
            value, expires_ms = row or (0, now_ms + lifetime_ms)
            if amount:
                value += amount
                expires_ms = min(expires_ms, now_ms + lifetime_ms)
                db.execute(
                    "INSERT OR REPLACE INTO counters (key, value, expires_ms) VALUES (?, ?, ?)",
                    (key, value, expires_ms),
                )
            return Counter(value, expires_ms)

        return await self._do(run)

    async def tag_key(self) -> bytes | None:
        return await self._do(find_tag_key)

    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        # So that no old tag remains in the journal.
        return await self._do(lambda db: keep_tag_key(db, offered, retag), truncates_journal=True)

    async def reseal(self, reseal: Reseal) -> int:
        return await self._do(lambda db: reseal_all(db, reseal), truncates_journal=True)

    async def sweep(self, now_ms: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM mails WHERE at_ms <= ?", (now_ms - MAIL_WINDOW_MS,))
            # For each session: a clock that was ahead must not affect later sessions.
            db.execute(
                "UPDATE sessions SET forgotten_ms = max(forgotten_ms, ?)"
                " WHERE id IN (SELECT session_id FROM salts WHERE expires_ms < ?)",
                (now_ms, now_ms),
            )
            for table in ("exchanges", "codes", "chains", "salts", "counters"):
                db.execute(f"DELETE FROM {table} WHERE expires_ms < ?", (now_ms,))  # noqa: S608
            logins = db.execute("DELETE FROM handshakes WHERE expires_ms < ?", (now_ms,))
            sessions = db.execute("DELETE FROM sessions WHERE expires_ms < ?", (now_ms,))
            return logins.rowcount + sessions.rowcount

        return await self._do(run, truncates_journal=True)
