"""A server of blocks that kills itself like ``kill -9`` at a chosen step of a fixed story.

``python block_steps.py DATABASE KEY_FILE POOL BUCKET KILL_AT ID...``: steps are each statement,
each commit, each command of Redis before and after, and each answer. POOL can be "". The IDs are of
blocks that earlier stories have put: the first is renewed, the second retired. It prints what it
tries and what was answered.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from deadly_steps import Steps
from sqlalchemy import event
from sqlalchemy.engine import Engine

from protocol.common.primitives import sha256
from vault.core.block_exchanges import (
    NewBlock,
    OneBlock,
    PutBlocks,
    RenewBlocks,
    Reserve,
    Reserved,
    RetireBlocks,
)
from vault.core.expiry import FRAME_S
from vault.core.tokens import BLOCK_BYTES, Tokens
from vault.server import blocks
from vault.server.buckets import Buckets
from vault.server.call import Parts
from vault.server.key_file import read_or_make
from vault.server.pool.redis import RedisPool
from vault.server.server import BlockOptions, VaultServer
from vault.server.server_key import ServerKey
from vault.server.store.database import Database

TOKENS = Tokens(b"w" * 32, b"r" * 32, b"n" * 32)


def content(block_id: bytes) -> bytes:
    """The block with this id."""
    return (sha256(block_id) * (BLOCK_BYTES // 32))[:BLOCK_BYTES]


def server_at(database: str, key_file: str, pool: str, bucket: int) -> VaultServer:
    """A server whose clock is just after the beginning of ``bucket``."""

    async def nothing(*_: Any) -> None:
        """No mail and no end of a session."""

    def clock() -> int:
        return bucket * FRAME_S * 1000 + 1000

    key = ServerKey(read_or_make(Path(key_file)))
    parts = Parts(Database(database), key, clock, nothing, nothing, Buckets(clock))
    return VaultServer(parts, BlockOptions(pool=pool or None), "realm", None)


async def story(server: VaultServer, steps: Steps, known: list[bytes]) -> None:
    async def answered(what: str, ids: list[bytes], answer: Any) -> None:
        print("try", what, *(one.hex() for one in ids), flush=True)
        await answer
        steps()
        print("ack", what, *(one.hex() for one in ids), flush=True)
        steps()

    async def put(count: int) -> None:
        body = await blocks.reserve(server.blocks, Reserve(count).serialize())
        new = tuple(
            NewBlock(one.id, one.permit, content(one.id), TOKENS.hashes(one.id))
            for one in Reserved.parse(body).ids
        )
        body = PutBlocks(new).serialize()
        await answered("put", [one.id for one in new], blocks.put(server.blocks, body))

    async with server.opened():
        await put(2)
        await put(3)
        if known:
            one = OneBlock(known[0], TOKENS.renew(known[0]))
            body = RenewBlocks((one,)).serialize()
            await answered("renew", known[:1], blocks.renew(server.blocks, body))
        await server.application.apply()
        if known[1:]:
            one = OneBlock(known[1], TOKENS.write(known[1]))
            body = RetireBlocks((one,)).serialize()
            await answered("retire", known[1:2], blocks.retire(server.blocks, body))
        await put(1)
        # A sweep of an earlier story can have been killed before it stored its bucket.
        await answered("sweep", [], server.sweep.sweep(is_confirmed=True))
    print("end", steps.count, flush=True)


def main() -> None:
    database, key_file, pool, bucket, kill_at, *known = sys.argv[1:]
    steps = Steps(int(kill_at))
    server = server_at(database, key_file, pool, int(bucket))
    event.listen(Engine, "before_cursor_execute", lambda *_: steps())
    event.listen(Engine, "commit", lambda *_: steps())
    waiting = server.blocks.pool
    if isinstance(waiting, RedisPool):
        send = waiting._client.execute_command

        async def counted(*arguments: Any, **options: Any) -> Any:
            steps()
            answer = await send(*arguments, **options)
            steps()
            return answer

        waiting._client.execute_command = counted
    asyncio.run(story(server, steps, [bytes.fromhex(one) for one in known]))
    os._exit(0)


if __name__ == "__main__":
    main()
