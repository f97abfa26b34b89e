"""A client of blocks with single requests, over a session of ``VaultPeer``."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vault_peer import Reply, VaultPeer

from vault.core.block_exchanges import (
    BlockParameters,
    CheckBlocks,
    CheckedBlocks,
    FoundBlocks,
    GetBlocks,
    NewBlock,
    OneBlock,
    PutBlocks,
    PutMeta,
    Receipts,
    RenewBlocks,
    RenewedBlocks,
    Reserve,
    Reserved,
    ReservedId,
    RetireBlocks,
    StoredMeta,
)
from vault.core.index import META_BYTES
from vault.core.tokens import BLOCK_BYTES, Tokens, receipt


def random_block() -> bytes:
    """What looks like a sealed block."""
    return b"\1" + secrets.token_bytes(BLOCK_BYTES - 1)


def random_meta() -> bytes:
    return b"\1" + secrets.token_bytes(META_BYTES - 1)


@dataclass
class BlockPeer:
    """The blocks of one user. ``tokens`` are those of their account key."""

    peer: VaultPeer
    tokens: Tokens

    @classmethod
    def of(cls, peer: VaultPeer) -> "BlockPeer":
        return cls(peer, Tokens.of(peer.known_key()))

    async def parameters(self) -> BlockParameters:
        return BlockParameters.parse((await self.peer.send("GET", "/blocks")).good())

    async def reserve(self, count: int = 10) -> list[ReservedId]:
        body = Reserve(count).serialize()
        reply = await self.peer.send("POST", "/blocks/reserve", body)
        return list(Reserved.parse(reply.good()).ids)

    def new(self, reserved: ReservedId, block: bytes | None = None) -> NewBlock:
        hashes = self.tokens.hashes(reserved.id)
        return NewBlock(reserved.id, reserved.permit, block or random_block(), hashes)

    async def put_reply(self, blocks: Iterable[NewBlock]) -> Reply:
        return await self.peer.send("POST", "/blocks/put", PutBlocks(tuple(blocks)).serialize())

    async def put(self, count: int = 1) -> list[NewBlock]:
        """New blocks, whose receipts are right."""
        blocks = [self.new(one) for one in await self.reserve(count)]
        await self.put_again(blocks)
        return blocks

    async def put_again(self, blocks: Sequence[NewBlock]) -> None:
        found = Receipts.parse((await self.put_reply(blocks)).good()).receipts
        assert found == tuple(receipt(one.id, one.block) for one in blocks)

    async def get(self, ids: Iterable[bytes]) -> list[bytes]:
        body = GetBlocks(self._ones(ids, "read")).serialize()
        reply = await self.peer.send("POST", "/blocks/get", body)
        return list(FoundBlocks.parse(reply.good()).blocks)

    async def check(self, nonce: bytes, ids: Iterable[bytes]) -> list[bytes]:
        body = CheckBlocks(nonce, self._ones(ids, "read")).serialize()
        reply = await self.peer.send("POST", "/blocks/check", body)
        return list(CheckedBlocks.parse(reply.good()).digests)

    async def renew(self, ids: Iterable[bytes]) -> list[bool]:
        body = RenewBlocks(self._ones(ids, "renew")).serialize()
        reply = await self.peer.send("POST", "/blocks/renew", body)
        return list(RenewedBlocks.parse(reply.good()).renewed)

    async def retire(self, ids: Iterable[bytes]) -> None:
        body = RetireBlocks(self._ones(ids, "write")).serialize()
        assert (await self.peer.send("POST", "/blocks/retire", body)).status == 204

    def with_wrong_tokens(self) -> "BlockPeer":
        wrong = Tokens(secrets.token_bytes(32), secrets.token_bytes(32), secrets.token_bytes(32))
        return replace(self, tokens=wrong)

    def _ones(self, ids: Iterable[bytes], use: str) -> tuple[OneBlock, ...]:
        of = {"read": self.tokens.read, "write": self.tokens.write, "renew": self.tokens.renew}[use]
        return tuple(OneBlock(block_id, of(block_id)) for block_id in ids)

    async def meta(self) -> bytes | None:
        return StoredMeta.parse((await self.peer.signed("GET", "/meta")).good()).meta

    async def put_meta(self, previous: bytes, meta: bytes) -> Reply:
        return await self.peer.signed("PUT", "/meta", PutMeta(previous, meta).serialize())
