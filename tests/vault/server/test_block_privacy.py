"""The user of a request of blocks is taken off before any part that stores or logs (VAULT §18)."""

import logging
import re
import typing
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import pytest
from block_peer import BlockPeer
from processes import ROOT
from redis_servers import RedisProcess
from sqlalchemy import event
from sqlalchemy.engine import Engine
from vaults import RunningVault, running

from vault.core.account import EXPORT_LABEL
from vault.server.blocks import BlockParts
from vault.server.buckets import Buckets
from vault.server.pool import Pool
from vault.server.pool.redis import RedisPool
from vault.server.routes import BLOCK_ROUTES
from vault.server.store.database import BlockDatabase
from vault.server.store.tables import ARCHIVE, BLOCKS, HASH_COLUMNS, POOL

USER = "canary.ann@example.org"


@pytest.fixture
async def vaults(
    vault_url: str, vault_pool: str | None, vault_key: Path
) -> AsyncIterator[RunningVault]:
    async with running(vault_url, vault_key, blocks={"pool": vault_pool}) as at:
        yield at


def test_a_handler_of_blocks_gets_a_body_and_parts_without_users() -> None:
    for handler in BLOCK_ROUTES.values():
        hints = typing.get_type_hints(handler)
        assert hints == {"parts": BlockParts, "body": bytes, "return": bytes}, handler
    kinds = typing.get_type_hints(BlockParts)
    assert [field.name for field in fields(BlockParts)] == list(kinds)
    assert kinds["database"] is BlockDatabase
    assert kinds["pool"] is Pool
    assert kinds["buckets"] is Buckets
    # The database offers them the tables of blocks alone.
    assert [name for name in vars(BlockDatabase) if not name.startswith("_")] == ["blocks"]


@pytest.mark.parametrize(
    "path",
    [
        "blocks.py",
        "application.py",
        "buckets.py",
        "sweeping.py",
        "pool/__init__.py",
        "pool/table.py",
        "pool/redis.py",
        "store/block_transaction.py",
    ],
)
def test_no_module_of_blocks_knows_a_call_or_an_account(path: str) -> None:
    source = (ROOT / "vault" / "server" / path).read_text("utf-8")
    # In the text of a module, "sessions" are what it does not have.
    code = source.split('"""', 2)[2]
    found = re.findall(r"\b(?:Call|Owner|session\w*|username\w*|ACCOUNTS)\b", code)
    assert found == []
    assert "from .call" not in code


def test_the_tables_of_blocks_have_these_columns_alone() -> None:
    expected = {"id", "bucket", "block", *HASH_COLUMNS}
    assert set(BLOCKS.c.keys()) == set(ARCHIVE.c.keys()) == expected
    assert set(POOL.c.keys()) == expected | {"kind"}


async def test_nothing_of_the_user_reaches_a_statement_a_log_or_the_pool(
    vaults: RunningVault,
    vault_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    peer = await vaults.peer(USER)
    await peer.create("correct horse battery")
    ann = BlockPeer.of(peer)
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(repr(arguments[2:4]))

    caplog.clear()
    # The gateway logs its requests. Here it is about the vault.
    caplog.set_level(logging.DEBUG, logger="certless.vault")
    caplog.set_level(logging.DEBUG, logger="sqlalchemy")
    event.listen(Engine, "before_cursor_execute", note)
    try:
        put = await ann.put(3)
        ids = [one.id for one in put]
        await ann.get(ids)
        await ann.check(bytes(16), ids)
        await ann.renew(ids)
        await ann.retire(ids[:1])
        await ann.parameters()
        await vaults.server.application.apply()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any("vault_blocks" in statement for statement in seen)
    everything = "\n".join([*seen, *(one.getMessage() for one in caplog.records)])
    raw = everything.encode()
    if isinstance(vaults.server.blocks.pool, RedisPool):
        redis: RedisProcess = request.getfixturevalue("durable_redis")
        raw += b"".join(path.read_bytes() for path in redis.folder.rglob("*") if path.is_file())
    named = [USER, "canary", peer.account.hex(), repr(peer.account), repr(peer.exported)]
    for name in named:
        assert name.encode() not in raw, name
    assert peer.account not in raw
    assert peer.client.export(EXPORT_LABEL) not in raw
