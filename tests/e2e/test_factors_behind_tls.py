"""All factors at once, and TLS on every way: nginx with TLS, a gateway, an SMS API, a second check.

The gateway and the client are processes that trust the certificate of the tests.
"""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fronts import Behind, Front
from mailboxes import Mailbox, a_free_port, self_signed, smtp_server
from processes import ROOT, program, until_listening

from gateway.checks.webhook import signature
from gateway.users.passwords import hash_password

PASSWORD = "correct horse"
SECRET = "a-secret-that-both-sides-know-0123456789"
TOKEN = "Bearer t0ken-of-the-operator"
USERS = f"""
[users.ann]
addresses = ["ann@example.org", "sms:+46701234567"]
password = "{hash_password(PASSWORD)}"
"""
SMS = """
url = "https://127.0.0.1:{port}/sms"

[headers]
Authorization = "${{SMS_AUTHORIZATION}}"

[body]
to = "{{address}}"
message = "{{short}}"
"""
CLIENT = """
import asyncio, sys
from certless import Client

async def main(url, suite, password):
    code = lambda: asyncio.to_thread(sys.stdin.readline)
    async with Client(url, suite=suite) as client:
        await client.login("ann", code=code, password=password)
        answer = await client.get("/page")
        print(answer.status, await answer.text())

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class Services:
    """The SMS API, the service of second checks, and the site, which all speak HTTP."""

    port: int = 0
    texts: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    questions: list[dict[str, Any]] = field(default_factory=list)

    async def sms(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == TOKEN
        content = await request.json()
        await self.texts.put((content["to"], content["message"]))
        return web.Response()

    async def check(self, request: web.Request) -> web.Response:
        body = await request.read()
        given = request.headers["Certless-Signature"]
        time_s = int(given.partition("t=")[2].partition(",")[0])
        assert given == signature(SECRET.encode(), time_s, body)
        self.questions.append(json.loads(body))
        self.asked.set()
        await self.confirmed.wait()
        return web.json_response({"ok": True})


@asynccontextmanager
async def listening(app: web.Application, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def with_tls(front: Front, folder: Path) -> None:
    """Let the nginx of deploy/ listen with TLS."""
    (folder / "certificate.pem").write_text(self_signed().pem)
    (folder / "key.pem").write_text(self_signed().key_pem)
    file = folder / "certless.conf"
    listen = f"listen 127.0.0.1:{front.port}"
    text = file.read_text()
    assert f"{listen};" in text
    tls = (
        f"{listen} ssl;\nssl_certificate {folder}/certificate.pem;\n"
        f"ssl_certificate_key {folder}/key.pem;"
    )
    file.write_text(text.replace(f"{listen};", tls))


@dataclass
class Site:
    """What is behind the address ``url``."""

    url: str
    services: Services
    mailbox: Mailbox
    environment: dict[str, str]

    @asynccontextmanager
    async def logging_in(
        self, suite: str, password: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A client that has typed the code of the SMS, and waits."""
        arguments = ("-c", CLIENT, self.url, suite, password)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        async with program(sys.executable, *arguments, env=self.environment, **pipes) as client:
            to, text = await asyncio.wait_for(self.services.texts.get(), 30)
            mailed = await self.mailbox.code()
            assert (to, text.partition(" ")[0]) == ("+46701234567", mailed)
            assert client.stdin is not None
            client.stdin.write(f"{mailed}\n".encode())
            yield client


@pytest.fixture
async def site(tmp_path: Path, server_context: ssl.SSLContext) -> AsyncIterator[Site]:
    services, port = Services(), a_free_port()
    app, upstream = web.Application(), web.Application()
    app.router.add_post("/sms", services.sms)
    app.router.add_post("/check", services.check)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"for {request.headers['X-Certless-User']}")

    upstream.router.add_get("/page", page)
    (tmp_path / "users.toml").write_text(USERS)
    (tmp_path / "authorities.pem").write_text(self_signed().pem)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SSL_CERT_FILE": str(tmp_path / "authorities.pem"),
    }
    secrets = {"SMS_AUTHORIZATION": TOKEN, "CERTLESS_SECOND_CHECK_SECRET": SECRET}
    async with (
        listening(app, server_context) as services.port,
        listening(upstream, None) as upstream_port,
        smtp_server() as mailbox,
    ):
        (tmp_path / "sms.toml").write_text(SMS.format(port=services.port))
        (tmp_path / "gateway.toml").write_text(
            f'listen = "127.0.0.1:{port}"\nupstream = "http://127.0.0.1:{upstream_port}"\n'
            f'users = "users.toml"\nmail = "smtp://127.0.0.1:{mailbox.port}"\n'
            'channels = { sms = "webhook:@sms.toml" }\ntrusted_proxies = ["127.0.0.1"]\n'
            f'second_check = "https://127.0.0.1:{services.port}/check"\n'
        )
        command = ("-m", "gateway", "serve", "--config", str(tmp_path / "gateway.toml"))
        both = {**environment, **secrets}
        async with program(
            sys.executable, *command, env=both, stderr=subprocess.DEVNULL
        ) as gateway:
            await until_listening(port, gateway)
            behind = Behind(port, port)
            front = Front.of("nginx", tmp_path, [behind, behind])
            with_tls(front, tmp_path)
            assert front.check() == ""
            async with front.running():
                yield Site(f"https://127.0.0.1:{front.port}", services, mailbox, environment)
                services.confirmed.set()


@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
async def test_a_code_by_sms_a_password_and_a_confirmation(suite: str, site: Site) -> None:
    async with site.logging_in(suite, PASSWORD) as client:
        await asyncio.wait_for(site.services.asked.wait(), 30)
        assert client.returncode is None
        site.services.confirmed.set()
        out, err = await asyncio.wait_for(client.communicate(), 30)
    assert (out.decode(), err) == ("200 for ann\n", b"")
    (question,) = site.services.questions
    assert (question["username"], question["members"]) == ("ann", {})


async def test_a_wrong_password_ends_it_before_the_confirmation(site: Site) -> None:
    async with site.logging_in("ecdh-gcm", "battery") as client:
        out, err = await asyncio.wait_for(client.communicate(), 30)
    assert out == b""
    assert re.search(rb"PasswordNotAccepted", err)
    assert site.services.questions == []
