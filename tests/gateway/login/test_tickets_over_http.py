"""THREATS on tickets, and what an operator does: over HTTP, with real stores."""

import asyncio
import json
import logging
import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from every_suite import EACH, STORES, assert_uniform
from gateways import Running, Users, running
from hardened_gateways import Device, a_code, told

from gateway import Account
from gateway.clock import system_clock
from gateway.keys.keyring import KeyRing
from gateway.sessions.management import Operators
from gateway.stores.memory.store import MemoryStore
from gateway.stores.sqlite.store import SqliteStore
from protocol.common.envelopes import Format
from protocol.hardened.client_session import ClientTicket
from protocol.hardened.handshake_messages import ResumptionServerHello
from protocol.hardened.suites import Freshness

pytestmark = pytest.mark.usefixtures("framework")

DAY_MS = 86_400_000


async def refused(device: Device, ticket: ClientTicket) -> None:
    """At ResumptionClientHello or at ClientConfirmation, alike."""
    answer, begun = await device.begin(ticket)
    if answer.status == 200:
        greeting = ResumptionServerHello.parse(device.form, answer.body)
        answer = await device.send_redemption(begun.open(greeting, device.public_key)[0])
    assert_uniform(answer)


async def first_ticket(device: Device) -> ClientTicket:
    ticket = (await device.login()).ticket
    assert ticket
    return ticket


@EACH
async def test_a_ticket_leads_to_the_next_session(
    suite: str, fresh: Freshness, form: Format
) -> None:
    async with running() as at:
        device = Device(at, suite, fresh, form)
        before = await device.login()
        assert before.ticket
        online = await device.resume(before.ticket)
        assert online.session.username == "ann@example.org"
        assert (await online.call()).status == 200
        assert_uniform(await before.send(before.seal()[0]))
        assert online.ticket
        again = await device.resume(online.ticket)
        assert (await again.call()).status == 200


@STORES
async def test_a_ticket_whose_answer_was_lost_works_again(store: str, tmp_path: Path) -> None:
    async with running(store=store.format(tmp_path / "db")) as at:
        device = Device(at)
        ticket = await first_ticket(device)
        lost, pending = await device.redeem(ticket)
        never_used = device.enrolled(lost, pending)
        online = await device.resume(ticket)
        assert (await online.call()).status == 200
        assert_uniform(await never_used.send(never_used.seal()[0]))


@STORES
async def test_a_ticket_that_returns_after_its_successor_was_used_revokes_the_chain(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(store=store.format(tmp_path / "db")) as at:
        device = Device(at)
        stolen = await first_ticket(device)
        second = (await device.resume(stolen)).ticket
        assert second
        online = await device.resume(second)
        assert online.ticket
        with caplog.at_level(logging.WARNING, "certless"):
            answer, _ = await device.redeem(stolen)
        assert_uniform(answer)
        assert "a used ticket was used again" in caplog.text
        assert stolen.ticket.hex() not in caplog.text
        assert_uniform(await online.send(online.seal()[0]))
        for ticket in (stolen, second, online.ticket):
            await refused(device, ticket)


async def test_whoever_saw_a_ticket_go_by_can_do_nothing_with_it() -> None:
    async with running() as at:
        device = Device(at)
        spent = await first_ticket(device)
        online = await device.resume(spent)
        assert online.ticket
        second = await device.resume(online.ticket)
        for seen in (spent, online.ticket):
            await refused(device, replace(seen, secret=bytes(32)))
        assert (await second.call()).status == 200


async def test_a_proof_that_was_kept_back_changes_nothing() -> None:
    async with running() as at:
        device = Device(at)
        ticket = await first_ticket(device)
        answer, begun = await device.begin(ticket)
        message, _ = begun.open(ResumptionServerHello.parse("msgpack", answer.body))
        online = await device.resume(ticket)
        assert_uniform(await device.send_redemption(message))
        assert (await online.call()).status == 200


async def test_of_parallel_redemptions_one_stands() -> None:
    async with running() as at:
        device = Device(at)
        ticket = await first_ticket(device)
        messages = []
        for _ in range(5):
            answer, begun = await device.begin(ticket)
            messages.append(begun.open(ResumptionServerHello.parse("msgpack", answer.body)))
        answers = await asyncio.gather(*(device.send_redemption(m) for m, _ in messages))
        assert sorted(answer.status for answer in answers) == [200, 403, 403, 403, 403]


async def test_a_ticket_of_another_suite_user_or_realm() -> None:
    async with running() as at:
        device = Device(at)
        ticket = await first_ticket(device)
        await refused(Device(at, "rsa-gcm"), replace(ticket, suite="rsa-gcm"))
        await refused(device, replace(ticket, username="eve@example.org"))
        await refused(device, replace(ticket, realm="another"))
        await refused(device, replace(ticket, ticket=bytes(16)))
        assert (await (await device.resume(ticket)).call()).status == 200


async def test_a_ticket_has_its_time_from_each_redemption() -> None:
    async with running() as at:
        device = Device(at)
        ticket = await first_ticket(device)
        at.clock.offset_ms = 29 * DAY_MS
        successor = (await device.resume(ticket)).ticket
        assert successor
        at.clock.offset_ms = 58 * DAY_MS
        last = (await device.resume(successor)).ticket
        assert last
        at.clock.offset_ms = 89 * DAY_MS
        await refused(device, last)


async def test_without_tickets_none_is_granted_and_none_is_taken(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store) as at:
        ticket = await first_ticket(Device(at))
    async with running(store=store, ticket_lifetime_s=0) as at:
        assert (await Device(at).login()).ticket is None
        await refused(Device(at), ticket)


async def test_a_ticket_survives_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store) as at:
        ticket = await first_ticket(Device(at, "rsa-gcm"))
    async with running(store=store) as at:
        online = await Device(at, "rsa-gcm").resume(ticket)
        assert (await online.call()).status == 200


