"""Limits as a client sees them: 429, the same for all, and success after the wait."""

import asyncio
import json
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import (
    CLIENT_PAIR,
    Answer,
    CaughtMails,
    InProcess,
    Raw,
    Running,
    SetClock,
    Users,
    running,
)
from hardened_gateways import PREFIX, Device, Online, a_code
from mailboxes import eventually

import gateway
from certless.client import Client, Refused
from gateway import Account
from gateway.clock import system_clock
from gateway.config.settings import find_dialect
from gateway.events import Event, LimitHit
from gateway.policy.rates import RATES
from gateway.service.listener import AccessLog
from protocol.classic.client_exchange import ClientExchange
from protocol.classic.suites import Classic
from protocol.common.codes import Code
from protocol.common.messages import FieldNames, HttpResponse
from protocol.common.primitives import RsaPrivateKey
from protocol.hardened.client_handshake import begin_login
from protocol.hardened.handshake_messages import ClientHello, ClientShare

pytestmark = pytest.mark.usefixtures("framework")

HERE, THERE = {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "192.0.2.8"}
NO_RATES = dict.fromkeys(RATES, "none")
SUITES = ["classic", "ecdh-gcm", "rsa-gcm"]


@asynccontextmanager
async def limited(**options: Any) -> AsyncIterator[InProcess]:
    """A gateway behind a proxy on loopback, with only the rates in ``options``."""
    settings = {**NO_RATES, "trusted_proxies": ["127.0.0.1"], "mail_limit": 100, **options}
    async with running(**settings) as at:
        at.clock.stopped_at_ms = system_clock()
        yield at


async def ask(at: Running, suite: str, user: str = "ann@example.org", **options: Any) -> Answer:
    """A login up to the first response."""
    if suite == "classic":
        return await at.post("/.gateway/session", {"username": user}, **options)
    hello, _ = begin_login(user, "certless", secrets.token_bytes, [suite], "clock")
    return await at.post(PREFIX + "/session/hello", hello.serialize("json"), **options)


async def guess(at: Running, suite: str, **options: Any) -> Answer:
    """An attempt of a code in a login that does not exist."""
    if suite == "classic":
        token = "-".join(secrets.token_hex(size) for size in (4, 2, 2, 2, 6))
        return await at.post(
            "/.gateway/session/authenticate", {"token": token, "payload": "AAAA"}, **options
        )
    share = ClientShare(secrets.token_bytes(16), b"\4" * 65).serialize("json")
    return await at.post(PREFIX + "/session/share", share, **options)


def refused(answer: Answer, retry_after_s: int | None = None) -> Answer:
    assert answer.status == 429, answer
    assert answer.json["error"] == "too_many"
    assert retry_after_s is None or answer.headers["Retry-After"] == str(retry_after_s)
    assert int(answer.headers["Retry-After"]) >= 1
    return answer


def let_in(answer: Answer) -> Answer:
    assert answer.status in (200, 201), answer
    return answer


def moved(at: Running, seconds: float) -> None:
    assert at.clock.stopped_at_ms is not None
    at.clock.stopped_at_ms += int(seconds * 1000)


# --- logins ---


@pytest.mark.parametrize("suite", SUITES)
async def test_logins_of_a_user(suite: str) -> None:
    async with limited(logins_per_user="3 per minute") as at:
        for headers in (HERE, THERE, HERE):
            let_in(await ask(at, suite, headers=headers))
        moved(at, 20)
        # With any spelling of the name, and in any suite.
        refused(await ask(at, suite, headers=THERE), 41)
        refused(await ask(at, suite, " Ann@EXAMPLE.org ", headers=HERE), 41)
        refused(await ask(at, "ecdh-gcm", headers=HERE), 41)
        let_in(await ask(at, suite, "bob@example.org", headers=HERE))
        moved(at, 41)
        let_in(await ask(at, suite, headers=HERE))


