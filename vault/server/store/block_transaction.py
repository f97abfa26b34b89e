"""The operations of one transaction on the tables of blocks.

A transaction that changes blocks takes a lock first. Requests share it. The application of the pool
and the sweep take it alone, so that no request sees a block between two tables. SQLite has one
writer at a time anyway.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import Executable, Table, and_, delete, select, text, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from vault.core.tokens import Hashes, tombstone

from .records import StoredBlock
from .tables import ARCHIVE, BLOCKS, EXPIRY, HASH_COLUMNS, TOMBSTONES

Lock: TypeAlias = Literal["none", "shared", "alone"]

# The number of the lock in PostgreSQL.
_LOCK = 0x626C6F636B73
_LOCKS: dict[Lock, str] = {
    "shared": "SELECT pg_advisory_xact_lock_shared(:lock)",
    "alone": "SELECT pg_advisory_xact_lock(:lock)",
}


@dataclass(frozen=True, slots=True)
class KeptExpiry:
    """The frame of all buckets in the database, and the bucket of the last sweep."""

    frame_s: int
    bucket: int | None


class BlockTransaction:
    """What happens to blocks in one transaction, or not at all."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def take(self, lock: Lock) -> None:
        """Take the lock until the end of the transaction."""
        if lock != "none" and self.connection.dialect.name == "postgresql":
            await self.connection.execute(text(_LOCKS[lock]), {"lock": _LOCK})

    # --- reads ---

    async def found(
        self, ids: Collection[bytes], renewed: Collection[bytes] = ()
    ) -> dict[bytes, StoredBlock]:
        """The blocks with these ids, and those of the archive with the ids ``renewed``."""
        blocks = select(BLOCKS).where(BLOCKS.c.id.in_(ids))
        # One statement, so a block that moves at this moment is in one of the two tables.
        archived = select(ARCHIVE).where(ARCHIVE.c.id.in_(renewed))
        rows = await self._rows(union_all(blocks, archived) if renewed else blocks)
        return {row["id"]: block_of(row) for row in rows}

    async def hashes(self, ids: Collection[bytes]) -> dict[bytes, Hashes]:
        """The hashes of the blocks with these ids, also of those in the archive."""
        found: dict[bytes, Hashes] = {}
        for table in (BLOCKS, ARCHIVE):
            columns = (table.c[name] for name in ("id", *HASH_COLUMNS))
            rows = await self._rows(select(*columns).where(table.c.id.in_(ids)))
            found |= {row["id"]: hashes_of(row) for row in rows}
        return found

    async def buried(self, ids: Iterable[bytes]) -> set[bytes]:
        """Those of ``ids`` that have a tombstone."""
        named = {tombstone(block_id): block_id for block_id in ids}
        column = TOMBSTONES.c.hash
        rows = await self._rows(select(column).where(column.in_(named)))
        return {named[bytes(row["hash"])] for row in rows}

    # --- the application of the pool ---

    async def put(self, blocks: Iterable[StoredBlock]) -> None:
        """Add blocks. If a block is there already, it keeps the later bucket."""
        rows = [row_of(block) for block in blocks]
        if rows:
            added = self.insert(BLOCKS)
            later = added.excluded.bucket > BLOCKS.c.bucket
            kept = added.on_conflict_do_update(
                index_elements=["id"], set_={"bucket": added.excluded.bucket}, where=later
            )
            await self.connection.execute(kept, rows)

    async def renew(self, buckets: Mapping[bytes, int]) -> None:
        """Give blocks a later bucket. A block in the archive is a block again."""
        archived = ARCHIVE.c.id.in_(buckets)
        back = [block_of(row) for row in await self._rows(select(ARCHIVE).where(archived))]
        await self.put(back)
        await self.connection.execute(delete(ARCHIVE).where(archived))
        for bucket in sorted(set(buckets.values())):
            ids = [block_id for block_id, one in buckets.items() if one == bucket]
            is_earlier = and_(BLOCKS.c.id.in_(ids), BLOCKS.c.bucket < bucket)
            await self.connection.execute(update(BLOCKS).where(is_earlier).values(bucket=bucket))

    async def retire(self, buckets: Mapping[bytes, int]) -> None:
        """Delete blocks, and keep tombstones with the buckets of the deletion."""
        for table in (BLOCKS, ARCHIVE):
            await self.connection.execute(delete(table).where(table.c.id.in_(buckets)))
        hashes = sorted((tombstone(one), bucket) for one, bucket in buckets.items())
        rows = [{"hash": hashed, "bucket": bucket} for hashed, bucket in hashes]
        if rows:
            added = self.insert(TOMBSTONES).on_conflict_do_nothing()
            await self.connection.execute(added, rows)

    # --- the sweep ---

    async def archive(self, before: int, bucket: int, most: int) -> int:
        """Move blocks of buckets below ``before`` to the archive, with ``bucket``.

        Returns how many blocks were moved: ``most``, or all that there were.
        """
        old = select(BLOCKS).where(BLOCKS.c.bucket < before).order_by(BLOCKS.c.id).limit(most)
        rows = [{**row, "bucket": bucket} for row in await self._rows(old)]
        if rows:
            added = self.insert(ARCHIVE).on_conflict_do_nothing()
            await self.connection.execute(added, rows)
            ids = [row["id"] for row in rows]
            await self.connection.execute(delete(BLOCKS).where(BLOCKS.c.id.in_(ids)))
        return len(rows)

    async def expired(self, before: int, after: bytes, most: int) -> list[bytes]:
        """Ids above ``after`` in the archive, of buckets below ``before``, in ascending order."""
        is_old = and_(ARCHIVE.c.bucket < before, ARCHIVE.c.id > after)
        query = select(ARCHIVE.c.id).where(is_old).order_by(ARCHIVE.c.id).limit(most)
        return [row["id"] for row in await self._rows(query)]

    async def purge(self, ids: Collection[bytes]) -> None:
        """Delete blocks from the archive."""
        await self.connection.execute(delete(ARCHIVE).where(ARCHIVE.c.id.in_(ids)))

    async def forget_tombstones(self, before: int) -> None:
        """Delete the tombstones of buckets below ``before``."""
        await self.connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.bucket < before))

    async def expiry(self) -> KeptExpiry | None:
        for row in await self._rows(select(EXPIRY)):
            return KeptExpiry(row["frame_s"], row["bucket"])
        return None

    async def keep_expiry(self, kept: KeptExpiry) -> None:
        row = {"id": 1, "frame_s": kept.frame_s, "bucket": kept.bucket}
        await self.connection.execute(delete(EXPIRY))
        await self.connection.execute(EXPIRY.insert().values(row))

    # --- for the pool in the same database ---

    def insert(self, table: Table) -> Any:
        """An insertion with ``on_conflict``, which the two dialects have without a common class."""
        is_sqlite = self.connection.dialect.name == "sqlite"
        return sqlite.insert(table) if is_sqlite else postgresql.insert(table)

    async def _rows(self, query: Executable) -> Sequence[Any]:
        return list((await self.connection.execute(query)).mappings())


def hashes_of(row: Any) -> Hashes:
    return Hashes(*(bytes(row[name]) for name in HASH_COLUMNS))


def block_of(row: Any) -> StoredBlock:
    return StoredBlock(bytes(row["id"]), row["bucket"], hashes_of(row), bytes(row["block"]))


def row_of(block: StoredBlock) -> dict[str, Any]:
    values = (block.hashes.write, block.hashes.read, block.hashes.renew)
    hashes = dict(zip(HASH_COLUMNS, values, strict=True))
    return {"id": block.id, "bucket": block.bucket, **hashes, "block": block.block}
