"""A gateway that runs, and a console beside it, on a store that both can open."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from consoles import Ran, run_command
from gateways import Running, running

from certless.client import Client

USERS = '[users.Fan-7]\naddresses = []\n[users.ann]\naddresses = ["ann@example.org"]\n'
CODE = re.compile(r"[0-9A-Z]{8}\n")


@dataclass
class Beside:
    """A gateway, and a console of the machine that it runs on."""

    at: Running
    folder: Path
    capsys: pytest.CaptureFixture[str]

    async def certless(self, *arguments: str) -> Ran:
        config = str(self.folder / "gateway.toml")
        return await asyncio.to_thread(run_command, self.capsys, *arguments, "--config", config)

    async def issued(self, name: str, *options: str) -> str:
        ran = await self.certless("code", "issue", name, *options)
        assert ran.status == 0, ran.err
        assert CODE.fullmatch(ran.out)
        assert ran.out.strip() not in ran.err
        return ran.out.strip()

    async def listed(
        self, what: str = "sessions", head: str = "ID SUITE SINCE UNTIL USER"
    ) -> list[list[str]]:
        ran = await self.certless(what, "list")
        assert (ran.status, ran.err) == (0, "")
        found, *rows = [re.split(r"  +", line) for line in ran.out.splitlines()]
        assert " ".join(found) == head
        return rows

    def url(self, path: str) -> str:
        return self.at.url + path

    def client(self, **options: Any) -> Client:
        return Client(self.at.url, **options)


@asynccontextmanager
async def gateway_beside(
    folder: Path, store: str, capsys: pytest.CaptureFixture[str], **more: Any
) -> AsyncIterator[Beside]:
    """A gateway with a store at the URL ``store``, and its gateway.toml in ``folder``."""
    (folder / "users.toml").write_text(USERS)
    (folder / "gateway.toml").write_text(
        f'users = "users.toml"\nstore = "{store}"\nkey_file = "certless.key"'
    )
    options: dict[str, Any] = {
        "users": folder / "users.toml",
        "store": store,
        "key_file": folder / "certless.key",
        **more,
    }
    async with running(**options) as at:
        yield Beside(at, folder, capsys)