@pytest.mark.parametrize("suite", SUITES)
async def test_logins_from_an_address(suite: str) -> None:
    async with limited(logins_per_address="2 per hour") as at:
        for n in range(2):
            let_in(await ask(at, suite, f"user{n}@example.org", headers=HERE))
        refused(await ask(at, suite, "other@example.org", headers=HERE), 3601)
        let_in(await ask(at, suite, headers=THERE))
        moved(at, 3601)
        let_in(await ask(at, suite, headers=HERE))


@pytest.mark.parametrize("suite", SUITES)
async def test_logins_from_a_block_of_ipv6(suite: str) -> None:
    async with limited(logins_per_address="2 per hour") as at:
        block = [{"X-Forwarded-For": f"2001:db8:1:2:{last}"} for last in (":1", ":2", "f:1:2:3")]
        for headers in block[:2]:
            let_in(await ask(at, suite, headers=headers))
        refused(await ask(at, suite, headers=block[2]))
        let_in(await ask(at, suite, headers={"X-Forwarded-For": "2001:db8:1:3::1"}))


@pytest.mark.parametrize("suite", SUITES)
async def test_logins_in_all(suite: str) -> None:
    async with limited(logins="5 per second", logins_per_address="2 per hour") as at:
        for n in range(5):
            headers = {"X-Forwarded-For": f"192.0.2.{n}"}
            let_in(await ask(at, suite, f"user{n}@example.org", headers=headers))
        refused(await ask(at, suite, headers=THERE), 2)
        moved(at, 1.5)
        let_in(await ask(at, suite, headers=THERE))


@pytest.mark.parametrize("suite", SUITES)
async def test_a_known_user_and_an_unknown_one_are_answered_alike(suite: str) -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    visible = []
    for name in ("ann", "eve"):
        async with limited(users=users, logins_per_user="2 per minute") as at:
            answers = [await ask(at, suite, name, headers=HERE) for _ in range(4)]
            visible.append([answer.visible for answer in answers[2:]])
            assert [answer.status for answer in answers[2:]] == [429, 429]
            assert answers[2].headers["Retry-After"] == answers[3].headers["Retry-After"] == "61"
    assert visible[0] == visible[1]


async def test_a_limit_is_found_before_the_directory_is_asked() -> None:
    names: list[str] = []

    class Asked(Users):
        async def find(self, username: str) -> Account | None:
            names.append(username)
            return None

    async with limited(users=Asked(), logins_per_user="1 per minute") as at:
        for suite in SUITES:
            await ask(at, suite, "ann", headers=HERE)
    assert names == ["ann"]


async def test_429_is_answered_in_the_format_of_the_request() -> None:
    async with limited(logins="1 per hour") as at:
        device = Device(at)
        await device.greet()
        hello, _ = begin_login("ann", "certless", secrets.token_bytes, ["ecdh-gcm"], "clock")
        answer = await device.post("/session/hello", hello.serialize("msgpack"))
        assert answer.status == 429
        assert answer.headers["Content-Type"] == "application/msgpack"
        assert b"too_many" in answer.body


async def test_a_mail_and_the_log_name_the_visitor() -> None:
    events: list[Event] = []
    async with limited(logins_per_user="1 per hour", watch=events.append) as at:
        let_in(await ask(at, "ecdh-gcm", headers=HERE))
        _, mail = await at.mails.mails.get()
        assert mail.requested_from == "192.0.2.7"
        refused(await ask(at, "ecdh-gcm", headers=THERE))
    hits = [event for event in events if isinstance(event, LimitHit)]
    assert hits == [
        LimitHit("logins_per_user", "192.0.2.8", at.assembly.tags.of("ann@example.org"))
    ]


# --- client addresses ---


async def test_an_untrusted_peer_cannot_say_who_it_is() -> None:
    rates = {"logins_per_address": "3 per hour"}
    async with limited(trusted_proxies=["10.0.0.0/8"], **rates) as at:
        for n in range(3):
            let_in(await ask(at, "ecdh-gcm", headers={"X-Forwarded-For": f"192.0.2.{n}"}))
        refused(await ask(at, "ecdh-gcm", headers={"X-Forwarded-For": "192.0.2.99"}))
        refused(await ask(at, "ecdh-gcm"))


