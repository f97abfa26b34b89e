"""The audit of a dump with 1,000 users and 50,000 blocks: no better than chance, and each leak.

The statistic is the AUC: the probability that a pair of blocks of one user scores higher than a
pair of two users, by the best of all features of a row. 0.5 is chance. The dump is written by the
server's own application of the pool. Its blocks have 256 bytes instead of 16,384, to be quick.
"""

import asyncio
import random
import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from postgresql_servers import PostgresqlProcess, program

from gateway.cli.main import main
from vault.audit.dumps import Dump, read
from vault.audit.findings import BLOCK_TABLES, Blocks, blocks_of, findings_of
from vault.core.tokens import Hashes
from vault.server.application import apply_batch
from vault.server.pool import Entry, Kind
from vault.server.store.database import Database
from vault.server.store.records import StoredAccount, StoredBlock

USERS, BLOCKS, BURST, POOL = 1_000, 50_000, 10, 1_000
BLOCK_BYTES = 256
PAIRS = 10_000
# The standard deviation of the AUC without a link. Source: Hanley and McNeil 1982, at 0.5.
SIGMA = ((2 * PAIRS + 1) / (12 * PAIRS * PAIRS)) ** 0.5
KEY_ID = b"k" * 16


@dataclass(frozen=True)
class World:
    """Blocks in the order of writing, and the user of each."""

    blocks: list[StoredBlock]
    users: list[int]

    def user_of(self) -> dict[bytes, int]:
        return {one.id: user for one, user in zip(self.blocks, self.users, strict=True)}


def _drawn(seed: int) -> random.Random:
    """The same numbers in each run."""
    return random.Random(seed)  # noqa: S311


def account_of(user: int) -> bytes:
    return _drawn(user).randbytes(32)


