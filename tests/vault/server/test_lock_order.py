"""Requests for one account lock its rows in one order, so PostgreSQL sees no deadlock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from vault_peer import VaultPeer
from vaults import RunningVault

from protocol.common.primitives import Point
from vault.core.attempts import FORGOTTEN_AFTER_MS, Attempts
from vault.core.exchanges import BeginRun, ConfirmRun, Run
from vault.server.buckets import Buckets
from vault.server.call import Call, Parts
from vault.server.errors import Refused
from vault.server.key_file import read_or_make
from vault.server.server_key import ServerKey
from vault.server.store.database import Database
from vault.server.unlocking import begin, confirm

# SQLite has one writer at a time.
pytestmark = pytest.mark.parametrize("vault_url", ["postgresql"], indirect=True)
SHARE = BeginRun(Point.of_generator(7).encode()).serialize()


@dataclass
class Two:
    """Two servers on one database, and Ann's account."""

    ann: VaultPeer
    parts: Parts
    other: Database

    def call(self, body: bytes) -> Call:
        return Call(self.ann.owner, "session", bytes(32), "POST", "/vault/unlock", body)

    async def rows(self) -> dict[str, int]:
        """How many rows a third transaction sees."""
        async with self.parts.database.transaction() as at:
            counts = {}
            for table in ("vault_runs", "vault_attempts"):
                query = text(f"SELECT count(*) FROM {table}")  # noqa: S608
                counts[table] = (await at._connection.execute(query)).scalar_one()
            return counts

    async def until_one_waits(self) -> None:
        """Wait until a transaction waits for a lock."""
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with asyncio.timeout(20):
            while True:
                async with self.other.transaction() as at:
                    if (await at._connection.execute(waiting)).scalar_one():
                        return
                await asyncio.sleep(0.01)


async def ignored(*_: Any) -> None:
    """No mail and no end of a session."""


@pytest.fixture
async def two(vaults: RunningVault, vault_url: str, vault_key: Path) -> AsyncIterator[Two]:
    """Both servers."""
    ann = await vaults.peer()
    await ann.create("correct horse battery")
    databases = Database(vault_url), Database(vault_url)
    key = ServerKey(read_or_make(vault_key))
    yield Two(
        ann,
        Parts(databases[0], key, vaults.clock, ignored, ignored, Buckets(vaults.clock)),
        databases[1],
    )
    for database in databases:
        await database.close()


async def answered(two: Two, asked: Awaitable[bytes], meanwhile: Callable[[Any], Any]) -> bytes:
    """The answer to ``asked``, while another server changes the account."""
    async with two.other.transaction() as at:
        await at.account(two.ann.account)
        task = asyncio.ensure_future(asked)
        await two.until_one_waits()
        await meanwhile(at)
    return await task


async def test_a_confirmation_waits_for_a_commit_that_ends_the_runs(two: Two) -> None:
    run = Run.parse(await begin(two.parts, two.call(SHARE)))
    asked = confirm(two.parts, two.call(ConfirmRun(run.run, bytes(32)).serialize()))
    with pytest.raises(Refused):
        await answered(two, asked, lambda at: at.end_runs(two.ann.account))


async def test_a_sweep_waits_for_no_transaction(two: Two) -> None:
    """So it cannot be part of a deadlock. A later sweep deletes what was locked."""
    run = Run.parse(await begin(two.parts, two.call(SHARE)))
    await begin(two.parts, two.call(SHARE))
    later_ms = two.parts.clock() + FORGOTTEN_AFTER_MS
    async with two.other.transaction() as at:
        await at.account(two.ann.account)
        await at.attempts(two.ann.account)
        await at.take_run(run.run, two.ann.account, "session")
        async with asyncio.timeout(20), two.parts.database.transaction() as sweeping:
            await sweeping.sweep(later_ms)
        # The other run was not locked.
        assert await two.rows() == {"vault_runs": 1, "vault_attempts": 1}
    async with two.other.transaction() as at:
        await at.sweep(later_ms)
    assert await two.rows() == {"vault_runs": 0, "vault_attempts": 0}


async def test_a_new_run_waits_for_a_proof_that_resets_the_count(two: Two) -> None:
    await begin(two.parts, two.call(SHARE))
    asked = begin(two.parts, two.call(SHARE))
    answer = await answered(two, asked, lambda at: at.put_attempts(two.ann.account, Attempts()))
    assert len(Run.parse(answer).run) == 16
    async with two.other.transaction() as at:
        assert (await at.attempts(two.ann.account)).count == 1
