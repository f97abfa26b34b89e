"""The five scenarios of the source, by name, and attackers, behind a real gateway."""

import asyncio
import base64
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from gateways import InProcess, Raw, running
from processes import ROOT

import session_crypto
from certless import Client
from session_crypto import SealedKey, SessionCryptoManager, open_sealed
from session_crypto.sealing import public_pem

REQUIRE = {"/session-keys/*": "ecdh-gcm", "/session-stats": "ecdh-gcm"}


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def manager_in(folder: Path, clock: Clock | None = None, **config: Any) -> SessionCryptoManager:
    lock = {"SESSION_CRYPTO_LOCK_FILE": str(folder / "lock")}
    enabled = {"SESSION_ENCRYPTION_ENABLED": True, **lock, **config}
    return SessionCryptoManager(enabled, clock=clock or Clock())


@asynccontextmanager
async def site(manager: SessionCryptoManager, **options: Any) -> AsyncIterator[InProcess]:
    app = web.Application()
    session_crypto.setup(app, manager)
    async with running(app, **{"require": REQUIRE, **options}) as at:
        yield at


class Browser:
    """A client with a key of its own, as a page would have it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.own = ec.generate_private_key(ec.SECP256R1())

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        response = await self.client.request("GET", path)
        return response.status, await response.json()

    async def ask(self, **members: Any) -> tuple[int, dict[str, Any]]:
        await self.get("/session-keys/server-key")
        asked = {"client_public_key": public_pem(self.own.public_key()), **members}
        response = await self.client.request("POST", "/session-keys/keys", json=asked)
        return response.status, await response.json()


@asynccontextmanager
async def browser(at: InProcess, username: str = "ann@example.org") -> AsyncIterator[Browser]:
    async with Client(at.url, clock=at.clock) as client:
        await client.login(username, code=at.mails.code)
        yield Browser(client)


def key_in(answer: dict[str, Any]) -> SealedKey:
    data = {name: base64.b64decode(answer[name]) for name in ("iv", "sealed")}
    return SealedKey(
        server_public_key=answer["server_public_key"], public_key=answer["public_key"], **data
    )


async def test_normal_operation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        manager = manager_in(tmp_path)
        async with site(manager) as at, browser(at) as ann:
            for kind in ("P-256", "RSA-3072"):
                status, answer = await ann.ask(kind=kind)
                assert status == 200
                session_id = next(iter(manager.sessions))
                pem = open_sealed(session_id, ann.own, key_in(answer))
                public = load_pem_private_key(pem, None).public_key()
                form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
                assert public.public_bytes(*form).decode() == answer["public_key"]
                assert pem.decode().split("\n")[1] not in caplog.text
            status, stats = await ann.get("/session-stats")
    assert stats == {
        "active_sessions": 1,
        "total_keys_generated": 2,
        "avg_session_duration": None,
        "encryption_success_rate": 1.0,
    }
    audit = [json.loads(r.getMessage()) for r in caplog.records if r.name.endswith(".audit")]
    assert [line["event"] for line in audit] == ["enabled", "sealed", "sealed", "session_ended"]


async def test_root_access_simulation() -> None:
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "examples/demo_session_security.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-5:] == [
        "in the server's memory: the planted canary: found",
        "in the server's memory: a key that the server made itself: found",
        "in the server's memory: the sealed key: found",
        "in the server's memory: the private key: not found",
        "another client's key opens it: no",
    ]


async def test_session_expiry(tmp_path: Path) -> None:
    clock = Clock()
    manager = manager_in(tmp_path, clock)
    async with site(manager) as at, browser(at) as ann:
        assert (await ann.ask())[0] == 200
        clock.now = 3599
        assert (await ann.ask())[0] == 200
        clock.now = 3600
        status, answer = await ann.ask()
        assert (status, answer["error"]) == (403, "expired")
        assert manager.sessions == {}
        # Once over, it stays over.
        assert (await ann.get("/session-keys/server-key"))[0] == 403
        assert (await ann.get("/session-stats"))[1]["avg_session_duration"] == 3600


async def test_browser_restart(tmp_path: Path) -> None:
    manager = manager_in(tmp_path)
    async with site(manager) as at:
        async with browser(at) as before:
            _, answer = await before.ask()
            (first,) = manager.sessions
        async with browser(at) as after:
            _, fresh = await after.ask()
            second = next(name for name in manager.sessions if name != first)
    for session_id in (first, second):
        with pytest.raises(ValueError, match="another"):
            open_sealed(session_id, after.own, key_in(answer))
    assert open_sealed(second, after.own, key_in(fresh))


async def test_concurrent_sessions(tmp_path: Path) -> None:
    manager = manager_in(tmp_path)
    async with site(manager) as at, browser(at) as ann, browser(at, "bob@example.org") as bob:
        (_, anns), (_, bobs) = await asyncio.gather(ann.ask(), bob.ask())
        ids = list(manager.sessions)
    assert anns["public_key"] != bobs["public_key"]
    for one, own, foreign in ((ann, anns, bobs), (bob, bobs, anns)):
        assert sum(opens(name, one, own) for name in ids) == 1
        assert not any(opens(name, one, foreign) for name in ids)


def opens(session_id: str, one: Browser, answer: dict[str, Any]) -> bool:
    try:
        return b"PRIVATE KEY" in open_sealed(session_id, one.own, key_in(answer))
    except ValueError:
        return False


# --- attackers ---


async def test_a_session_has_one_client_key(tmp_path: Path) -> None:
    async with site(manager_in(tmp_path)) as at, browser(at) as ann:
        assert (await ann.ask())[0] == 200
        ann.own = ec.generate_private_key(ec.SECP256R1())
        status, answer = await ann.ask()
        assert (status, answer["error"]) == (403, "client_key_changed")


async def test_another_users_key_does_not_get_into_my_session(tmp_path: Path) -> None:
    manager = manager_in(tmp_path)
    async with site(manager) as at, browser(at) as ann, browser(at, "bob@example.org") as bob:
        await ann.ask()
        (anns,) = manager.sessions
        # Bob names Ann's session, in every place that a request has.
        for members in ({"session": anns}, {"session_id": anns}):
            status, answer = await bob.ask(**members)
            assert (status, answer["error"]) == (400, "malformed")
        headers = {"X-Certless-Session": anns}
        asked = {"client_public_key": public_pem(bob.own.public_key())}
        response = await bob.client.request(
            "POST", f"/session-keys/keys?session={anns}", json=asked, headers=headers
        )
        sealed = key_in(await response.json())
    with pytest.raises(ValueError, match="another"):
        open_sealed(anns, bob.own, sealed)
    with pytest.raises(session_crypto.SessionEncryptionDisabled):
        SessionCryptoManager().encrypt_private_key(anns, asked["client_public_key"], "")


@pytest.mark.parametrize(
    "members",
    [
        {"client_public_key": "x"},
        {"client_public_key": 1},
        {"client_public_key": public_pem(ec.generate_private_key(ec.SECP384R1()).public_key())},
        {"kind": "P-384"},
        {"client_public_key": "x" * 5000},
    ],
)
async def test_an_order_that_is_refused(tmp_path: Path, members: dict[str, Any]) -> None:
    async with site(manager_in(tmp_path)) as at, browser(at) as ann:
        status, answer = await ann.ask(**members)
        assert (status, answer["error"]) == (400, "malformed")


async def test_a_classic_session_gets_no_key(tmp_path: Path) -> None:
    async with site(manager_in(tmp_path), require={}, suites=("ecdh-gcm", "classic")) as at:
        raw = await Raw.login(at, "ann@example.org")
        for path in ("/session-keys/server-key", "/session-stats"):
            response = await raw.call("GET", path)
            assert json.loads(response.body)["error"] == "suite_required"


# --- configuration ---


async def test_it_is_off_unless_configured() -> None:
    async with site(SessionCryptoManager()) as at, browser(at) as ann:
        status, answer = await ann.get("/session-keys/server-key")
        assert (status, answer["error"]) == (404, "disabled")


@pytest.mark.parametrize("value", [0, -1, "3600", True, None])
def test_a_wrong_expiry_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(session_crypto.SessionCryptoError, match="seconds above 0"):
        manager_in(tmp_path, SESSION_CRYPTO_EXPIRY=value)


def test_a_second_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = manager_in(tmp_path)
    with pytest.raises(session_crypto.SessionCryptoError, match="--workers 1"):
        manager_in(tmp_path)
    first.close()
    manager_in(tmp_path).close()
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    with pytest.raises(session_crypto.SessionCryptoError, match="WEB_CONCURRENCY to 1"):
        manager_in(tmp_path)


def test_cleanup_runs_by_itself_after_its_interval(tmp_path: Path) -> None:
    clock = Clock()
    manager = manager_in(tmp_path, clock, SESSION_CRYPTO_EXPIRY=10)
    manager.get_server_public_key("a")
    clock.now = 299
    assert manager.stats()["active_sessions"] == 1
    clock.now = 300
    assert manager.stats()["active_sessions"] == 0
    assert manager.cleanup_expired_sessions() == 0
    manager.close()


def test_escrow_is_explicit_and_audited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agent = rsa.generate_private_key(65537, 2048)
    form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    pem = agent.public_key().public_bytes(*form).decode()
    manager = manager_in(tmp_path, SESSION_CRYPTO_ESCROW_KEY=pem)
    own, given = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    secret = given.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    manager.get_server_public_key("a")
    with caplog.at_level(logging.INFO, "session_crypto.audit"):
        key = manager.encrypt_private_key("a", public_pem(own.public_key()), secret.decode())
    manager.close()
    assert open_sealed("a", own, key) == secret
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), b"session_crypto escrow")
    wrapped, iv, sealed = key.escrow[:256], key.escrow[256:268], key.escrow[268:]
    assert AESGCM(agent.decrypt(wrapped, oaep)).decrypt(iv, sealed, b"a") == secret
    assert '"escrowed"' in caplog.text
    assert "PRIVATE" not in caplog.text


def test_a_key_that_cannot_be_read_is_refused_and_counts(tmp_path: Path) -> None:
    manager = manager_in(tmp_path)
    client = public_pem(ec.generate_private_key(ec.SECP256R1()).public_key())
    manager.get_server_public_key("a")
    with pytest.raises(session_crypto.SessionCryptoError, match="cannot be used"):
        manager.encrypt_private_key("a", client, "no key")
    assert manager.stats()["encryption_success_rate"] == 0
    manager.close()
