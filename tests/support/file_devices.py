"""Devices with files in one vault, behind a server that can be told to lie."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from vaults import RunningVault, running

from certless import Client
from certless.client import NoAnswer
from vault.client import Files, Vault
from vault.server import routes

PASSWORD = "correct horse battery"
DAY_S = 86_400

Lie = Callable[[bytes, bytes], Awaitable[bytes] | bytes]


class Line(Client):
    """A client whose connection can be cut. ``sent`` has the path of each request."""

    is_cut = False
    cut_after: int | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sent: list[tuple[str, bytes]] = []

    def request(self, method: str, path: str, **options: Any) -> Any:
        if self.is_cut:
            raise NoAnswer("the line is cut")
        self.sent.append((f"{method} {path}", options.get("data") or b""))
        return super().request(method, path, **options)

    def blocks_put(self) -> int:
        """The number of blocks that were sent since the list was cleared."""
        return sum(body.count(b"permit") for path, body in self.sent if path.endswith("/put"))


@dataclass
class Device:
    """One installation: a session, an unlocked vault, and its files."""

    line: Line
    vault: Vault
    files: Files
    folder: Path


@dataclass
class Lies:
    """What the server answers instead. The key is like ``POST /blocks/put``.

    A lie gets the body of the request and the right answer.
    """

    told: dict[str, Lie] = field(default_factory=dict)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tables: list[dict[Any, Any]] = [routes.ROUTES, routes.BLOCK_ROUTES]
        for table in tables:
            for (method, target), handler in list(table.items()):
                name = f"{method} {target}"
                monkeypatch.setitem(table, (method, target), self._lying(name, handler))

    def _lying(self, name: str, handler: Any) -> Any:
        async def handle(parts: Any, asked: Any) -> bytes:
            body = asked if isinstance(asked, bytes) else asked.body
            right: bytes = await handler(parts, asked)
            if name not in self.told:
                return right
            answer = self.told[name](body, right)
            return answer if isinstance(answer, bytes) else await answer

        return handle


@dataclass
class Devices:
    """The devices of Ann, with a clock of the test in seconds."""

    vaults: RunningVault
    lies: Lies
    folder: Path
    stack: AsyncExitStack
    count: int = 0
    has_account: bool = False
    password: str = PASSWORD

    def now_s(self) -> float:
        return self.vaults.clock() / 1000

    def later(self, seconds: int) -> None:
        self.vaults.clock.offset_ms += seconds * 1000

    async def device(self, folder: Path | None = None, **options: Any) -> Device:
        """A new device, or the next run of one with its ``folder``."""
        self.count += 1
        path = folder or self.folder / f"device-{self.count}"
        gateway = self.vaults.gateway
        line = await self.stack.enter_async_context(Line(gateway.url, clock=gateway.clock))
        await line.login("ann@example.org", code=gateway.mails.code)
        vault = Vault(line)
        if self.has_account:
            await vault.unlock(self.password)
        else:
            await vault.create(self.password, typed_back)
            self.has_account = True
        files = vault.files(path, clock=self.now_s, **options)
        await self.stack.enter_async_context(files)
        return Device(line, vault, files, path)

    async def blocks(self) -> int:
        """The number of blocks that the server has."""
        await self.vaults.server.application.apply()
        async with self.vaults.server.blocks.database.blocks() as at:
            from sqlalchemy import text

            found = await at.connection.execute(text("SELECT count(*) FROM vault_blocks"))
            return int(found.scalar_one())


async def typed_back(code: str) -> str:
    """A user who types the recovery code back."""
    return code


@asynccontextmanager
async def devices_of(
    database: str, key_file: Path, folder: Path, lies: Lies
) -> AsyncIterator[Devices]:
    async with running(database, key_file) as vaults, AsyncExitStack() as stack:
        yield Devices(vaults, lies, folder, stack)


async def all_done(*awaitables: Awaitable[Any]) -> list[Any]:
    """Their results, within 60 s."""
    async with asyncio.timeout(60):
        return list(await asyncio.gather(*awaitables))
