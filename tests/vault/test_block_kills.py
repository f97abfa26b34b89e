"""``kill -9`` of the server around each answer, application and sweep of blocks.

Nothing that was answered is lost, a request has all of its effect or none, and nothing is written
twice. VAULT_KILLS is the number of kills for each database and pool: a sample is enough for each
run of the tests, and ``make soak`` runs more.
"""

import os
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from block_steps import TOKENS, content, server_at
from processes import ROOT, python
from sqlalchemy import func, select

from vault.core.expiry import is_over
from vault.server.server import VaultServer
from vault.server.store.tables import ARCHIVE, BLOCKS, POOL, TOMBSTONES

KILLS = int(os.environ.get("VAULT_KILLS", "4"))
PROGRAM = str(ROOT / "tests" / "support" / "block_steps.py")
FIRST_BUCKET = 60


@dataclass
class Known:
    """What the answers have promised."""

    # The bucket of each block whose put or renewal was answered.
    buckets: dict[bytes, int] = field(default_factory=dict)
    # Blocks whose deletion, put or renewal was not answered: they are there or not.
    open_deletions: set[bytes] = field(default_factory=set)
    deleted: set[bytes] = field(default_factory=set)
    open_puts: list[list[bytes]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def take(self, output: str, bucket: int) -> int:
        """Read the output of a story; the number of its steps, or -1 if it was killed."""
        tried: tuple[str, list[bytes]] | None = None
        for line in output.splitlines():
            kind, what, *ids = line.split()
            if kind == "end":
                return int(what)
            named = [bytes.fromhex(one) for one in ids]
            if kind == "try":
                tried = what, named
                continue
            tried = None
            if what in ("put", "renew"):
                self.buckets |= dict.fromkeys(named, bucket)
            elif what == "retire":
                self.deleted.update(named)
        if tried is None:
            return -1
        what, named = tried
        self.kinds.add(what)
        if what == "put":
            self.open_puts.append(named)
        elif what == "retire":
            self.open_deletions.update(named)
        return -1


async def check(server: VaultServer, known: Known, bucket: int) -> None:
    """After the application of the pool, twice, everything is as it was answered."""
    async with server.opened():
        await server.application.apply()
        await server.application.apply()
        async with server.blocks.database.blocks() as at:
            assert await server.blocks.pool.ids(at) == []
            ids = [*known.buckets, *(one for ids in known.open_puts for one in ids)]
            found = await at.found(ids)
            counts = {}
            for table in (BLOCKS, ARCHIVE, POOL, TOMBSTONES):
                query = select(func.count()).select_from(table)
                counts[table.name] = (await at.connection.execute(query)).scalar_one()
    gone = known.deleted | known.open_deletions
    for block_id, one in known.buckets.items():
        if block_id not in gone and not is_over(one, bucket):
            stored = found[block_id]
            assert stored.block == content(block_id)
            assert stored.hashes == TOKENS.hashes(block_id)
            assert stored.bucket >= one
    assert known.deleted.isdisjoint(found)
    for ids in known.open_puts[-1:]:
        # A request has an effect on all its blocks, or on none.
        assert len(set(ids) & set(found)) in (0, len(ids))
    # Nothing else is there.
    assert counts["vault_blocks"] == len(found)
    assert counts["vault_pool"] == 0


def wanted(known: Known) -> list[str]:
    """A block to renew and one to retire: the youngest that are there for certain."""
    kept = [one for one in known.buckets if one not in known.deleted | known.open_deletions]
    return [one.hex() for one in kept[-3:-1]]


async def run(arguments: Mapping[str, str], bucket: int, kill_at: int, ids: list[str]) -> str:
    store = (arguments["database"], arguments["key_file"], arguments["pool"])
    command = (PROGRAM, *store, str(bucket), str(kill_at), *ids)
    async with python(*command, stdout=PIPE) as process:
        output, _ = await process.communicate()
        assert process.returncode == (0 if kill_at < 0 else -9)
    return output.decode()


async def test_nothing_that_was_answered_is_lost(
    vault_url: str, vault_pool: str | None, vault_key: Path
) -> None:
    store = {"database": vault_url, "key_file": str(vault_key), "pool": vault_pool or ""}
    known, bucket = Known(), FIRST_BUCKET
    for _ in range(2):
        # The second one renews and retires, so it has all steps.
        total = known.take(await run(store, bucket, -1, wanted(known)), bucket)
        await check(server_at(**store, bucket=bucket), known, bucket)
    assert total > 40
    for number in range(KILLS):
        bucket += number % 2
        # Other steps in each round: a stride that shares no divisor with the total.
        step = (number * _stride(total) + total // 2) % (total - 2)
        output = await run(store, bucket, step, wanted(known))
        known.take(output, bucket)
        await check(server_at(**store, bucket=bucket), known, bucket)
    print(f"\n{KILLS} kills in {total} steps; open requests: {sorted(known.kinds)}")


def _stride(total: int) -> int:
    """About 0.6 of ``total``, so that consecutive kills are far from each other."""
    return int(total * 0.618) | 1
