"""Hardened logins, tickets and issued codes in the SQLite file."""

import sqlite3
from collections.abc import Sequence

from gateway.stores import (
    Attempt,
    IssuedCode,
    NewChain,
    NewCode,
    NewSession,
    SessionCaps,
    StoredChain,
    StoredTicket,
)
from gateway.stores.caps import OF_ALL_USERS, OF_THIS_USER, cap_reached
from protocol.classic.session import State
from protocol.common.codes import CODE_ATTEMPTS

from .file import SqliteFile

_OPEN = "FROM sessions WHERE state = ? AND expires_ms >= ?"
_ADD_CHAIN = "INSERT INTO chains (id, sealed, expires_ms, user_tag, seen_ms) VALUES (?, ?, ?, ?, ?)"
_ADD_TICKET = "INSERT INTO tickets (hash, chain_id, sealed) VALUES (?, ?, ?)"


def check_caps(
    db: sqlite3.Connection, caps: SessionCaps | None, user_tag: bytes, chain_id: bytes = b""
) -> None:
    """Raises: RateLimited, if one more session is too many; the chain's session ends before."""
    if caps is None:
        return
    is_open = (State.ENROLLED.value, caps.now_ms)
    (replaced,) = db.execute(
        f"SELECT count(*) {_OPEN} AND chain_id = ?",
        (*is_open, chain_id),
    ).fetchone()
    for cap, condition, parameters, whose in (
        (caps.per_user, "AND user_tag = ?", (user_tag,), OF_THIS_USER),
        (caps.in_all, "", (), OF_ALL_USERS),
    ):
        counted = (*is_open, *parameters)
        (count,) = db.execute(f"SELECT count(*) {_OPEN} {condition}", counted).fetchone()
        if cap and count - replaced >= cap:
            (first_ms,) = db.execute(
                f"SELECT min(expires_ms) {_OPEN} {condition} AND chain_id IS NOT ?",
                (*counted, chain_id),
            ).fetchone()
            raise cap_reached(caps, whose, first_ms)


