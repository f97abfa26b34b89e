"""The requests of blocks, several at a time (VAULT §18.4)."""

import asyncio
from collections.abc import Sequence

from certless.client import NoAnswer
from protocol.common.primitives import equal
from vault.client.api import Api
from vault.core.block_exchanges import (
    MAX_RESERVED,
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
from vault.core.errors import Forged, Tampered
from vault.core.tokens import receipt

IN_FLIGHT = 4


class BlockRequests:
    """At most ``IN_FLIGHT`` requests are under way at the same time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def parameters(self) -> BlockParameters:
        """The frame, and the present bucket of the server. Raises: VaultError, NoAnswer."""
        return BlockParameters.parse(await self._api.plain("GET", "/blocks"))

    async def reserve(self, count: int) -> list[ReservedId]:
        """At least ``count`` new ids. Raises: VaultError, NoAnswer."""
        ids: list[ReservedId] = []
        while len(ids) < count:
            wanted = min(count - len(ids), MAX_RESERVED)
            ids += Reserved.parse(await self._post("reserve", Reserve(wanted).serialize())).ids
        return ids

    async def put(self, blocks: Sequence[NewBlock]) -> None:
        """Write at most 32 blocks. Raises: Forged, for a wrong receipt; VaultError, NoAnswer."""
        answer = await self._post("put", PutBlocks(tuple(blocks)).serialize())
        receipts = Receipts.parse(answer).receipts
        _check_count(receipts, blocks)
        for block, given in zip(blocks, receipts, strict=True):
            if not equal(receipt(block.id, block.block), given):
                raise Forged("the server's receipt is not that of the block that was sent")

    async def get(self, wanted: Sequence[OneBlock]) -> tuple[bytes, ...]:
        """At most 32 blocks; empty bytes for a block that the server does not give."""
        answer = await self._post("get", GetBlocks(tuple(wanted)).serialize())
        blocks = FoundBlocks.parse(answer).blocks
        _check_count(blocks, wanted)
        return blocks

    async def check(self, nonce: bytes, wanted: Sequence[OneBlock]) -> tuple[bytes, ...]:
        """Digests of at most 32 blocks under ``nonce``; empty bytes as for ``get``."""
        answer = await self._post("check", CheckBlocks(nonce, tuple(wanted)).serialize())
        digests = CheckedBlocks.parse(answer).digests
        _check_count(digests, wanted)
        return digests

    async def renew(self, wanted: Sequence[OneBlock]) -> tuple[bool, ...]:
        """Renew at most 128 blocks; whether each of them is there."""
        answer = await self._post("renew", RenewBlocks(tuple(wanted)).serialize())
        renewed = RenewedBlocks.parse(answer).renewed
        _check_count(renewed, wanted)
        return renewed

    async def retire(self, wanted: Sequence[OneBlock]) -> None:
        """Delete at most 128 blocks."""
        await self._post("retire", RetireBlocks(tuple(wanted)).serialize())

    async def _post(self, action: str, body: bytes) -> bytes:
        """Each of these requests can be repeated without another effect."""
        async with self._slots:
            try:
                return await self._api.plain("POST", f"/blocks/{action}", body)
            except NoAnswer:
                return await self._api.plain("POST", f"/blocks/{action}", body)


def _check_count(answered: Sequence[object], asked: Sequence[object]) -> None:
    if len(answered) != len(asked):
        raise Tampered("the server answered for another number of blocks")
