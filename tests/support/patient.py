"""A correctly configured gateway for tests of the doctor.

It has a real mail server, a real API, a store with a session, and the gateway itself. A test can
break each of them.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from mailboxes import Mailbox, smtp_server

from certless.client import Client
from gateway.cli.main import main
from gateway.config.file import read_config
from gateway.service.options import application

USERS = '[users.ann]\naddresses = ["ann@example.org"]\n\n[users."fan-7"]\naddresses = []\n'
REALM = "shop.example"
PASSWORD = "s3cret-of-the-mail"


@dataclass
class Examined:
    """The output of the doctor."""

    status: int
    out: str

    def about(self, word: str) -> list[str]:
        """Marks and texts of the lines about ``word``."""
        rows = (re.split(r" +", line, maxsplit=2) for line in self.out.splitlines())
        return [f"{mark} {text}" for mark, about, text in rows if about == word]


@dataclass
class Api:
    """An API with a start page; a test can change its answers."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str = "<h1>Tea</h1>"

    async def answer(self, request: web.Request) -> web.Response:
        return web.Response(
            status=self.status, text=self.text, content_type="text/html", headers=self.headers
        )


@dataclass
class Patient:
    """The folder of a service, its settings by name, and its servers."""

    folder: Path
    mailbox: Mailbox
    api: Api
    capsys: pytest.CaptureFixture[str]
    settings: dict[str, Any]

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    @property
    def store(self) -> Path:
        return self.folder / "store.db"

    @property
    def key_file(self) -> Path:
        return self.folder / "store.db.key"

    def write(self, **changes: Any) -> None:
        """The config file with changed settings; None removes one."""
        settings = {**self.settings, **changes}
        self.config.write_text(
            "".join(
                f"{name} = {_toml(value)}\n"
                for name, value in settings.items()
                if value is not None
            )
        )
        self.config.chmod(0o600)

    async def examine(self, *arguments: str) -> Examined:
        """Run ``certless doctor`` with it."""
        given = ["doctor", "--config", str(self.config), *arguments]
        status = await asyncio.to_thread(main, given)
        out, err = self.capsys.readouterr()
        assert err == ""
        assert PASSWORD not in out
        return Examined(status, out)

    async def examine_changed(self, **changes: Any) -> Examined:
        """The same with other settings, which are restored afterwards."""
        self.write(**changes)
        examined = await self.examine()
        self.write()
        return examined


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(item)}' for key, item in value.items()) + " }"
    return json.dumps(value)


@asynccontextmanager
async def listening(app: web.Application, port: int = 0) -> AsyncIterator[int]:
    """``app`` on a port of loopback."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_patient(
    folder: Path, capsys: pytest.CaptureFixture[str], port: int
) -> AsyncIterator[Patient]:
    """Everything works. The gateway does not listen on ``port`` yet."""
    api = Api()
    behind = web.Application()
    behind.router.add_route("*", "/{path:.*}", api.answer)
    password = {"password": PASSWORD, "login_in_the_clear": True}
    async with listening(behind) as api.port, smtp_server(**password) as mailbox:  # type: ignore[arg-type]
        settings = {
            "listen": f"127.0.0.1:{port}",
            "upstream": f"http://127.0.0.1:{api.port}",
            "users": "users.toml",
            "mail": f"smtp://shop:{PASSWORD}@127.0.0.1:{mailbox.port}",
            "mail_from": "codes@shop.example",
            "mail_helo": "gateway.shop.example",
            "store": "sqlite:store.db",
            "suites": ["ecdh-gcm"],
            "public": ["/"],
            "realm": REALM,
            "trusted_proxies": ["127.0.0.1"],
        }
        patient = Patient(folder, mailbox, api, capsys, settings)
        patient.write()
        (folder / "users.toml").write_text(USERS)
        (folder / "users.toml").chmod(0o640)
        yield patient


@asynccontextmanager
async def serving(patient: Patient, *, log_in: bool = True) -> AsyncIterator[None]:
    """Its gateway runs as in ``serve``, with a session in its store."""
    options = read_config(patient.config)
    port = int(options.pop("listen").rpartition(":")[2])
    async with listening(application(options), port):
        if log_in:
            async with Client(f"http://127.0.0.1:{port}", realm=REALM) as client:
                await client.login("ann", code=patient.mailbox.code)
        yield