async def test_what_a_visitor_adds_himself_is_not_read() -> None:
    async with limited(logins_per_address="3 per hour") as at:
        for n in range(3):
            spoofed = {"X-Forwarded-For": f"198.51.100.{n}, 192.0.2.7"}
            let_in(await ask(at, "ecdh-gcm", headers=spoofed))
        refused(await ask(at, "ecdh-gcm", headers=HERE))
        refused(await ask(at, "ecdh-gcm", headers={"X-Forwarded-For": "x, y, 192.0.2.7"}))
        let_in(await ask(at, "ecdh-gcm", headers=THERE))


async def test_the_access_log_names_the_visitor(caplog: pytest.LogCaptureFixture) -> None:
    async def nothing(_: web.Request) -> web.Response:
        return web.Response()

    app, log = web.Application(), logging.getLogger("certless.access")
    app.router.add_get("/public", nothing)
    gateway.setup(
        app,
        users=gateway.AnyAddress(),
        mail=CaughtMails(),
        public=["/public"],
        trusted_proxies=["127.0.0.1"],
    )
    runner = web.AppRunner(app, access_log_class=AccessLog, access_log=log)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    caplog.set_level(logging.INFO, log.name)
    async with aiohttp.ClientSession() as http:
        for path in ("/public", "/.gateway/session", "/plain"):
            url = f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
            async with http.get(url, headers=HERE):
                """Only the log is checked."""
    await runner.cleanup()
    lines = [record.getMessage() for record in caplog.records if record.name == log.name]
    assert [line.partition(" ")[0] for line in lines] == ["192.0.2.7"] * 3


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")
    body = b'{"username":"ann@example.org"}'
    for trusted, forwarded, said in (
        (["unix"], HERE, "192.0.2.7"),
        (["unix"], {}, "an unknown address"),
        (["127.0.0.1"], HERE, "an unknown address"),
    ):
        mails, app = CaughtMails(), web.Application()
        gateway.setup(app, users=gateway.AnyAddress(), mail=mails, trusted_proxies=trusted)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
            url = "http://gateway/.gateway/session"
            async with http.post(url, data=body, headers=forwarded) as answer:
                assert answer.status == 201
        assert (await mails.mails.get())[1].requested_from == said
        await runner.cleanup()


# --- codes and tickets ---


@pytest.mark.parametrize("suite", ["classic", "ecdh-gcm"])
async def test_guesses_from_an_address(suite: str) -> None:
    async with limited(guesses_per_address="4 per minute") as at:
        for _ in range(4):
            assert (await guess(at, suite, headers=HERE)).status == 403
        refused(await guess(at, suite, headers=HERE), 61)
        assert (await guess(at, suite, headers=THERE)).status == 403
        moved(at, 61)
        assert (await guess(at, suite, headers=HERE)).status == 403


async def test_guesses_over_all_logins_of_both_suites() -> None:
    async with limited(guesses_per_address="3 per minute") as at:
        online = await Device(at).login()
        raw = await at.raw_login()
        device = Device(at)
        awaited = await device.greet()
        code = a_code(await at.mails.code())
        share, _ = awaited.enter(code, secrets.token_bytes)
        third = await device.send_share(share)
        assert third.status == 200
        again = await device.send_share(share)
        assert again.status == 429
        # It was counted for the address, and not as an attempt at the code.
        moved(at, 61)
        message, pending = await device.share(awaited, code)
        device.enrolled(await device.send_confirmation(message), pending)
        assert (await call(online)).status == 200
        assert (await raw.call("GET", "/echo")).status == 200


async def test_resumptions_from_an_address_and_a_locked_out_user_comes_back() -> None:
    rates = {"logins_per_user": "1 per hour", "resumptions_per_address": "2 per minute"}
    async with limited(**rates) as at:
        device = Device(at)
        online = await device.login()
        refused(await ask(at, "ecdh-gcm"))
        for _ in range(2):
            assert online.ticket
            online = await device.resume(online.ticket)
        assert online.ticket
        answer, _ = await device.begin(online.ticket)
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "61"
        moved(at, 61)
        online = await device.resume(online.ticket)
        assert (await call(online)).status == 200