@cache
def world(new_id: Callable[[int], bytes] | None = None) -> World:
    """Users write their blocks in bursts of 10, one user after the other."""
    drawn = _drawn(1)
    blocks, users = [], []
    for burst in range(BLOCKS // BURST):
        user = burst % USERS if burst < USERS else drawn.randrange(USERS)
        for place in range(BURST):
            number = burst * BURST + place
            block_id = new_id(number) if new_id else _v4(drawn.randbytes(16))
            hashes = Hashes(*(drawn.randbytes(32) for _ in range(3)))
            content = b"\1" + drawn.randbytes(BLOCK_BYTES - 1)
            blocks.append(StoredBlock(block_id, 56 + drawn.randrange(2), hashes, content))
            users.append(user)
    return World(blocks, users)


def _v4(drawn: bytes) -> bytes:
    return uuid.UUID(bytes=drawn, version=4).bytes


async def write(url: str, of: World | None, *, rewrite: bool = True) -> None:
    """As the server does it: the pool is applied in the order of the ids, in batches of 500."""
    database = Database(url)
    await database.open(KEY_ID)
    async with database.transaction() as at:
        for user in range(USERS):
            name = account_of(user)
            empty = (
                b"h" * 32,
                b"r" * 32,
                1,
                b"s" * 16,
                b"v" * 126,
                b"w" * 61,
                b"p" * 32,
                b"x" * 61,
            )
            await at.add_account(StoredAccount(name, *empty, bucket=57))
    for start in range(0, BLOCKS if of else 0, POOL):
        assert of is not None
        pool = sorted(of.blocks[start : start + POOL], key=lambda one: one.id)
        for batch in (pool[:500], pool[500:]):
            async with database.blocks("alone") as at_blocks:
                entries = [Entry(one.id, Kind.PUT, one.bucket, one) for one in batch]
                await apply_batch(at_blocks, entries)
    if rewrite:
        await database.rewrite()
    await database.close()


def dumped(url: str, tmp_path: Path, server: PostgresqlProcess | None) -> Dump:
    if server is None:
        return read(Path(url.removeprefix("sqlite:")))
    path = tmp_path / "dump.sql"
    command = [program("pg_dump"), "-h", str(server.folder), "-U", "vault", "-f", str(path)]
    subprocess.run([*command, "postgres"], check=True, timeout=120, capture_output=True)
    return read(path)


# --- the statistic ---


def features_of(dump: Dump, found: Blocks) -> dict[str, list[Any]]:
    """A value of each block for every feature that a reader can sort or compare."""
    features: dict[str, list[Any]] = {
        "position": list(range(len(found.ids))),
        "id": [int.from_bytes(one) for one in found.ids],
        "id, last 4 bytes": [int.from_bytes(one[12:]) for one in found.ids],
        "bucket": list(found.buckets),
        "compressed length": list(found.saved),
        "digest": [int.from_bytes(one) for one in found.digests],
        "salt": [int.from_bytes(one[1:9]) for one in found.beginnings],
    }
    for name, hashes in found.hashes.items():
        features[name] = [int.from_bytes(one) for one in hashes]
    for name, column in found.others.items():
        ranks = {value: rank for rank, value in enumerate(sorted(set(column), key=repr))}
        features[name] = [one if isinstance(one, int) else ranks[one] for one in column]
    pages = dump.pages(found.table)
    if len(pages) == len(found.ids):
        features["page"] = list(pages)
    return features


def auc(values: list[Any], users: list[int]) -> float:
    """By the nearness of the ranks of two values."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0] * len(values)
    for rank, index in enumerate(order):
        same = rank and values[order[rank - 1]] == values[index]
        ranks[index] = ranks[order[rank - 1]] if same else rank
    drawn = _drawn(2)
    of_user: dict[int, list[int]] = {}
    for index, user in enumerate(users):
        of_user.setdefault(user, []).append(index)
    one_user: list[int] = []
    two_users: list[int] = []
    while len(one_user) < PAIRS:
        a, b = drawn.sample(of_user[drawn.randrange(USERS)], 2)
        one_user.append(-abs(ranks[a] - ranks[b]))
    while len(two_users) < PAIRS:
        a, b = drawn.randrange(len(users)), drawn.randrange(len(users))
        if users[a] != users[b]:
            two_users.append(-abs(ranks[a] - ranks[b]))
    return area(one_user, two_users)


def area(higher: list[int], lower: list[int]) -> float:
    """The probability that a value of ``higher`` is above one of ``lower``; ties count half."""
    both = sorted([(value, 1) for value in higher] + [(value, 0) for value in lower])
    total, start = 0.0, 0
    while start < len(both):
        end = start
        while end < len(both) and both[end][0] == both[start][0]:
            end += 1
        total += sum(of for _, of in both[start:end]) * (start + end + 1) / 2
        start = end
    n = len(higher)
    return (total - n * (n + 1) / 2) / (n * len(lower))


def areas(dump: Dump, of: World) -> dict[str, float]:
    found = blocks_of(dump, "vault_blocks")
    user_of = of.user_of()
    users = [user_of[one] for one in found.ids]
    return {name: auc(values, users) for name, values in features_of(dump, found).items()}


def links(dump: Dump) -> list[str]:
    return [finding.text for finding in findings_of(dump) if finding.links]


# --- tests ---


async def test_a_dump_of_the_server_links_nothing(
    vault_url: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: Any
) -> None:
    server = None
    if not vault_url.startswith("sqlite"):
        server = request.getfixturevalue("postgresql_server")
    of = world()
    await write(vault_url, of)
    dump = dumped(vault_url, tmp_path, server)
    assert links(dump) == []
    found = areas(dump, of)
    # With this many features, the best of them is within 4.5 standard deviations.
    assert max(abs(one - 0.5) for one in found.values()) < 4.5 * SIGMA, found
    assert await asyncio.to_thread(main, ["vault", "audit", str(dump.path)]) == 0
    said = capsys.readouterr().out
    assert "vault_blocks has 50,000 blocks." in said
    assert "Nothing in the dump was found to link" in said
    text = ", ".join(f"{name} {value:.4f}" for name, value in sorted(found.items()))
    print(f"AUC, 95 % within 0.5 +- {1.96 * SIGMA:.4f}: {text}")


def _serial(number: int) -> bytes:
    """A UUID of version 4 by its form, which counts."""
    return _v4(_drawn(number).randbytes(12) + number.to_bytes(4))


@pytest.mark.parametrize("leak", ["serial id", "time", "unshuffled", "account"])
async def test_each_planted_leak_is_found(tmp_path: Path, leak: str) -> None:
    path = tmp_path / "vault.db"
    of = world(_serial if leak == "serial id" else None)
    await write(f"sqlite:{path}", None)
    plant(path, of, leak)
    dump = read(path)
    assert links(dump)
    found = areas(dump, of)
    best = max(found, key=lambda name: found[name])
    # The feature that was planted links the blocks of a user.
    assert (
        best
        == {
            "serial id": "id, last 4 bytes",
            "time": "written",
            "unshuffled": "position",
            "account": "owner",
        }[leak]
    )
    assert found[best] > 0.5 + 10 * SIGMA
    print(f"{leak}: AUC of {best} {found[best]:.4f}")


def plant(path: Path, of: World, leak: str) -> None:
    """A table of blocks with a leak, in place of the good one."""
    extra = {"time": ", written BIGINT", "account": ", owner BLOB"}.get(leak, "")
    with closing(sqlite3.connect(path)) as connection:
        columns = "id BLOB PRIMARY KEY, bucket BIGINT, write_hash BLOB, read_hash BLOB, "
        columns += f"renew_hash BLOB, block BLOB{extra}"
        rowid = "" if leak == "unshuffled" else " WITHOUT ROWID"
        connection.execute("DROP TABLE vault_blocks")
        connection.execute(f"CREATE TABLE vault_blocks ({columns}){rowid}")
        marks = ", ".join("?" * (7 if extra else 6))
        connection.executemany(
            f"INSERT INTO vault_blocks VALUES ({marks})",  # noqa: S608
            _rows(of, leak),
        )
        connection.commit()
        connection.execute("VACUUM")


def _rows(of: World, leak: str) -> Iterator[tuple[Any, ...]]:
    for number, (one, user) in enumerate(zip(of.blocks, of.users, strict=True)):
        hashes = (one.hashes.write, one.hashes.read, one.hashes.renew)
        extra = {"time": (1_800_000_000 + number,), "account": (account_of(user),)}.get(leak, ())
        yield (one.id, one.bucket, *hashes, one.block, *extra)


async def test_a_table_that_was_not_rewritten_shows_its_batches(
    postgresql_server: PostgresqlProcess, tmp_path: Path
) -> None:
    url = postgresql_server.emptied()
    await write(url, world(), rewrite=False)
    (said,) = links(dumped(url, tmp_path, postgresql_server))
    assert "in 50 runs: rows of a run were written together" in said


async def test_pages_in_the_order_of_writing_are_found(tmp_path: Path, capsys: Any) -> None:
    """Blocks of their real length, which have pages of their own in SQLite."""
    path = tmp_path / "vault.db"
    database = Database(f"sqlite:{path}")
    await database.open(KEY_ID)
    drawn = _drawn(3)
    for _ in range(10):
        hashes = [Hashes(*(drawn.randbytes(32) for _ in range(3))) for _ in range(40)]
        new = [
            StoredBlock(_v4(drawn.randbytes(16)), 56, one, drawn.randbytes(16_384))
            for one in hashes
        ]
        async with database.blocks("alone") as at:
            await at.put(sorted(new, key=lambda one: one.id))
    await database.close()
    (said,) = links(read(path))
    assert "pages of vault_blocks are not in the order of the ids" in said
    assert await asyncio.to_thread(main, ["vault", "audit", str(path)]) == 1
    assert "The dump links blocks" in capsys.readouterr().out
    await database.rewrite()
    await database.close()
    assert links(read(path)) == []


def test_other_files_are_refused(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "no.sql"
    path.write_text("SELECT 1;\n")
    assert main(["vault", "audit", str(path)]) == 2
    assert "pg_dump --format=plain" in capsys.readouterr().err
    assert BLOCK_TABLES[0] == "vault_blocks"
