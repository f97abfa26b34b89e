"""``python -m bench.sweep DATABASE ROWS``: one sweep of so many blocks, of which 1 % have expired.

The values of the blocks are short, because a sweep does not read them. It prints JSON.
"""

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bench.processes import peak_mib
from vault.core.expiry import FRAME_S
from vault.server.buckets import Buckets
from vault.server.call import Parts
from vault.server.key_file import read_or_make
from vault.server.server import BlockOptions, VaultServer
from vault.server.server_key import ServerKey
from vault.server.store.database import Database
from vault.server.store.tables import BLOCKS, HASH_COLUMNS

BUCKET = 60
_BATCH = 10_000
_HASHES = {name: bytes(32) for name in HASH_COLUMNS}


async def _swept(path: Path, count: int) -> float:
    async def nothing(*_: Any) -> None:
        """No mail and no end of a session."""

    def clock() -> int:
        return BUCKET * FRAME_S * 1000 + 1000

    key = ServerKey(read_or_make(path.with_suffix(".key")))
    parts = Parts(Database(f"sqlite:{path}"), key, clock, nothing, nothing, Buckets(clock))
    server = VaultServer(parts, BlockOptions(), "realm", None)
    async with server.opened():
        ids = sorted(secrets.token_bytes(16) for _ in range(count))
        for begin in range(0, count, _BATCH):
            rows = [
                {"id": one, "bucket": BUCKET - (0 if at % 100 else 2), "block": b"", **_HASHES}
                for at, one in enumerate(ids[begin : begin + _BATCH])
            ]
            async with parts.database.blocks() as transaction:
                await transaction.connection.execute(insert(BLOCKS), rows)
        began_s = time.perf_counter()
        await server.sweep.sweep()
        return (time.perf_counter() - began_s) * 1000


def main() -> None:
    ms = asyncio.run(_swept(Path(sys.argv[1]), int(sys.argv[2])))
    print(json.dumps({"ms": ms, "mib": peak_mib("self")}))


if __name__ == "__main__":
    main()
