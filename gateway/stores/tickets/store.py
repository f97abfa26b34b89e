"""The tickets in the database: each method is one transaction.

A method that claims something takes the ``Witness`` of Redis and checks it in its transaction. If
the database is not known to be the one that Redis has seen, it raises NotWitnessed.

This module is long because it has all transactions of the database.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, exists, inspect, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import ConfigError
from gateway.stores import (
    TAG_KEY_ID,
    NewChain,
    NewSession,
    Reseal,
    Retag,
    StoredChain,
    StoredTicket,
)

from .database import Database
from .fence import Claim, Fence, NotWitnessed, Witness
from .tables import CHAINS, FENCE, METADATA, TAG_KEYS, TICKETS, VERSION

# The number of the lock that processes take in PostgreSQL to create the tables.
_LOCK = 0x7469636B6574
_SEALED = (("chain", CHAINS, "id"), ("ticket", TICKETS, "hash"), ("tag key", TAG_KEYS, "id"))
_PORTION = 1000


@dataclass(slots=True)
class _Step:
    """A transaction that has checked the witness."""

    connection: AsyncConnection
    position: int
    claimed: bool = False


class TicketStore:
    """The tickets of all gateways that share a Redis. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._history = database.history
        self.where = database.where

    async def open(self) -> None:
        """Create the tables if they are missing. Also raises: ConfigError."""
        self._database.open()
        generation = _new_generation()
        async with self._database.writing() as connection:
            await connection.run_sync(self._create, generation)

    def _create(self, connection: Connection, generation: str) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if inspect(connection).has_table(FENCE.name):
            version = connection.execute(select(FENCE.c.version)).scalar_one()
            if version > VERSION:
                raise ConfigError(
                    f"a later version of Certless wrote the ticket store {self.where}: install "
                    "that version, or a later one"
                )
            return
        METADATA.create_all(connection)
        row = {"id": 1, "version": VERSION, "former": "", "position": 0, "redis": ""}
        connection.execute(FENCE.insert().values(**row, **self._of(generation)))
        self._history.begin(generation, 0)

    async def exists(self) -> bool:
        """Whether the tables exist."""
        async with self._database.reading() as connection:
            return await connection.run_sync(lambda sync: inspect(sync).has_table(FENCE.name))

    async def close(self) -> None:
        await self._database.close()

    # --- the fence ---

    def _of(self, generation: str) -> dict[str, Any]:
        """The columns of a fence that is written now."""
        return {
            "generation": generation,
            "history": self._history.name,
            "written_by": self._history.transaction,
        }

    async def fence(self) -> Fence:
        """The present fence."""
        async with self._database.reading() as connection:
            fence = await self._read_fence(connection)
        if fence.continues:
            return fence
        # Another process can have made a change between the two readings of the position.
        async with self._database.writing() as connection:
            return await self._read_fence(connection, locked=True)

    async def _read_fence(self, connection: AsyncConnection, *, locked: bool = False) -> Fence:
        columns = (FENCE.c.generation, FENCE.c.former, FENCE.c.redis, FENCE.c.position)
        query = select(*columns, self._history.continues)
        row = (await connection.execute(query.with_for_update() if locked else query)).one_or_none()
        if row is None:
            raise self._database.unavailable("its table certless_ticket_fence is empty")
        generation, former, redis, position, continues = row
        continues = bool(continues) and self._history.holds(generation, position)
        return Fence(generation, former, redis, position, continues)

    async def renew(self, generation: str, seen: Witness) -> None:
        """Begin a new generation after ``generation``, with all tickets, for this Redis."""
        new = _new_generation()
        async with self._database.writing() as connection:
            fence = await self._read_fence(connection, locked=True)
            if fence.generation != generation:
                return
            self._history.begin(new, fence.position)
            row = {"former": seen.generation, "redis": seen.redis, **self._of(new)}
            await connection.execute(update(FENCE).values(row))
        self._history.end(generation)

    async def forget(self) -> None:
        """Delete all tickets, and begin a new generation at position 0."""
        new = _new_generation()
        async with self._database.writing() as connection:
            fence = await self._read_fence(connection, locked=True)
            for table in (TICKETS, CHAINS):
                await connection.execute(delete(table))
            self._history.begin(new, 0)
            row = {"former": "", "redis": "", "position": 0, **self._of(new)}
            await connection.execute(update(FENCE).values(row))
        self._history.end(fence.generation)

    @asynccontextmanager
    async def _step(self, seen: Witness) -> AsyncIterator[_Step]:
        async with self._database.writing() as connection:
            fence = await self._read_fence(connection, locked=True)
            if not (fence.continues and fence.generation == seen.generation and fence.has(seen)):
                raise NotWitnessed(f"the ticket store {self.where} has changed: try again")
            step = _Step(connection, fence.position)
            yield step
        if step.claimed:
            # Before Redis sees it: later nobody can tell whether the file has it.
            async with self._database.errors_named():
                self._history.note(seen.generation, step.position)

    async def _claim(self, step: _Step, seen: Witness, expires_ms: int = 0) -> Claim:
        step.position += 1
        step.claimed = True
        row = {"position": step.position, "written_by": self._history.transaction}
        await step.connection.execute(update(FENCE).values(row))
        return Claim(seen.generation, step.position, expires_ms)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for what needs no witness, because it makes no ticket valid."""
        async with self._database.writing() as connection:
            await connection.execute(select(FENCE.c.id).with_for_update())
            yield connection

    # --- chains ---

    async def add(self, seen: Witness, chain: NewChain) -> Claim:
        """Add a chain with its first ticket."""
        async with self._step(seen) as step:
            row = {
                "id": chain.chain_id,
                "sealed": chain.sealed,
                "expires_ms": chain.expires_ms,
                "user_tag": chain.user_tag,
                "seen_ms": chain.seen_ms,
                "is_revoked": False,
                "awaits_end": False,
            }
            await step.connection.execute(CHAINS.insert().values(row))
            ticket = {"hash": chain.ticket_hash, "chain_id": chain.chain_id, "sealed": chain.ticket}
            await step.connection.execute(TICKETS.insert().values(ticket))
            return await self._claim(step, seen)

    async def redeem(self, seen: Witness, new_session: NewSession, previous: bytes) -> Claim | None:
        """Replace a chain, if it still is ``previous``. None: it has changed, or was revoked."""
        async with self._step(seen) as step:
            query = select(CHAINS.c.expires_ms).where(
                CHAINS.c.id == new_session.chain_id,
                CHAINS.c.sealed == previous,
                CHAINS.c.user_tag == new_session.user_tag,
                ~CHAINS.c.is_revoked,
            )
            expires_ms = (await step.connection.execute(query)).scalar_one_or_none()
            if expires_ms is None:
                return None
            row = {
                "sealed": new_session.chain,
                "expires_ms": new_session.chain_expires_ms,
                "seen_ms": new_session.seen_ms,
            }
            which = CHAINS.c.id == new_session.chain_id
            await step.connection.execute(update(CHAINS).where(which).values(row))
            ticket = {
                "hash": new_session.ticket_hash,
                "chain_id": new_session.chain_id,
                "sealed": new_session.ticket,
            }
            await step.connection.execute(TICKETS.insert().values(ticket))
            return await self._claim(step, seen, expires_ms)

    async def undo_add(self, chain_id: bytes) -> None:
        """Delete a chain whose session was not opened."""
        async with self._writing() as connection:
            await connection.execute(delete(CHAINS).where(CHAINS.c.id == chain_id))

    async def undo_redeem(self, claim: Claim, new_session: NewSession, previous: bytes) -> None:
        """Put a chain back whose session was not opened, if it has not changed since."""
        async with self._writing() as connection:
            undone = await connection.execute(
                update(CHAINS)
                .where(CHAINS.c.id == new_session.chain_id, CHAINS.c.sealed == new_session.chain)
                .values(sealed=previous, expires_ms=claim.expires_ms)
            )
            if undone.rowcount:
                ticket = TICKETS.c.hash == new_session.ticket_hash
                await connection.execute(delete(TICKETS).where(ticket))

    async def find(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        """A ticket, used or not, if its chain is neither revoked nor expired."""
        query = (
            select(TICKETS.c.sealed, CHAINS.c.sealed)
            .join(CHAINS, CHAINS.c.id == TICKETS.c.chain_id)
            .where(
                TICKETS.c.hash == ticket_hash,
                CHAINS.c.expires_ms >= now_ms,
                ~CHAINS.c.is_revoked,
            )
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else StoredTicket(*row)

    async def chains(self, now_ms: int) -> list[StoredChain]:
        """See ``Store.chains``."""
        columns = (CHAINS.c.id, CHAINS.c.sealed, CHAINS.c.user_tag, CHAINS.c.seen_ms)
        query = select(*columns, CHAINS.c.is_revoked).where(
            CHAINS.c.expires_ms >= now_ms, ~CHAINS.c.is_revoked | CHAINS.c.seen_ms.is_not(None)
        )
        async with self._database.reading() as connection:
            return [StoredChain(*row) for row in await connection.execute(query)]

    async def see_device(self, chain_id: bytes, seen_ms: int) -> None:
        """See ``Store.see_device``."""
        is_news = (CHAINS.c.id == chain_id) & (CHAINS.c.seen_ms < seen_ms)
        async with self._database.reading() as connection:
            found = await connection.execute(select(exists().where(is_news)))
            if not found.scalar_one():
                return
        async with self._writing() as connection:
            await connection.execute(update(CHAINS).where(is_news).values(seen_ms=seen_ms))

    # --- revocation ---

    async def revoke_chain(self, seen: Witness, chain_id: bytes) -> None:
        """Revoke a chain and delete its tickets. It is in ``revoked`` until ``settle``."""
        which = (CHAINS.c.id == chain_id) & ~CHAINS.c.is_revoked
        await self._revoke(seen, which, is_revoked=True, awaits_end=True)

    async def revoke_user(self, seen: Witness, user_tag: bytes) -> None:
        """Revoke all chains of a user; ``settle`` deletes them, also those of devices."""
        is_done = CHAINS.c.awaits_end & CHAINS.c.seen_ms.is_(None)
        which = (CHAINS.c.user_tag == user_tag) & ~is_done
        await self._revoke(seen, which, is_revoked=True, awaits_end=True, seen_ms=None)

    async def _revoke(self, seen: Witness, which: ColumnElement[bool], **row: bool | None) -> None:
        async with self._step(seen) as step:
            found = await step.connection.execute(select(CHAINS.c.id).where(which))
            chain_ids = found.scalars().all()
            for at in range(0, len(chain_ids), _PORTION):
                some = chain_ids[at : at + _PORTION]
                tickets = delete(TICKETS).where(TICKETS.c.chain_id.in_(some))
                await step.connection.execute(tickets)
                chains = update(CHAINS).where(CHAINS.c.id.in_(some))
                await step.connection.execute(chains.values(row))
            if chain_ids:
                await self._claim(step, seen)

    async def revoked(self) -> list[bytes]:
        """The revoked chains whose sessions can still be open."""
        async with self._database.reading() as connection:
            found = await connection.execute(select(CHAINS.c.id).where(CHAINS.c.awaits_end))
            return list(found.scalars())

    async def settle(self, chain_ids: Sequence[bytes]) -> None:
        """Their sessions have ended: delete the revoked chains, and keep those of devices."""
        async with self._writing() as connection:
            for at in range(0, len(chain_ids), _PORTION):
                which = CHAINS.c.id.in_(chain_ids[at : at + _PORTION]) & CHAINS.c.awaits_end
                of_device = which & CHAINS.c.seen_ms.is_not(None)
                await connection.execute(update(CHAINS).where(of_device).values(awaits_end=False))
                await connection.execute(delete(CHAINS).where(which))

    async def sweep(self, now_ms: int) -> None:
        """Delete expired chains."""
        expired = (CHAINS.c.expires_ms < now_ms) & ~CHAINS.c.awaits_end
        async with self._database.reading() as connection:
            found = await connection.execute(select(exists().where(expired)))
            if not found.scalar_one():
                return
        async with self._writing() as connection:
            await connection.execute(delete(CHAINS).where(expired))

    # --- keys ---

    async def tag_key(self) -> bytes | None:
        """The sealed key of user tags, if there is one."""
        async with self._database.reading() as connection:
            return await _tag_key(connection)

    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        """See ``Store.keep_tag_key``."""
        async with self._writing() as connection:
            if (existing := await _tag_key(connection)) is not None:
                return existing
            row = {"id": TAG_KEY_ID, "sealed": offered}
            await connection.execute(TAG_KEYS.insert().values(row))
            tagged = await connection.execute(select(CHAINS.c.id, CHAINS.c.user_tag))
            for chain_id, tag in tagged.all():
                retagged = update(CHAINS).where(CHAINS.c.id == chain_id)
                await connection.execute(retagged.values(user_tag=retag(tag)))
            return offered

    @asynccontextmanager
    async def resealing(self, reseal: Reseal) -> AsyncIterator[None]:
        """Reseal every record. It is stored after the block, or undone if the block raises."""
        async with self._writing() as connection:
            for kind, table, key in _SEALED:
                await _reseal(connection, reseal, kind, table, key)
            yield


def _new_generation() -> str:
    return secrets.token_hex(8)


async def _tag_key(connection: AsyncConnection) -> bytes | None:
    query = select(TAG_KEYS.c.sealed).where(TAG_KEYS.c.id == TAG_KEY_ID)
    return (await connection.execute(query)).scalar_one_or_none()


async def _reseal(
    connection: AsyncConnection, reseal: Reseal, kind: str, table: Table, key: str
) -> None:
    """Reseal one kind of record, in portions, because there can be many."""
    column, last = table.c[key], b""
    while True:
        query = select(column, table.c.sealed).where(column > last).order_by(column)
        rows = (await connection.execute(query.limit(_PORTION))).all()
        if not rows:
            return
        for record_id, sealed in rows:
            new = reseal(kind, record_id, sealed)
            if new != sealed:
                changed = update(table).where(column == record_id).values(sealed=new)
                await connection.execute(changed)
        last = rows[-1][0]
