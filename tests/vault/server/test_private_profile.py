"""With the private profile, nothing tells that a session called the vault, which call, or its size.

A session that makes calls of all kinds is compared with one that asks for a status page as often.
Without the profile, the same comparison finds the calls.
"""

import json
import logging
import re
import secrets
import socket
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from block_peer import BlockPeer, random_meta
from gateways import CaughtMails
from vault_peer import VaultPeer

import vault
from certless import AnyAddress, Client
from gateway.adapters.aiohttp.setup import setup
from gateway.service.listener import listening

PASSWORD = "correct horse battery"
# Other forms of the same: ids, times, and numbers that are times.
SAME = (
    (re.compile(r"[0-9a-f]{16,}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z"), "TIME"),
    (re.compile(r"\d+\.\d+ms"), "TIME"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r'("lasted_ms"|"avg_session_duration"|"process"): ?[\d.]+'), r"\1:N"),
    (re.compile(r"(_created(?:{.*})?|_session_duration_seconds_sum) .*"), r"\1 N"),
)


@dataclass
class Left:
    """What a session leaves behind."""

    lines: list[str] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    admin: list[str] = field(default_factory=list)
    store: list[tuple[object, ...]] = field(default_factory=list)


class Calls:
    """Counts the requests that reach the application."""

    def __init__(self) -> None:
        self.count = 0

    @web.middleware
    async def see(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.count += 1
        response: web.StreamResponse = await handler(request)
        return response


def same(text: str) -> list[str]:
    for pattern, instead in SAME:
        text = pattern.sub(instead, text)
    return text.splitlines()


def rows(path: Path) -> list[tuple[object, ...]]:
    """All rows of the gateway's store; ids, sealed values and times by their kind."""
    found = []
    with sqlite3.connect(path) as store:
        tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (table,) in tables.fetchall():
            for row in store.execute(f"SELECT * FROM {table}"):  # noqa: S608 (from the database)
                found.append((table, *(_kind(value) for value in row)))
    store.close()
    return sorted(found, key=repr)


def _kind(value: object) -> object:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return "time" if isinstance(value, int) and value > 10**9 else value


async def vault_calls(client: Client) -> None:
    """Calls of all kinds, and one notice that the mail system does not take."""
    peer = VaultPeer(client)
    await peer.create(PASSWORD)
    await peer.parameters()
    await peer.state()
    assert await peer.unlock(PASSWORD)
    assert not await peer.unlock("wrong")
    assert (await peer.write_note("a note")).status == 204
    assert await peer.note() is not None
    await peer.put_device()
    await peer.put_temporary()
    await peer.change_password("another password")
    blocks = BlockPeer.of(peer)
    await blocks.parameters()
    put = [one.id for one in await blocks.put(32)]
    assert all(await blocks.get(put))
    assert all(await blocks.renew(put))
    assert all(await blocks.check(secrets.token_bytes(16), put))
    await blocks.retire(put)
    assert (await blocks.put_meta(b"", random_meta())).status == 204
    assert await blocks.meta() is not None


async def left_by(
    folder: Path, caplog: pytest.LogCaptureFixture, count: int | None, *, is_private: bool
) -> tuple[Left, int]:
    """What ``count`` requests for the status page leave, or the calls of the vault."""
    caplog.clear()
    mails, calls = CaughtMails(), Calls()

    async def fails(username: str, notice: vault.Notice) -> None:
        raise OSError("the mail system is away")

    async def status(request: web.Request) -> web.Response:
        if "broken" in request.query:
            raise OSError("the status is not known")
        return web.Response(text="all is well")

    def make(options: dict[str, Any]) -> web.Application:
        app = web.Application(middlewares=[calls.see])
        app.router.add_get("/status", status)
        database = f"sqlite:{folder / 'vault.db'}"
        vault.setup(app, database=database, key_file=folder / "vault.key", notify=fails)
        setup(app, **options)
        return app

    listener = socket.create_server(("127.0.0.1", 0))
    options = {
        "users": AnyAddress(),
        "mail": mails,
        "store": f"sqlite:{folder / 'gateway.db'}",
        "audit": folder / "audit.jsonl",
        "admin": listener,
        # No RSA pairs, which come at any time and are counted.
        "suites": ["ecdh-gcm"],
        "private_profile": is_private,
    }
    left = Left()
    async with (
        listening(options, "127.0.0.1", 0, make=make) as service,
        aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as admin,
    ):
        async with Client(f"http://{service.addresses[0]}") as client:
            await client.login("ann@example.org", code=mails.code)
            if count is None:
                await vault_calls(client)
            else:
                for number in range(count):
                    path = "/status?broken" if number == 0 else "/status"
                    answer = await client.get(path)
                    assert answer.status == (500 if number == 0 else 200)
            left.store = rows(folder / "gateway.db")
            async with admin.get("/session-stats?debug=true") as shown:
                left.admin = same(json.dumps(await shown.json(), indent=0))
            await client.logout()
        async with admin.get("/metrics") as shown:
            # The memory of the process is that of the tests as well, and always differs.
            left.metrics = [
                line for line in same(await shown.text()) if "process_memory" not in line
            ]
    left.audit = same((folder / "audit.jsonl").read_text())
    for record in caplog.records:
        if record.name.startswith("certless"):
            left.lines += same(f"{record.levelname} {record.pathname} {record.getMessage()}")
    return left, calls.count


async def compared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_private: bool
) -> tuple[Left, Left]:
    caplog.set_level(logging.INFO)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    of_vault, count = await left_by(tmp_path / "a", caplog, None, is_private=is_private)
    assert count > 20
    of_status, asked = await left_by(tmp_path / "b", caplog, count, is_private=is_private)
    assert asked == count
    return of_vault, of_status


async def test_a_session_with_the_vault_leaves_what_any_session_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of_vault, of_status = await compared(tmp_path, caplog, is_private=True)
    assert of_vault == of_status
    # Login and logout still appear.
    assert "session_opened" in "".join(of_vault.audit)
    assert "session_ended" in "".join(of_vault.audit)
    assert any("/session/confirm 200" in line for line in of_vault.lines)
    assert any(line.endswith("(logout)") for line in of_vault.lines)
    assert "certless_sessions_opened_total" in "".join(of_vault.metrics)
    assert not any("vault" in line for line in of_vault.lines)


async def test_without_the_profile_the_logs_and_the_metrics_tell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of_vault, of_status = await compared(tmp_path, caplog, is_private=False)
    assert of_vault.metrics != of_status.metrics
    assert set(of_vault.lines) != set(of_status.lines)
    assert any("no mail about a vault (created)" in line for line in of_vault.lines)
