"""The pool as a table of the vault's own database."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import case, delete, select

from vault.server.store.block_transaction import BlockTransaction, block_of, row_of
from vault.server.store.records import StoredBlock
from vault.server.store.tables import HASH_COLUMNS, POOL

from . import Entry, Kind

_NO_BLOCK = dict.fromkeys((*HASH_COLUMNS, "block"))


class TablePool:
    """Entries are rows. Each change is one statement, in the transaction of its request."""

    async def open(self) -> None:
        """The database has opened already."""

    async def close(self) -> None:
        """The database closes by itself."""

    async def find(self, at: BlockTransaction, ids: Collection[bytes]) -> dict[bytes, Entry]:
        query = select(POOL).where(POOL.c.id.in_(ids))
        rows = (await at.connection.execute(query)).mappings()
        return {bytes(row["id"]): _entry(row) for row in rows}

    async def put(self, at: BlockTransaction, blocks: Sequence[StoredBlock]) -> bool:
        rows = [{**row_of(block), "kind": Kind.PUT} for block in _by_id(blocks)]
        # A row that another request has just added is waited for.
        await at.connection.execute(at.insert(POOL).on_conflict_do_nothing(), rows)
        entries = await self.find(at, [block.id for block in blocks])
        return all(is_put_of(entries.get(block.id), block) for block in blocks)

    async def renew(self, at: BlockTransaction, buckets: Mapping[bytes, int]) -> None:
        added = at.insert(POOL)
        is_later = (POOL.c.kind != Kind.RETIRED) & (added.excluded.bucket > POOL.c.bucket)
        later = added.on_conflict_do_update(
            index_elements=["id"], set_={"bucket": added.excluded.bucket}, where=is_later
        )
        await at.connection.execute(later, _rows(Kind.RENEWED, buckets))

    async def retire(self, at: BlockTransaction, buckets: Mapping[bytes, int]) -> None:
        added = at.insert(POOL)
        was_retired = POOL.c.kind == Kind.RETIRED
        bucket = case((was_retired, POOL.c.bucket), else_=added.excluded.bucket)
        retired = added.on_conflict_do_update(
            index_elements=["id"], set_={"kind": Kind.RETIRED, "bucket": bucket, **_NO_BLOCK}
        )
        await at.connection.execute(retired, _rows(Kind.RETIRED, buckets))

    async def ids(self, at: BlockTransaction) -> list[bytes]:
        query = select(POOL.c.id).order_by(POOL.c.id)
        return [bytes(block_id) for block_id in (await at.connection.execute(query)).scalars()]

    async def take(self, at: BlockTransaction, ids: Sequence[bytes]) -> list[Entry]:
        found = await self.find(at, ids)
        # In the same transaction as the application.
        await at.connection.execute(delete(POOL).where(POOL.c.id.in_(ids)))
        return [found[block_id] for block_id in ids if block_id in found]

    async def forget(self, applied: Sequence[Entry]) -> None:
        """``take`` has deleted them."""

    async def rewrite(self) -> None:
        """SQLite overwrites deleted rows with zeros. PostgreSQL keeps them until its vacuum."""


def is_put_of(entry: Entry | None, block: StoredBlock) -> bool:
    """Whether the entry puts this very block."""
    return entry is not None and entry.block is not None and entry.block.is_same(block)


def _entry(row: Any) -> Entry:
    kind = Kind(row["kind"])
    block = block_of(row) if kind is Kind.PUT else None
    return Entry(bytes(row["id"]), kind, row["bucket"], block)


def _by_id(blocks: Sequence[StoredBlock]) -> list[StoredBlock]:
    # In one order, so that two requests wait for each other's rows in one direction only.
    return sorted(blocks, key=lambda block: block.id)


def _rows(kind: Kind, buckets: Mapping[bytes, int]) -> list[dict[str, Any]]:
    return [
        {"id": block_id, "kind": kind, "bucket": bucket, **_NO_BLOCK}
        for block_id, bucket in sorted(buckets.items())
    ]
