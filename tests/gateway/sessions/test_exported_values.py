"""The exporter at the handler and at the client (PROTOCOL §2.5.3): both have the same values."""

import copy
import dataclasses
import json
import pickle
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import get_args

import aiohttp
import msgpack
import pytest
import redis_servers
from exporting import LABEL, exporting_app
from frameworks import FRAMEWORKS, serving
from gateways import CaughtMails, InProcess, Running, SetClock, messages_of, running
from hardened_gateways import Device, Online
from mailboxes import a_free_port, smtp_server
from processes import ROOT, python, until_listening
from proxied import upstream_app
from two_gateways import MailedCodes

import certless
from certless.client import CLASSIC, Client, NotLoggedIn, Suite
from gateway.sessions.hardened import HardenedSession, open_entry
from protocol.hardened.exporter import exported_value
from protocol.hardened.suites import HARDENED_SUITES, Freshness

MINUTE_MS = 60_000
PROGRAM = str(ROOT / "tests" / "support" / "exporting.py")
in_each_suite = pytest.mark.parametrize(
    "suite", [name for name in get_args(Suite) if name != CLASSIC]
)
in_each_framework = pytest.mark.usefixtures("framework")


async def of_handler(client: Client, context: str = "") -> bytes:
    """The value of the handler in the client's session."""
    answer = await client.get("/value", params={"context": context})
    return bytes.fromhex((await answer.json())["value"])


async def same_value(client: Client, context: str = "") -> bytes:
    """The value, which is the same at both ends."""
    value = client.export(LABEL, context.encode())
    assert await of_handler(client, context) == value
    return value


# --- one gateway ---


@in_each_framework
@in_each_suite
@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_both_ends_have_the_same_values(suite: Suite, fresh: Freshness) -> None:
    values = set()
    async with running(exporting_app()) as at:
        for user in ("ann", "bob"):
            async with Client(at.url, suite=suite, fresh=fresh, clock=at.clock) as client:
                await client.login(f"{user}@example.org", code=at.mails.code)
                assert client.export(LABEL) == client.export(LABEL, b"", 32)
                for context in ("", "enrol", "Räksmörgås"):
                    values.add(await same_value(client, context))
    assert len(values) == 6


@in_each_framework
@in_each_suite
async def test_a_new_epoch_has_the_same_values_and_a_resumption_others(
    suite: Suite, tmp_path: Path
) -> None:
    tickets = tmp_path / "ticket"
    async with running(exporting_app()) as at:
        async with Client(at.url, suite=suite, clock=at.clock, tickets=tickets) as client:
            await client.login("ann@example.org", code=at.mails.code)
            first = await same_value(client)
            for epoch in (1, 2):
                at.clock.offset_ms += 16 * MINUTE_MS
                assert await same_value(client) == first
                assert messages_of(client)._session.epoch == epoch
            await client.resume()
            second = await same_value(client)
            await client.login("ann@example.org", code=at.mails.code)
            third = await same_value(client)
    assert len({first, second, third}) == 3


@in_each_framework
async def test_classic_has_no_exporter() -> None:
    async with running(exporting_app()) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        with pytest.raises(ValueError, match="use a hardened suite"):
            client.export(LABEL)
        answer = await client.get("/value")
        assert await answer.json() == {
            "error": "classic exports no values: let this path require a hardened suite"
        }


async def test_a_client_without_a_session_has_no_values() -> None:
    async with running(exporting_app()) as at, Client(at.url, clock=at.clock) as client:
        with pytest.raises(NotLoggedIn, match="login first"):
            client.export(LABEL)
        await client.login("ann@example.org", code=at.mails.code)
        at.clock.offset_ms += 61 * MINUTE_MS
        with pytest.raises(NotLoggedIn, match="the session has ended"):
            client.export(LABEL)
        at.clock.offset_ms = 0
        assert client.export(LABEL)
        await client.logout()
        with pytest.raises(NotLoggedIn, match="login first"):
            client.export(LABEL)


async def test_wrong_arguments_are_refused_at_both_ends() -> None:
    session = HardenedSession("00", "ann", "ecdh-gcm", 0, bytes(32))
    async with running(exporting_app()) as at, Client(at.url) as client:
        await client.login("ann@example.org", code=at.mails.code)
        for end in (client, session):
            with pytest.raises(ValueError, match="printable ASCII"):
                end.export("")
            with pytest.raises(ValueError, match="16 to 8160"):
                end.export(LABEL, length=15)
            with pytest.raises(ValueError, match="pass its hash"):
                end.export(LABEL, bytes(65_536))


