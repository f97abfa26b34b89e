"""The admin listener: figures of real traffic, who may ask, and what it never shows."""

import asyncio
import logging
import re
import socket
import sqlite3
from pathlib import Path

import pytest
import redis_servers
from aiohttp import web
from gateways import InProcess, changed, recording_app, running
from hardened_gateways import Device, a_code
from mailboxes import a_free_port
from prometheus_client import CollectorRegistry
from watched import Watched, watched

import gateway
from gateway.admin import Admin
from gateway.clock import system_clock
from gateway.errors import ConfigError, MailNotSent
from gateway.events import KeyGenerated
from gateway.keys.keyring import KeyRing
from gateway.monitoring.audit import hashed
from gateway.monitoring.metrics import Metrics
from gateway.stores.memory.store import MemoryStore


async def traffic(there: Watched) -> list[str]:
    """One of each kind; what must not be seen of it anywhere."""
    at = there.at
    device = Device(at)
    awaited = await device.greet()
    code = await at.mails.code()
    await device.enter(awaited, a_code("AAAA-AAAA"))
    message, pending = await device.share(awaited, a_code(code))
    online = device.enrolled(await device.send_confirmation(message), pending)
    sealed, answer = online.seal(body=b'{"word":"rhubarb"}')
    online.opened(
        await at.post(
            "/.gateway/message",
            sealed.serialize("msgpack"),
            headers={"Content-Type": "application/msgpack"},
        ),
        answer,
    )
    assert (await online.send(sealed)).status == 403
    assert online.ticket
    second = await device.resume(online.ticket)
    assert second.ticket
    third = await device.resume(second.ticket)
    await third.call()
    assert (await device.redeem(online.ticket))[0].status == 403
    wrapping = await Device(at, suite="rsa-gcm").login("bob@example.org")
    await wrapping.call()
    classic = await at.raw_login("eve@example.org")
    await classic.call("POST", "/echo", b'{"word":"rhubarb"}')
    forged, _ = classic.seal()
    forged["payload"] = changed(str(forged["payload"]), 0)
    assert (await classic.send(forged)).status == 403
    async with at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        await client.logout()
    assert (await at.get("/echo")).status == 401
    keys = [third.session.session_id.hex(), wrapping.id, classic.token, classic.code, code]
    return ["ann@", "bob@", "eve@", "example.org", "rhubarb", *keys]


# The claims of classic messages, and of those of the hardened suites.
CLAIMS = ("claim", "claim_message")