# --- sessions ---


async def call(online: Online) -> HttpResponse:
    return await online.call("POST", "/echo", b"{}")


async def test_sessions_of_a_user() -> None:
    async with limited(sessions_per_user=2) as at:
        device = Device(at)
        sessions = [await device.login() for _ in range(2)]
        other = await device.login("bob@example.org")
        awaited = await device.greet()
        code = a_code(await at.mails.code())
        answer = await device.enter(awaited, code)
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 3601
        # A ticket replaces one session with another.
        assert sessions[0].ticket
        sessions[0] = await device.resume(sessions[0].ticket)
        await sessions[1].call("POST", "/.gateway/session/logout")
        # The code was not spent.
        message, pending = await device.share(awaited, code)
        sessions[1] = device.enrolled(await device.send_confirmation(message), pending)
        for online in (*sessions, other):
            assert (await call(online)).status == 200


async def test_sessions_in_all_and_classic_ones_among_them() -> None:
    async with limited(sessions=2) as at:
        raw = await at.raw_login()
        await Device(at).login("bob@example.org")
        exchange = raw.exchange
        token = (await ask(at, "classic", "eve@example.org")).json["token"]
        code = await at.mails.code()
        message, _ = exchange.seal_login(
            token, Code(code), CLIENT_PAIR, at.clock(), secrets.token_bytes
        )
        names = exchange.suite.dialect.names
        path = "/.gateway/session/authenticate"
        refused(await at.post(path, message.serialize(names)))
        # In classic the code is spent (PROTOCOL §3.3.3).
        assert (await at.post(path, message.serialize(names))).status == 403
        await raw.call("GET", "/echo")
        moved(at, 3601)
        await at.raw_login("eve@example.org")


