"""The requests of blocks (VAULT §18). No handler here learns which user sends a request.

A handler gets the body, and parts without accounts, sessions and mails. ``routes.py`` takes the
user off before that.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from protocol.common.primitives import equal, sha256
from vault.core.block_exchanges import (
    BlockParameters,
    CheckBlocks,
    CheckedBlocks,
    FoundBlocks,
    GetBlocks,
    NewBlock,
    OneBlock,
    PutBlocks,
    Receipts,
    RenewBlocks,
    RenewedBlocks,
    Reserve,
    Reserved,
    ReservedId,
    RetireBlocks,
)
from vault.core.errors import Malformed
from vault.core.tokens import Hashes, check, receipt

from .buckets import Buckets
from .errors import Conflict
from .pool import Kind, Pool
from .store.block_transaction import BlockTransaction
from .store.database import BlockDatabase
from .store.records import StoredBlock

_CONFLICT = "an id is in use, or its permit has expired: reserve new ids"


@dataclass(frozen=True, slots=True)
class BlockParts:
    """What the handlers of blocks use.

    ``permit`` computes the permit of an id and a bucket. ``changed`` is called with the number of
    changes that were added to the pool.
    """

    database: BlockDatabase
    pool: Pool
    buckets: Buckets
    permit: Callable[[bytes, int], bytes]
    changed: Callable[[int], None]


async def parameters(parts: BlockParts, body: bytes) -> bytes:
    """GET /blocks."""
    if body:
        raise Malformed("this request has no body")
    return BlockParameters(parts.buckets.frame_s, parts.buckets.present()).serialize()


async def reserve(parts: BlockParts, body: bytes) -> bytes:
    """POST /blocks/reserve."""
    bucket = parts.buckets.present()
    ids = [uuid.uuid4().bytes for _ in range(Reserve.parse(body).count)]
    return Reserved(tuple(ReservedId(one, parts.permit(one, bucket)) for one in ids)).serialize()


async def put(parts: BlockParts, body: bytes) -> bytes:
    """POST /blocks/put: all blocks, or none."""
    asked = PutBlocks.parse(body).blocks
    _check_permits(parts, asked)
    async with parts.database.blocks("shared") as at:
        new = await _not_stored(parts, at, asked)
        if new and not await parts.pool.put(at, new):
            raise Conflict(_CONFLICT)
    parts.changed(len(new))
    return Receipts(tuple(receipt(one.id, one.block) for one in asked)).serialize()


def _check_permits(parts: BlockParts, asked: Iterable[NewBlock]) -> None:
    """Raises: Conflict."""
    present = parts.buckets.present()
    for one in asked:
        good = (parts.permit(one.id, bucket) for bucket in (present, max(present - 1, 0)))
        if not any(equal(one.permit, permit) for permit in good):
            raise Conflict(_CONFLICT)


async def _not_stored(
    parts: BlockParts, at: BlockTransaction, asked: Collection[NewBlock]
) -> list[StoredBlock]:
    """The blocks that the tables do not have. Raises: Conflict."""
    ids = [one.id for one in asked]
    # The archive needs no look: a block is in it only when its permit has expired.
    found, pending = await at.found(ids), await parts.pool.find(at, ids)
    gone = await at.buried(ids) | {i for i, entry in pending.items() if entry.kind is Kind.RETIRED}
    blocks = [StoredBlock(one.id, parts.buckets.drawn(), one.hashes, one.block) for one in asked]
    for block in blocks:
        before = found.get(block.id)
        if block.id in gone or (before is not None and not before.is_same(block)):
            raise Conflict(_CONFLICT)
    return [block for block in blocks if block.id not in found]


async def get(parts: BlockParts, body: bytes) -> bytes:
    """POST /blocks/get."""
    return FoundBlocks(await _read(parts, GetBlocks.parse(body).blocks)).serialize()


async def check_stored(parts: BlockParts, body: bytes) -> bytes:
    """POST /blocks/check."""
    asked = CheckBlocks.parse(body)
    blocks = await _read(parts, asked.blocks)
    digests = (check(asked.nonce, block) if block else b"" for block in blocks)
    return CheckedBlocks(tuple(digests)).serialize()


async def _read(parts: BlockParts, asked: Collection[OneBlock]) -> tuple[bytes, ...]:
    """The blocks whose read tokens are right, and empty bytes for the others."""
    ids = {one.id for one in asked}
    async with parts.database.blocks() as at:
        # The pool first: an entry that is applied meanwhile is in the tables then.
        pending = await parts.pool.find(at, ids)
        # A renewal that is not applied yet brings its block back from the archive.
        renewed = [one for one, entry in pending.items() if entry.kind is Kind.RENEWED]
        found = await at.found(ids, renewed)
    for block_id, entry in pending.items():
        if entry.kind is Kind.RETIRED:
            found.pop(block_id, None)
        elif entry.block is not None:
            found[block_id] = entry.block
    blocks = []
    for one in asked:
        block = found.get(one.id)
        is_right = block is not None and equal(sha256(one.token), block.hashes.read)
        blocks.append(block.block if block is not None and is_right else b"")
    return tuple(blocks)


async def renew(parts: BlockParts, body: bytes) -> bytes:
    """POST /blocks/renew, also for blocks in the archive."""
    asked = RenewBlocks.parse(body).blocks
    async with parts.database.blocks("shared") as at:
        right = await _right(parts, at, asked, lambda hashes: hashes.renew)
        if right:
            await parts.pool.renew(at, {one: parts.buckets.drawn() for one in right})
    parts.changed(len(right))
    return RenewedBlocks(tuple(one.id in right for one in asked)).serialize()


async def retire(parts: BlockParts, body: bytes) -> bytes:
    """POST /blocks/retire."""
    asked = RetireBlocks.parse(body).blocks
    async with parts.database.blocks("shared") as at:
        right = await _right(parts, at, asked, lambda hashes: hashes.write)
        if right:
            await parts.pool.retire(at, dict.fromkeys(right, parts.buckets.present()))
    parts.changed(len(right))
    return b""


async def _right(
    parts: BlockParts,
    at: BlockTransaction,
    asked: Collection[OneBlock],
    of: Callable[[Hashes], bytes],
) -> set[bytes]:
    """The ids of the blocks whose tokens are right."""
    ids = {one.id for one in asked}
    known: Mapping[bytes, Hashes] = await _hashes(parts, at, ids)
    return {
        one.id for one in asked if one.id in known and equal(sha256(one.token), of(known[one.id]))
    }


async def _hashes(
    parts: BlockParts, at: BlockTransaction, ids: Collection[bytes]
) -> dict[bytes, Hashes]:
    pending = await parts.pool.find(at, ids)
    known = await at.hashes(ids)
    for block_id, entry in pending.items():
        if entry.kind is Kind.RETIRED:
            known.pop(block_id, None)
        elif entry.block is not None:
            known[block_id] = entry.block.hashes
    return known
