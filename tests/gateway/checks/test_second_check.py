"""The second check by a webhook: a service like Duo that waits, and services that lie or hang."""

import asyncio
import hashlib
import hmac
import json
import runpy
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving
from gateways import InProcess, running
from processes import ROOT

from certless.client import Client, PasswordNotAccepted, Refused, TicketNotAccepted
from gateway.build import assemble
from gateway.checks.webhook import SECRET_VARIABLE, signature
from gateway.errors import ConfigError
from gateway.users.passwords import hash_password

SECRET = "a-secret-that-both-sides-know-0123456789"
PASSWORD = "correct horse"
USERS = f"""
[users.ann]
addresses = ["ann@example.org"]

[users.bob]
addresses = ["bob@example.org"]
password = "{hash_password(PASSWORD)}"
"""
YES = b'{"ok": true}'
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def yes(_: web.Request) -> web.StreamResponse:
    return web.Response(body=YES, content_type="application/json")


def signed(request: web.Request, body: bytes) -> bool:
    """As a service checks it."""
    fields = dict(part.split("=") for part in request.headers["Certless-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{fields['t']}.".encode() + body, hashlib.sha256)
    return hmac.compare_digest(fields["v1"], expected.hexdigest())


@dataclass
class Service:
    """A service of second checks."""

    answer: Answer = yes
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    followed: int = 0
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def check(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        assert signed(request, body)
        assert request.content_type == "application/json"
        self.asked.append(json.loads(body))
        self.is_asked.set()
        return await self.answer(request)

    async def hang(self, request: web.Request) -> web.StreamResponse:
        await self.has_ended.wait()
        return await yes(request)

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.followed += 1
        return await yes(request)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service, app = Service(), web.Application()
    app.router.add_post("/check/s3cret", service.check)
    app.router.add_route("*", "/elsewhere", service.elsewhere)
    async with serving(app) as url:
        service.url = f"{url}/check/s3cret"
        yield service
        service.has_ended.set()


@asynccontextmanager
async def checked(folder: Path, url: str, **options: Any) -> AsyncIterator[InProcess]:
    """A gateway with that service."""
    (folder / "users.toml").write_text(USERS)
    (folder / "secret").write_text(f"{SECRET}\n")
    given = {"second_check": url, "second_check_secret": folder / "secret", **options}
    async with running(users=folder / "users.toml", **given) as at:
        yield at


def client_of(at: InProcess, suite: str = "ecdh-gcm", **options: Any) -> Client:
    dialect = at.dialect if suite == "classic" else None
    return Client(at.url, suite=suite, dialect=dialect, **options)  # type: ignore[arg-type]


async def log_in(
    at: InProcess, name: str = "ann", password: str = "", suite: str = "ecdh-gcm"
) -> bool:
    """Whether the login opens a session that is served."""
    async with client_of(at, suite) as client:
        try:
            await client.login(name, code=at.mails.code, password=password)
        except (PasswordNotAccepted, Refused):
            return False
        return (await client.get("/echo")).status == 200


# --- a service that works ---


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm", "classic"])
async def test_a_login_waits_for_a_person_to_confirm(
    suite: str, tmp_path: Path, service: Service
) -> None:
    confirmed = asyncio.Event()

    async def like_duo(request: web.Request) -> web.StreamResponse:
        await confirmed.wait()
        return await yes(request)

    service.answer = like_duo
    async with checked(tmp_path, service.url) as at:
        login = asyncio.create_task(log_in(at, suite=suite))
        async with asyncio.timeout(20):
            await service.is_asked.wait()
        assert not login.done()
        # Another user is served meanwhile.
        assert (await at.get("/.gateway/client.js")).status in (302, 404)
        confirmed.set()
        assert await asyncio.wait_for(login, 20)


async def test_what_the_service_is_asked(tmp_path: Path, service: Service) -> None:
    async with checked(tmp_path, service.url) as at:
        assert await log_in(at, password="otp 123456")
        assert await log_in(at, password="otp 123456", suite="classic")
        assert await log_in(at, "bob", PASSWORD)
        now_ms = at.clock()
    first, classic, bob = service.asked
    for question in service.asked:
        assert sorted(question) == ["members", "nonce", "session", "time_ms", "username"]
        assert len(question["nonce"]) == 32
        assert len(bytes.fromhex(question["session"])) == 32
        assert 0 <= now_ms - question["time_ms"] < 60_000
    assert len({question["nonce"] for question in service.asked}) == 3
    assert len({question["session"] for question in service.asked}) == 3
    assert first["username"] == "ann"
    # No key, no time and no nonce of the protocol.
    assert first["members"] == classic["members"] == {"password": "otp 123456"}
    # The gateway alone checks a password that it knows.
    assert (bob["username"], bob["members"]) == ("bob", {})


async def test_a_wrong_password_asks_nobody(tmp_path: Path, service: Service) -> None:
    async with checked(tmp_path, service.url) as at:
        for suite in ("ecdh-gcm", "classic"):
            assert not await log_in(at, "bob", "battery", suite)
    assert service.asked == []


async def test_neither_a_code_alone_nor_a_ticket_is_enough(
    tmp_path: Path, service: Service
) -> None:
    store = f"sqlite:{tmp_path / 'store.db'}"
    options: dict[str, Any] = {"users": tmp_path / "users.toml", "store": store}
    (tmp_path / "users.toml").write_text(USERS)
    ticket = tmp_path / "ticket"
    async with running(**options) as at, client_of(at, tickets=ticket) as client:
        await client.login("ann", code=at.mails.code)
    async with checked(tmp_path, service.url, store=store) as at:
        async with client_of(at, tickets=ticket) as client:
            with pytest.raises(TicketNotAccepted):
                await client.resume()
        async with client_of(at) as client:
            await client.login("ann", code=at.mails.code)
            refused = await client.get("/echo")
            assert refused.status == 401
    assert service.asked == []
    assert at.ran == []


# --- a service that does not ---


def _says(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


LIES: dict[str, Answer] = {
    "no": _says(b'{"ok": false}'),
    "1": _says(b'{"ok": 1}'),
    "a string": _says(b'{"ok": "true"}'),
    "more": _says(b'{"ok": true, "error": "not this user"}'),
    "twice": _says(b'{"ok": false, "ok": true}'),
    "a list": _says(b'[["ok", true]]'),
    "a pair": _says(b'["ok", true]'),
    "nested": _says(b'{"answer": {"ok": true}}'),
    "true": _says(b"true"),
    "nothing": _says(b""),
    "no JSON": _says(b"ok: true"),
    "no UTF-8": _says(b'{"ok": true}\xff'),
    "deep": _says(b"[" * 4000),
    "endless": _says(YES + b" " * 1_000_000),
    **{
        str(status): _says(YES, status, Location="/elsewhere")
        for status in (201, 202, 301, 302, 307, 308, 400, 403, 500, 503)
    },
}


@pytest.mark.parametrize("name", LIES)
async def test_anything_but_yes_refuses(
    name: str, tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = LIES[name]
    async with checked(tmp_path, service.url) as at:
        assert not await log_in(at, password="0tp-secret")
        assert not await log_in(at, suite="classic")
    assert (len(service.asked), service.followed, at.ran) == (2, 0, [])
    # The path of a webhook is often its only secret.
    assert "s3cret" not in caplog.text
    assert "0tp-secret" not in caplog.text


async def test_a_service_that_hangs_is_a_refusal_after_the_timeout(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = service.hang
    async with checked(tmp_path, service.url, second_check_s=1) as at:
        assert not await log_in(at)
        assert not await log_in(at, "bob", PASSWORD)
    assert "did not answer in 1 s" in caplog.text


async def test_a_service_that_trickles_has_the_same_timeout(
    tmp_path: Path, service: Service
) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in YES:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.2)
        return response

    service.answer = trickle
    async with checked(tmp_path, service.url, second_check_s=1) as at:
        assert not await log_in(at)


async def test_nobody_is_there(tmp_path: Path, free_port: int) -> None:
    async with checked(tmp_path, f"http://127.0.0.1:{free_port}/") as at:
        assert not await log_in(at)


async def test_a_certificate_that_is_not_trusted(
    tmp_path: Path, server_context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    service, app = Service(), web.Application()
    app.router.add_post("/", service.check)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context).start()
    try:
        async with checked(tmp_path, f"https://127.0.0.1:{runner.addresses[0][1]}/") as at:
            assert not await log_in(at)
    finally:
        await runner.cleanup()
    assert service.asked == []
    assert "ClientConnectorCertificateError" in caplog.text


# --- the example ---


async def test_the_example_of_docs_users_asks_a_person(tmp_path: Path) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "second_check.py"))
    asked: list[str] = []

    async def approve(username: str, members: dict[str, Any]) -> bool:
        asked.append(username)
        return members == {"password": "yes, it is me"}

    async with serving(example["service"](SECRET, approve)) as url:
        async with checked(tmp_path, f"{url}/check") as at:
            assert await log_in(at, password="yes, it is me")
            assert not await log_in(at, password="no")
        other = {"second_check_secret": tmp_path / "other"}
        (tmp_path / "other").write_text("x" * 40)
        async with checked(tmp_path, f"{url}/check", **other) as at:
            assert not await log_in(at, password="yes, it is me")
        body = b'{"username": "ann"}'
        old_s = int(time.time()) - 3600
        headers = {"Certless-Signature": signature(SECRET.encode(), old_s, body)}
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{url}/check", data=body, headers=headers) as response:
                assert response.status == 403
    assert asked == ["ann", "ann"]


# --- the options ---


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"second_check": "http://shop.example/"}, "second_check must be https://HOST"),
        ({"second_check": "ftp://127.0.0.1/"}, "second_check must be https://HOST"),
        ({"second_check": "https://x/"}, f"{SECRET_VARIABLE} must hold a secret"),
        ({"second_check": "https://x/", "second_check_secret": "short"}, "must hold a secret"),
        ({"second_check": "https://x/", "second_check_secret": "gone"}, "No such file"),
        ({"second_check_s": 301}, "second_check_s must be from 1 to 300"),
    ],
)
def test_wrong_options(
    options: dict[str, Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    (tmp_path / "users.toml").write_text(USERS)
    (tmp_path / "short").write_text("0123456789")
    with pytest.raises(ConfigError) as caught:
        assemble(users="users.toml", mail="console:", **options)
    assert text in str(caught.value)
    assert "0123456789" not in str(caught.value)


async def test_the_secret_from_the_environment(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    async with checked(tmp_path, service.url, second_check_secret=None) as at:
        assert await log_in(at)
