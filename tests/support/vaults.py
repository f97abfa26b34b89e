"""A running vault for tests: behind a real gateway, with a database of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from gateways import InProcess, SetClock
from gateways import running as running_gateway
from sqlalchemy import text
from vault_peer import VaultPeer

import vault
from certless import Client
from vault import Notice
from vault.server.server import VaultServer
from vault.server.setup import SERVER

REQUIRE = {"/vault/*": "ecdh-gcm"}


@dataclass
class RunningVault:
    """A gateway with a vault, its notices, and its clock."""

    gateway: InProcess
    clock: SetClock
    stack: AsyncExitStack
    server: VaultServer
    notices: list[tuple[str, Notice]] = field(default_factory=list)

    async def peer(self, username: str = "ann@example.org", **options: Any) -> VaultPeer:
        """A session of the user, in ecdh-gcm unless set."""
        client = Client(self.gateway.url, clock=self.gateway.clock, **options)
        await self.stack.enter_async_context(client)
        await client.login(username, code=self.gateway.mails.code)
        return VaultPeer(client, username)

    async def meta(self) -> bytes:
        """The meta of the only account, as it is in the database."""
        async with self.server.blocks.database.blocks() as at:
            found = await at.connection.execute(text("SELECT meta FROM vault_metas"))
            return bytes(found.scalar_one())

    async def put_back(self, meta: bytes) -> None:
        """Replace the meta in the database by an earlier one, as a malicious operator can."""
        async with self.server.blocks.database.blocks() as at:
            await at.connection.execute(text("UPDATE vault_metas SET meta = :meta"), {"meta": meta})


@asynccontextmanager
async def running(
    database: str,
    key_file: Path,
    *,
    require: dict[str, str] = REQUIRE,
    blocks: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[RunningVault]:
    """The vault on ``database``. ``options`` are those of the gateway, ``blocks`` of the vault."""
    app, clock = web.Application(), SetClock()
    notices: list[tuple[str, Notice]] = []

    async def notify(username: str, notice: Notice) -> None:
        notices.append((username, notice))

    vault.setup(
        app,
        database=database,
        key_file=key_file,
        notify=notify,
        clock=clock,
        **(blocks or {}),
    )
    # A test can log in more often than a person.
    limits: dict[str, Any] = {"mail_limit": 1000, "logins_per_user": "none"}
    limits |= {"logins_per_address": "none", "guesses_per_address": "none", "sessions_per_user": 0}
    async with (
        running_gateway(app, require=require, **{**limits, **options}) as gateway,
        AsyncExitStack() as stack,
    ):
        yield RunningVault(gateway, clock, stack, app[SERVER], notices)