async def test_a_user_who_was_removed_does_not_resume() -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        device = Device(at)
        ticket = (await device.login("ann")).ticket
        assert ticket
        users._accounts.clear()
        await refused(device, ticket)


@STORES
async def test_a_ticket_opens_no_session_of_who_has_the_name_now(
    store: str, tmp_path: Path
) -> None:
    users = Users(Account("ann", ("it@example.org",)))
    users._accounts["it"] = users._accounts.pop("ann")
    async with running(users=users, store=store.format(tmp_path / "db")) as at:
        device = Device(at)
        online = await device.login("it")
        assert online.ticket
        assert json.loads((await online.call()).body)["user"] == "ann"
        ann, users._accounts["it"] = users._accounts["it"], Account("ben", ("it@example.org",))
        await refused(device, online.ticket)
        # A mail that went to the one is no login of the other either.
        users._accounts["it"] = ann
        awaited, code = await device.greet("it"), a_code(await at.mails.code())
        users._accounts["it"] = Account("ben", ("it@example.org",))
        assert_uniform(await device.enter(awaited, code))
        users._accounts["it"] = ann
        assert (await device.resume(online.ticket)).ticket


async def test_a_ticket_does_not_do_where_a_password_is_wanted_by_now() -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        device = Device(at)
        ticket = (await device.login("ann")).ticket
        assert ticket
        users._passwords["ann"] = "correct horse"
        await refused(device, ticket)


# --- an operator ---


def operators_of(at: Running, store: MemoryStore, keyring: KeyRing) -> Operators:
    return Operators(store, keyring, at.clock)


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """The key of a gateway in memory, known to the test."""
    ring = KeyRing.ephemeral()
    monkeypatch.setattr(KeyRing, "ephemeral", lambda: ring)
    return ring


DEVICES = Users(Account("fan-7", ()), Account("ann", ("ann@example.org",)))


async def test_an_issued_code_opens_a_session_and_no_mail_goes_out(keyring: KeyRing) -> None:
    store = MemoryStore()
    async with running(users=DEVICES, store=store) as at:
        operators = operators_of(at, store, keyring)
        for name in ("fan-7", "ann"):
            code = await operators.issue_code(name)
            online = await Device(at, fresh="counter").login(name, code.text)
            assert (await online.call()).status == 200
            assert at.mails.mails.empty()
        # Spent: the next hello is answered by a mail again.
        await Device(at).login("ann")