@pytest.mark.parametrize("suite", ["classic", "rsa-gcm"])
async def test_logins_that_wait_for_a_key(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = threading.Semaphore(0)

    class MadeWhenTold:
        @staticmethod
        def generate() -> RsaPrivateKey:
            assert finish.acquire(timeout=10)
            return RsaPrivateKey.from_der(CLIENT_PAIR.to_der())

    monkeypatch.setattr("gateway.keys.rsa_pool.RsaPrivateKey", MadeWhenTold)
    async with limited(key_queue_size=1) as at:
        pool = at.assembly.key_pool

        async def log_in() -> Raw | Online:
            return await (at.raw_login() if suite == "classic" else Device(at, suite).login())

        waits = asyncio.create_task(log_in())
        await eventually(lambda: pool._waiting == 1)
        if suite == "classic":
            # The code of the first refused client was not spent.
            token = (await ask(at, suite)).json["token"]
            exchange = ClientExchange(Classic(find_dialect(at.dialect)))
            message, _ = exchange.seal_login(
                token, Code(await at.mails.code()), CLIENT_PAIR, at.clock(), secrets.token_bytes
            )
            path, body = "/.gateway/session/authenticate", message.serialize(FieldNames())
            refused(await at.post(path, body), 5)
            finish.release(2)
            await waits
            let_in(await at.post(path, body))
        else:
            device = Device(at, suite)
            awaited, code = await device.greet(), a_code(await at.mails.code())
            assert (await device.enter(awaited, code)).status == 429
            finish.release(2)
            await waits
            share, pending = await device.share(awaited, code)
            device.enrolled(await device.send_confirmation(share), pending)
        finish.release(8)


async def test_messages_of_a_session_are_refused_inside_the_seal() -> None:
    async with limited(messages_per_session="3 per minute") as at:
        device = Device(at)
        online, other = await device.login(), await device.login()
        raw = await at.raw_login()
        for _ in range(3):
            assert (await call(online)).status == 200
            assert (await raw.call("POST", "/echo", b"{}")).status == 200
        for sent in (await call(online), await raw.call("POST", "/echo", b"{}")):
            assert sent.status == 429
            assert ("Retry-After", "61") in sent.headers
            assert json.loads(sent.body)["error"] == "too_many"
        assert len(at.ran) == 6
        assert (await call(other)).status == 200
        moved(at, 61)
        assert (await call(online)).status == 200
        await online.call("POST", "/.gateway/session/logout")


async def test_nobody_else_can_use_up_the_messages_of_a_session() -> None:
    async with limited(messages_per_session="3 per minute") as at:
        device = Device(at)
        online = await device.login()
        envelope, _ = online.seal()
        good = envelope.serialize(device.form)
        assert (await device.post("/message", good)).status == 200
        for _ in range(20):
            assert (await device.post("/message", good)).status == 403
        bent = bytearray(good)
        bent[-1] ^= 1
        for _ in range(20):
            assert (await device.post("/message", bytes(bent))).status == 403
        for _ in range(2):
            assert (await call(online)).status == 200


async def test_messages_ahead_of_their_time_do_not_fill_the_store() -> None:
    async with limited() as at:
        device = Device(at, form="json")
        online, other = await device.login(), await device.login()
        ahead_ms, edge_ms = at.clock() + 3_600_000, at.clock() + 60_000
        for _ in range(100):
            envelope, _ = online.seal(now_ms=ahead_ms)
            assert (await online.send(envelope)).status == 200
            assert (await online.call("POST", "/echo", b"{}", now_ms=edge_ms)).status == 200
        envelope, _ = online.seal(now_ms=ahead_ms)
        refused(await online.send(envelope), 3601)
        # It must not run later: its session ended, its ticket did not.
        at.clock.stopped_at_ms = ahead_ms - 1
        assert (await online.send(envelope)).status == 403
        assert len(at.ran) == 100
        assert online.ticket
        assert (await call(await device.resume(online.ticket))).status == 200
        assert (await call(other)).status == 200


async def test_a_message_ahead_that_is_sent_again_ends_no_session() -> None:
    async with limited() as at:
        online = await Device(at, form="json").login()
        envelope, _ = online.seal(now_ms=at.clock() + 3_600_000)
        assert (await online.send(envelope)).status == 200
        for _ in range(120):
            assert (await online.send(envelope)).status == 403
        assert (await call(online)).status == 200


# --- the clients ---


async def test_the_python_client_says_when_to_come_again() -> None:
    async with limited(logins_per_user="1 per minute", messages_per_session="1 per minute") as at:
        async with at.client(suite=None) as client:
            client_code: Callable[[], Any] = at.mails.code
            await client.login("ann@example.org", code=client_code)
            with pytest.raises(Refused, match="try again in 61 s") as caught:
                await client.login("ann@example.org", code=client_code)
            assert (caught.value.status, caught.value.code) == (429, "too_many")
            assert caught.value.retry_after_s == 61
            # The existing session continues. Inside the seal 429 is a response.
            assert (await client.post("/echo", json={})).status == 200
            response = await client.post("/echo", json={})
            assert response.status == 429
            assert response.headers["Retry-After"] == "61"
    assert len(at.ran) == 1


async def test_a_refused_resumption_keeps_the_ticket(tmp_path: Path) -> None:
    async with limited(resumptions_per_address="1 per minute") as at:
        options: dict[str, Any] = {"tickets": tmp_path / "ticket", "clock": at.clock}
        async with Client(at.url, **options) as client:
            await client.login("ann@example.org", code=at.mails.code)
            await client.resume()
            with pytest.raises(Refused) as caught:
                await client.resume()
            assert caught.value.retry_after_s == 61
            moved(at, 61)
            await client.resume()
            assert (await client.post("/echo", json={})).status == 200


# --- several gateways, and many clients ---


async def test_two_gateways_on_one_file_share_their_limits(tmp_path: Path) -> None:
    clock = SetClock()
    clock.stopped_at_ms = system_clock()
    shared: dict[str, Any] = {
        "store": f"sqlite:{tmp_path / 'shared.db'}",
        "clock": clock,
        "logins_per_user": "4 per hour",
    }
    async with AsyncExitStack() as stack:
        pair = [await stack.enter_async_context(limited(**shared)) for _ in range(2)]
        asked = (ask(pair[n % 2], SUITES[n % 3], headers=HERE) for n in range(24))
        answers = await asyncio.gather(*asked)
        assert sum(answer.status < 300 for answer in answers) == 4
        assert sum(answer.status == 429 for answer in answers) == 20


@pytest.mark.parametrize("store", ["memory:", "sqlite:"])
async def test_a_flood_lets_in_as_many_as_the_limits_say(store: str, tmp_path: Path) -> None:
    """During logins from a thousand addresses every message of a session is answered."""
    rates = {"logins": "50 per hour", "logins_per_address": "3 per hour"}
    if store != "memory:":
        store += str(tmp_path / "flood.db")
    async with limited(store=store, **rates) as at:
        device = Device(at)
        online = await device.login()
        addresses = [{"X-Forwarded-For": f"203.0.{n // 250}.{n % 250}"} for n in range(1000)]
        turns = asyncio.Semaphore(50)

        async def visit(n: int) -> int:
            async with turns:
                suite = SUITES[n % 2]
                return (await ask(at, suite, f"u{n}@example.org", headers=addresses[n])).status

        flood = asyncio.gather(*(visit(n) for n in range(1000)))
        served = 0
        while not flood.done():
            assert (await call(online)).status == 200
            served += 1
        statuses = await flood
        assert sum(status < 300 for status in statuses) == 49
        assert statuses.count(429) == 951
        assert served > 1
        assert len(at.ran) == served


# --- pages of other sites ---

FOREIGN = {"Origin": "http://elsewhere.example"}


@pytest.mark.parametrize("path", ["/.gateway/session", "/.gateway/session/hello"])
@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "https://shop.example:1"])
async def test_a_page_of_another_site_gets_no_mails(path: str, origin: str) -> None:
    async with limited() as at:
        hello = ClientHello(1, "ann@example.org", ("ecdh-gcm",), "clock", b"n" * 32).serialize(
            "json"
        )
        body = hello if path.endswith("hello") else b'{"username":"ann@example.org"}'
        for content_type in (
            "text/plain",
            "text/plain; charset=application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/octet-stream",
        ):
            headers = {"Origin": origin, "Content-Type": content_type}
            answer = await at.post(path, body, headers=headers)
            assert answer.status == 403
            assert answer.json["error"] == "foreign_origin"
        assert at.mails.mails.empty()
        # A browser needs a preflight for it, which is refused. Behind a proxy that changes Host it
        # comes from our own page.
        asked = await at.http.options(at.url + path, headers={"Origin": origin})
        assert asked.status == 405
        assert not any(name.lower().startswith("access-control") for name in asked.headers)
        headers = {"Origin": origin, "Content-Type": "application/json"}
        let_in(await at.post(path, body, headers=headers))


async def test_a_page_of_this_site_and_what_is_no_page_may_write_any_type() -> None:
    async with limited() as at:
        host = at.url.removeprefix("http://")
        for headers in (
            {"Origin": at.url, "Content-Type": "text/plain"},
            {"Origin": at.url.upper(), "Content-Type": "text/plain"},
            {"Origin": f"https://{host}", "Content-Type": "text/plain"},
            {"Content-Type": "application/x-www-form-urlencoded"},
        ):
            body = b'{"username":"ann@example.org"}'
            let_in(await at.post("/.gateway/session", body, headers=headers))


async def test_other_routes_do_not_look_at_the_origin() -> None:
    async with limited() as at:
        raw = await Raw.login(at, "ann@example.org")
        message, _ = raw.seal()
        headers = {**FOREIGN, "Content-Type": "text/plain"}
        body = json.dumps(message).encode()
        assert (await at.post("/.gateway/message", body, headers=headers)).status == 200