class SqliteHandshakes(SqliteFile):
    """The methods of ``SqliteStore`` for hardened logins, tickets and codes."""

    # --- logging in and resuming ---

    async def add_handshake(
        self,
        session_id: bytes,
        sealed: bytes,
        expires_ms: int,
        user_tag: bytes,
        code_id: bytes = b"",
        device_tag: bytes = b"",  # the id is enough to find the code
    ) -> None:
        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO handshakes (id, sealed, expires_ms, user_tag, code_id)"
                " VALUES (?, ?, ?, ?, ?)",
                (session_id, sealed, expires_ms, user_tag, code_id),
            )

        await self._do(run)

    async def claim_attempt(self, session_id: bytes, now_ms: int) -> Attempt | None:
        def run(db: sqlite3.Connection) -> Attempt | None:
            row = db.execute(
                "SELECT sealed, code_id, attempts + 1 FROM handshakes"
                " WHERE id = ? AND expires_ms >= ? AND attempts < ?",
                (session_id, now_ms, CODE_ATTEMPTS),
            ).fetchone()
            if row is None:
                return None
            sealed, code_id, number = row
            is_void = code_id != b"" and not self._count_issued(db, code_id, now_ms)
            remaining = sealed if number < CODE_ATTEMPTS else b""
            db.execute(
                "UPDATE handshakes SET sealed = ?, attempts = ? WHERE id = ?",
                (remaining, number, session_id),
            )
            db.execute("DELETE FROM exchanges WHERE id = ?", (session_id,))
            return Attempt(sealed, number, is_void)

        return await self._do(run)

    @staticmethod
    def _count_issued(db: sqlite3.Connection, code_id: bytes, now_ms: int) -> bool:
        cursor = db.execute(
            "UPDATE codes SET attempts = attempts + 1"
            " WHERE id = ? AND expires_ms >= ? AND attempts < ?",
            (code_id, now_ms, CODE_ATTEMPTS),
        )
        return cursor.rowcount == 1

    async def add_exchange(
        self, session_id: bytes, sealed: bytes, expires_ms: int, attempt: int = 0
    ) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "SELECT attempts FROM handshakes WHERE id = ?", (session_id,)
            ).fetchone()
            if attempt != (row[0] if row else 0):
                return False
            db.execute(
                "INSERT OR REPLACE INTO exchanges (id, sealed, expires_ms) VALUES (?, ?, ?)",
                (session_id, sealed, expires_ms),
            )
            return True

        return await self._do(run)

    async def take_exchange(self, session_id: bytes, now_ms: int) -> bytes | None:
        def run(db: sqlite3.Connection) -> bytes | None:
            row = db.execute(
                "DELETE FROM exchanges WHERE id = ? RETURNING sealed, expires_ms", (session_id,)
            ).fetchone()
            return row[0] if row and now_ms <= row[1] else None

        return await self._do(run)

    async def open_login(self, new_session: NewSession) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "SELECT code_id FROM handshakes LEFT JOIN codes ON codes.id = code_id"
                " WHERE handshakes.id = ? AND handshakes.user_tag = ?"
                " AND (code_id = x'' OR codes.id IS NOT NULL)",
                (new_session.session_id, new_session.user_tag),
            ).fetchone()
            if row is not None:
                check_caps(db, new_session.caps, new_session.user_tag)
            db.execute("DELETE FROM handshakes WHERE id = ?", (new_session.session_id,))
            if row is None:
                return False
            db.execute("DELETE FROM codes WHERE id = ?", row)
            if new_session.chain_id:
                db.execute(
                    _ADD_CHAIN,
                    (
                        new_session.chain_id,
                        new_session.chain,
                        new_session.chain_expires_ms,
                        new_session.user_tag,
                        new_session.seen_ms,
                    ),
                )
            self._open(db, new_session)
            return True

        return await self._do(run)

    async def open_resumed(self, new_session: NewSession, previous: bytes) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "SELECT id FROM chains"
                " WHERE id = ? AND sealed = ? AND user_tag = ? AND NOT revoked",
                (new_session.chain_id, previous, new_session.user_tag),
            ).fetchone()
            if row is None:
                return False
            check_caps(db, new_session.caps, new_session.user_tag, new_session.chain_id)
            db.execute(
                "UPDATE chains SET sealed = ?, expires_ms = ?, seen_ms = ? WHERE id = ?",
                (
                    new_session.chain,
                    new_session.chain_expires_ms,
                    new_session.seen_ms,
                    new_session.chain_id,
                ),
            )
            db.execute("DELETE FROM sessions WHERE chain_id = ?", (new_session.chain_id,))
            self._open(db, new_session)
            return True

        return await self._do(run)

    @staticmethod
    def _open(db: sqlite3.Connection, new_session: NewSession) -> None:
        db.execute(
            "INSERT INTO sessions (id, state, sealed, expires_ms, user_tag, chain_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                new_session.session_id,
                State.ENROLLED.value,
                new_session.sealed,
                new_session.expires_ms,
                new_session.user_tag,
                new_session.chain_id or None,
            ),
        )
        if new_session.chain_id:
            db.execute(
                _ADD_TICKET,
                (new_session.ticket_hash, new_session.chain_id, new_session.ticket),
            )

    # --- tickets ---

    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        def run(db: sqlite3.Connection) -> StoredTicket | None:
            row = db.execute(
                "SELECT tickets.sealed, chains.sealed FROM tickets"
                " JOIN chains ON chains.id = chain_id WHERE hash = ? AND expires_ms >= ?",
                (ticket_hash, now_ms),
            ).fetchone()
            return None if row is None else StoredTicket(*row)

        return await self._do(run)

    async def end_chain(self, chain_id: bytes) -> None:
        def run(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM chains WHERE id = ? AND seen_ms IS NULL", (chain_id,))
            db.execute("UPDATE chains SET revoked = 1 WHERE id = ?", (chain_id,))
            for table in ("tickets", "sessions"):
                db.execute(f"DELETE FROM {table} WHERE chain_id = ?", (chain_id,))  # noqa: S608

        await self._do(run)

    async def see_device(self, chain_id: bytes, seen_ms: int) -> None:
        def run(db: sqlite3.Connection) -> None:
            # It stays NULL if it is no chain of a device.
            db.execute(
                "UPDATE chains SET seen_ms = max(seen_ms, ?) WHERE id = ?", (seen_ms, chain_id)
            )

        await self._do(run)

    # --- for operators ---

    async def add_codes(self, codes: Sequence[NewCode]) -> None:
        def run(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT OR REPLACE INTO codes (user_tag, device_tag, id, sealed, expires_ms)"
                " VALUES (?, ?, ?, ?, ?)",
                [
                    (new.user_tag, new.device_tag, new.code_id, new.sealed, new.expires_ms)
                    for new in codes
                ],
            )

        await self._do(run)

    async def find_code(
        self, user_tag: bytes, now_ms: int, device_tag: bytes = b""
    ) -> IssuedCode | None:
        def run(db: sqlite3.Connection) -> IssuedCode | None:
            row = db.execute(
                "SELECT id, sealed FROM codes"
                " WHERE user_tag = ? AND device_tag = ? AND expires_ms >= ? AND attempts < ?",
                (user_tag, device_tag, now_ms, CODE_ATTEMPTS),
            ).fetchone()
            return None if row is None else IssuedCode(*row)

        return await self._do(run)

    async def end_codes(self, user_tag: bytes, device_tag: bytes | None = None) -> int:
        def run(db: sqlite3.Connection) -> int:
            return db.execute(
                "DELETE FROM codes WHERE user_tag = ? AND device_tag = coalesce(?, device_tag)",
                (user_tag, device_tag),
            ).rowcount

        return await self._do(run)

    async def add_chain(self, chain: NewChain) -> None:
        def run(db: sqlite3.Connection) -> None:
            db.execute(
                _ADD_CHAIN,
                (chain.chain_id, chain.sealed, chain.expires_ms, chain.user_tag, chain.seen_ms),
            )
            db.execute(_ADD_TICKET, (chain.ticket_hash, chain.chain_id, chain.ticket))

        await self._do(run)

    async def chains(self, now_ms: int) -> list[StoredChain]:
        def run(db: sqlite3.Connection) -> list[StoredChain]:
            rows = db.execute(
                "SELECT id, sealed, user_tag, seen_ms, revoked FROM chains WHERE expires_ms >= ?",
                (now_ms,),
            )
            return [
                StoredChain(chain_id, sealed, user_tag, seen_ms, bool(revoked))
                for chain_id, sealed, user_tag, seen_ms, revoked in rows
            ]

        return await self._do(run)

    async def end_user(self, user_tag: bytes) -> int:
        def run(db: sqlite3.Connection) -> int:
            (ended,) = db.execute(
                "SELECT count(*) FROM sessions WHERE user_tag = ? AND state = ?",
                (user_tag, State.ENROLLED.value),
            ).fetchone()
            db.execute(
                "DELETE FROM exchanges WHERE id IN (SELECT id FROM handshakes WHERE user_tag = ?)",
                (user_tag,),
            )
            for table in ("sessions", "handshakes", "chains", "codes"):
                db.execute(f"DELETE FROM {table} WHERE user_tag = ?", (user_tag,))  # noqa: S608
            return int(ended)

        return await self._do(run)