async def test_an_issued_code_stands_five_attempts_over_all_logins(keyring: KeyRing) -> None:
    store = MemoryStore()
    async with running(users=DEVICES, store=store) as at:
        device = Device(at)
        code = await operators_of(at, store, keyring).issue_code("fan-7")
        right = await device.greet("fan-7")
        for _ in range(5):
            assert_uniform(await device.enter(await device.greet("fan-7"), a_code("0" * 8)))
        assert_uniform(await device.enter(right, code))
        assert_uniform(await device.enter(await device.greet("fan-7"), code))


async def test_nobody_can_tell_by_its_attempts_that_a_code_was_issued(keyring: KeyRing) -> None:
    store = MemoryStore()
    async with running(users=DEVICES, store=store) as at:
        device = Device(at)
        await operators_of(at, store, keyring).issue_code("fan-7")
        for name in ("fan-7", "ann", "nobody"):
            logins = [await device.greet(name), await device.greet(name)]
            shares = [login.enter(a_code("0" * 8), secrets.token_bytes)[0] for login in logins]
            for share in shares * 5:
                assert (await device.send_share(share)).status == 200, name
            for share in shares:
                assert_uniform(await device.send_share(share))


async def test_a_code_that_was_revoked_or_replaced(keyring: KeyRing) -> None:
    store = MemoryStore()
    async with running(users=DEVICES, store=store) as at:
        device, operators = Device(at), operators_of(at, store, keyring)
        first = await operators.issue_code("fan-7")
        awaited = await device.greet("fan-7")
        second = await operators.issue_code("fan-7")
        assert_uniform(await device.enter(awaited, first))
        awaited = await device.greet("fan-7")
        assert await operators.revoke_code("fan-7")
        assert not await operators.revoke_code("fan-7")
        assert_uniform(await device.enter(awaited, second))


async def test_an_issued_code_has_its_time(keyring: KeyRing) -> None:
    store = MemoryStore()
    async with running(users=DEVICES, store=store) as at:
        code = await operators_of(at, store, keyring).issue_code("fan-7", DAY_MS)
        at.clock.offset_ms = DAY_MS - 60_000
        awaited = await Device(at).greet("fan-7")
        at.clock.offset_ms = DAY_MS + 1
        assert_uniform(await Device(at).enter(awaited, code))


async def test_sessions_are_listed_and_ended_from_another_process(tmp_path: Path) -> None:
    path = tmp_path / "db"
    async with running(store=f"sqlite:{path}") as at:
        raw = await at.raw_login("ann@example.org")
        online = await Device(at, "rsa-gcm").login("ann@example.org")
        bob = await Device(at).login("bob@example.org")
        assert online.ticket
        assert bob.ticket
        beside = SqliteStore(path)
        await beside.open()
        operators = Operators(beside, KeyRing.from_file(Path(f"{path}.key")), system_clock)
        try:
            listed = await operators.sessions()
            assert {(s.user, s.suite) for s in listed} == {
                ("ann@example.org", "classic/sfet-4-gcm"),
                ("ann@example.org", "rsa-gcm"),
                ("bob@example.org", "ecdh-gcm"),
            }
            assert [s.id for s in listed if s.suite == "ecdh-gcm"] == [bob.id]
            assert all(s.opened_ms for s in listed if s.chain_id)
            assert await operators.end_session(bob.id)
            assert not await operators.end_session(bob.id)
            assert_uniform(await bob.send(bob.seal()[0]))
            await refused(bob.device, bob.ticket)
            assert await operators.end_user("ann@example.org") == 2
            assert_uniform(await online.send(online.seal()[0]))
            await refused(online.device, online.ticket)
            assert (await raw.send(raw.seal()[0])).status == 403
            assert await operators.sessions() == []
        finally:
            await beside.close()


async def test_a_login_under_way_ends_with_its_user(keyring: KeyRing) -> None:
    store = MemoryStore()
    async with running(store=store) as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        message, _ = await device.share(awaited, code)
        assert await operators_of(at, store, keyring).end_user("ann@example.org") == 0
        answer = await device.send_confirmation(message)
        assert_uniform(answer)
        assert told(answer)["error"] == "rejected"