async def test_every_figure_moves_as_it_should(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        await traffic(there)
        figures = await there.metrics()
    assert {name: value for name, value in figures.items() if "_total" in name} == {
        "certless_messages_total{ecdh-gcm}": 2,
        "certless_messages_total{rsa-gcm}": 1,
        "certless_messages_total{classic/sfet-4-gcm}": 2,
        "certless_rejections_total{code_refused}": 1,
        "certless_rejections_total{decryption_failed}": 1,
        "certless_rejections_total{login_required}": 1,
        "certless_rejections_total{replayed_nonce}": 1,
        "certless_rejections_total{ticket_returned}": 1,
        "certless_code_refusals_total{code_refused}": 1,
        "certless_logins_asked_total{ecdh-gcm}": 1,
        "certless_logins_asked_total{rsa-gcm}": 1,
        "certless_logins_asked_total{classic/sfet-4-gcm}": 2,
        "certless_sessions_opened_total{ecdh-gcm}": 3,
        "certless_sessions_opened_total{rsa-gcm}": 1,
        "certless_sessions_opened_total{classic/sfet-4-gcm}": 2,
        "certless_users_departed_total{}": 0,
        "certless_tickets_used_total{}": 2,
        "certless_tickets_returned_total{}": 1,
        "certless_mails_sent_total{}": 4,
        "certless_mails_unknown_total{}": 0,
        "certless_keys_generated_total{}": figures["certless_keys_generated_total{}"],
        "certless_audit_lines_lost_total{}": 0,
    }
    assert figures["certless_keys_generated_total{}"] >= 3
    # The device's three are gone: two were replaced, and the copied ticket ended the last.
    assert figures["certless_sessions_open{}"] == 2
    assert figures["certless_session_duration_seconds_count{}"] == 1
    assert figures["certless_message_duration_seconds_count{ecdh-gcm}"] == 2
    claims = [figures[f"certless_store_duration_seconds_count{{{name}}}"] for name in CLAIMS]
    assert claims == [2, 4]
    assert figures["certless_key_pool_ready{}"] in (0, 1)


async def test_a_mail_that_fails_is_counted(tmp_path: Path) -> None:
    class Full(gateway.MailTransport):
        async def deliver(self, address: str, mail: gateway.CodeMail) -> None:
            tried.set()
            raise MailNotSent("the mailbox is full", final=True)

    tried = asyncio.Event()
    async with watched(tmp_path, mail=Full()) as there:
        await there.at.post("/.gateway/session", {"username": "ann@example.org"})
        await asyncio.wait_for(tried.wait(), 10)
        assert (await there.metrics())["certless_mails_failed_total{true}"] == 1
        assert there.recorded() == ["login_asked", "code_not_sent"]


async def test_session_stats_and_the_state_of_each_session(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        online = await Device(there.at, fresh="counter").login()
        classic = await there.at.raw_login("bob@example.org")
        await online.call()
        stats = (await there.ask("/session-stats")).json
        debug = (await there.ask("/session-stats?debug=true")).json
    assert stats == {
        "active_sessions": 2,
        "total_keys_generated": stats["total_keys_generated"],
        "avg_session_duration": None,
        "encryption_success_rate": 1.0,
    }
    assert {name: debug[name] for name in stats} == stats
    assert isinstance(there.at, InProcess)
    by_suite = {session["suite"]: session for session in debug["sessions"]}
    assert by_suite["ecdh-gcm"] == {
        "session": hashed(online.session.session_id),
        "user": there.at.assembly.tags.of("ann@example.org").hex(),
        "suite": "ecdh-gcm",
        "opened": by_suite["ecdh-gcm"]["opened"],
        "expires": by_suite["ecdh-gcm"]["expires"],
        "epoch": 0,
        "fresh": "counter",
    }
    assert by_suite["ecdh-gcm"]["opened"] < by_suite["ecdh-gcm"]["expires"]
    shown = by_suite["classic/sfet-4-gcm"]
    assert (shown["opened"], shown["epoch"], shown["fresh"]) == (None, None, None)
    assert classic.token not in str(debug)


async def test_nothing_secret_and_nobody_is_shown(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        hidden = await traffic(there)
        asked = ("/metrics", "/session-stats?debug=true", "/figures", "/readyz", "/")
        said = b"".join([(await there.ask(path)).body for path in asked]).decode()
        said += there.audit.read_text()
    assert there.at.ran.count('{"word":"rhubarb"}') == 2
    assert [word for word in hidden if word in said] == []
    assert not re.search(r"PRIVATE|BEGIN|[A-Za-z0-9+/]{64}", said)


async def test_it_answers_to_its_own_names_only(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        for host in ("127.0.0.1", "localhost:80", "[::1]:8441", "192.168.7.7:1"):
            assert (await there.ask("/metrics", host)).status == 200
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a b"):
            for path in ("/metrics", "/session-stats", "/", "/admin.js", "/nowhere"):
                answer = await there.ask(path, host)
                assert (answer.status, answer.body) == (421, b"use the IP address of this page\n")


async def test_a_name_that_was_configured_is_its_own() -> None:
    port = a_free_port()
    async with running(admin=f"localhost:{port}") as at:
        for host, status in (("LOCALHOST", 200), ("gateway", 421)):
            url = f"http://127.0.0.1:{port}/healthz"
            async with at.http.get(url, headers={"Host": host}) as answer:
                assert answer.status == status


async def test_nothing_can_be_changed(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        await there.at.raw_login()
        for path in ("/", "/metrics", "/session-stats", "/figures", "/healthz", "/readyz"):
            for method in ("POST", "PUT", "DELETE"):
                assert (await there.ask(path, method=method)).status == 405
            answer = await there.ask(path)
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
        assert (await there.ask("/sessions")).status == 404


async def test_prometheus_may_ask_for_openmetrics(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with there.at.http.get(there.admin + "/metrics", headers=headers) as answer:
            assert answer.content_type == "application/openmetrics-text"
            assert (await answer.text()).endswith("# EOF\n")


async def test_ready_while_the_store_answers(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    async with watched(tmp_path, store=f"sqlite:{path}") as there:
        await there.at.raw_login()
        assert (await there.ask("/readyz")).json == {"ready": True, "troubles": []}
        other = sqlite3.connect(path, isolation_level=None)
        # Another process that holds the file: nobody else can claim a message.
        other.execute("BEGIN IMMEDIATE")
        answer = await there.ask("/readyz")
        trouble = "the store does not answer"
        assert (answer.status, answer.json) == (503, {"ready": False, "troubles": [trouble]})
        assert (await there.ask("/session-stats")).status == 503
        assert (await there.ask("/healthz")).status == 200
        other.execute("ROLLBACK")
        other.close()
        assert (await there.ask("/readyz")).status == 200
        assert (await there.metrics())["certless_sessions_open{}"] == 1


async def test_ready_again_when_redis_is(tmp_path: Path) -> None:
    options = {"maxmemory_policy": "noeviction"}
    async with redis_servers.running(tmp_path / "redis", **options) as redis:
        async with watched(tmp_path, store=redis.url, key_file=tmp_path / "key") as there:
            await there.at.raw_login()
            assert (await there.metrics())["certless_sessions_open{}"] == 1
            redis.kill()
            assert (await there.ask("/readyz")).status == 503
            assert "certless_sessions_open{}" not in await there.metrics()
            assert (await there.ask("/figures")).json["stats"]["active_sessions"] is None
            await redis.start()
            assert (await there.ask("/readyz")).json == {"ready": True, "troubles": []}
            figures = await there.metrics()
    assert figures["certless_store_failures_total{ping}"] >= 1
    assert figures["certless_store_failures_total{count_sessions}"] >= 1


async def test_not_ready_while_it_stops(tmp_path: Path) -> None:
    app = recording_app([])
    assert isinstance(app, web.Application)
    async with watched(tmp_path, app=app) as there:
        await there.at.raw_login()
        await app.shutdown()
        answer = await there.ask("/readyz")
        assert (answer.status, answer.json["troubles"]) == (503, ["the gateway is stopping"])


async def test_not_ready_before_the_first_rsa_pair() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    listener = socket.create_server(("127.0.0.1", 0))
    own = (registry, MemoryStore(), KeyRing.ephemeral(), system_clock)
    admin = Admin(listener, *own, needs_keys=True)
    async with admin.listening(), running() as at:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/readyz"
        async with at.http.get(url) as answer:
            told = await answer.json()
        assert (answer.status, told["troubles"]) == (
            503,
            ["the first RSA pair is not ready yet"],
        )
        metrics(KeyGenerated())
        async with at.http.get(url) as answer:
            assert answer.status == 200


async def test_the_page_is_told_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.admin.history.STEP_S", 0.05)
    monkeypatch.setattr("gateway.admin.history.SPAN_S", 0.5)
    async with watched(tmp_path) as there:
        await there.at.raw_login()
        async with asyncio.timeout(10):
            told: list[dict[str, object]] = []
            while not any(point["sessions"] == {"open": 1} for point in told):
                answer = (await there.ask("/figures")).json
                told = answer["points"]
        last = answer["points"][-1]["at_ms"]
        assert answer["points"] == sorted(told, key=lambda point: str(point["at_ms"]))
        assert len(told) <= 10
        later = (await there.ask(f"/figures?after={last}")).json
        assert all(point["at_ms"] > last for point in later["points"])
        assert later["stats"]["active_sessions"] == 1
        for nonsense in ("x", "9" * 5000):
            assert (await there.ask(f"/figures?after={nonsense}")).status == 200


@pytest.mark.parametrize("place", ["", "8441x", ":8441", "127.0.0.1:", "127.0.0.1:99999", "a:b"])
def test_a_place_that_is_none_is_a_wrong_setting(place: str) -> None:
    with pytest.raises(ConfigError, match="must be PORT or HOST:PORT"):
        gateway.setup(web.Application(), users=gateway.AnyAddress(), mail="console:", admin=place)


async def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"^port {port}, for --admin, is in use: [^\n]*$"):
            async with running(admin=str(port)):
                pass


async def test_beyond_loopback_it_warns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "certless")
    async with running(admin="0"):
        assert "metrics at http://127.0.0.1:" in caplog.text
        assert "no login" not in caplog.text
    async with running(admin="0.0.0.0:0"):
        assert re.search(r"the metrics at 0\.0\.0\.0:\d+ need no login: anyone", caplog.text)


def test_without_it_nothing_is_counted() -> None:
    app = web.Application()
    gateway.setup(app, users=gateway.AnyAddress(), mail="console:")
    assembly = app[gateway.adapters.aiohttp.app.ASSEMBLY]
    assert assembly.admin is None
    assert isinstance(assembly.store, MemoryStore)