def test_no_copy_and_no_text_of_a_session_has_the_secret() -> None:
    secret = b"an exporter secret of 32 bytes.."
    session = HardenedSession("00", "ann", "ecdh-gcm", 0, secret)
    assert dataclasses.asdict(session) == {
        "id": "00", "user": "ann", "suite": "ecdh-gcm", "expires_ms": 0, "ticket_id": "",
    }  # fmt: skip
    assert "secret" not in f"{session}{session!r}"
    assert secret not in pickle.dumps(session)
    assert copy.copy(session) == session


async def old_record(at: InProcess, online: Online) -> None:
    """Store the session as a version without an exporter did."""
    sessions, key = at.assembly.hardened, bytes.fromhex(online.id)
    sealed = await sessions._store.load(key, at.clock())
    assert sealed is not None
    entry = open_entry(sessions._keyring, key, sealed)
    assert entry is not None
    fields = msgpack.unpackb(entry.session)
    assert len(fields.pop()) == 32
    old = dataclasses.replace(entry, session=msgpack.packb(fields))
    assert await sessions._store.swap(key, sealed, sessions._seal(key, old))


@in_each_framework
@pytest.mark.parametrize("suite", HARDENED_SUITES)
async def test_a_session_of_an_earlier_version_works_without_an_exporter(suite: str) -> None:
    async with running(exporting_app()) as at:
        online = await Device(at, suite).login()
        await old_record(at, online)
        for _ in range(2):
            answer = await online.call("GET", "/value", b"", ())
            assert "an earlier version opened this session" in json.loads(answer.body)["error"]
            # The next epoch writes the record anew.
            online.session = online.session.rekeyed(at.clock())
        assert online.ticket is not None
        online = await online.device.resume(online.ticket)
        assert await value_at(online.device.at, online)


# --- two processes with one store ---


async def value_at(at: Running, online: Online) -> bytes:
    """The value of a gateway, which is that of the client."""
    online.device = Device(at, online.device.suite)
    answer = json.loads((await online.call("GET", "/value", b"", ())).body)
    value = bytes.fromhex(answer["value"])
    session = online.session
    suite = HARDENED_SUITES[session.suite]
    assert exported_value(suite, session.export, LABEL, b"", 32) == value
    return value


@pytest.fixture(params=["sqlite", "redis"])
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Running]]:
    """An aiohttp process and an ASGI process, which share a store and nothing else."""
    async with AsyncExitStack() as stack:
        store = f"sqlite:{tmp_path / 'db'}"
        if request.param == "redis":
            store = (await stack.enter_async_context(redis_servers.running(tmp_path))).url
        mailbox = await stack.enter_async_context(smtp_server())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        found = []
        for name in FRAMEWORKS:
            port = a_free_port()
            options = (f"smtp://127.0.0.1:{mailbox.port}", store, str(tmp_path / "keys"))
            process = await stack.enter_async_context(python(PROGRAM, name, str(port), *options))
            await until_listening(port, process)
            url = f"http://127.0.0.1:{port}"
            found.append(Running(url, MailedCodes(mailbox), SetClock(), http, ""))
        yield found


@pytest.mark.parametrize("suite", HARDENED_SUITES)
async def test_each_process_with_the_store_has_the_same_values(
    processes: list[Running], suite: str
) -> None:
    one, two = processes
    online = await Device(one, suite).login()
    first = await value_at(two, online)
    assert await value_at(one, online) == first
    online.session = online.session.rekeyed(one.clock())
    assert await value_at(two, online) == first
    assert await value_at(one, online) == first
    assert online.ticket is not None
    online = await Device(two, suite).resume(online.ticket)
    second = await value_at(one, online)
    assert await value_at(two, online) == second
    assert first != second


# --- the proxy ---


async def test_the_upstream_gets_no_value_and_no_secret() -> None:
    mails = CaughtMails()
    async with serving(upstream_app()) as upstream:
        app = certless.reverse_proxy(upstream, users=certless.AnyAddress(), mail=mails)
        async with serving(app) as url, Client(url) as client:
            await client.login("ann@example.org", code=mails.code)
            seen = await (await client.get("/")).json()
            secret = messages_of(client)._session.export
    names = {name.lower() for name, _ in seen["headers"] if "certless" in name.lower()}
    assert names == {"x-certless-user", "x-certless-session"}
    assert secret.hex() not in json.dumps(seen)
