"""What happens is told, in order and without secrets; a watcher that fails stops nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateways import running
from hardened_gateways import Device, a_code

from gateway.errors import StoreUnavailable
from gateway.events import (
    CodeRefused,
    CodeSent,
    Event,
    Events,
    KeyGenerated,
    KeyPoolChanged,
    LoginRequested,
    MessageRejected,
    MessageServed,
    SessionEnded,
    SessionExpired,
    SessionOpened,
    StoreAsked,
    TicketReuseDetected,
    TicketUsed,
)
from gateway.stores.memory.store import MemoryStore


@pytest.fixture
def told() -> list[Event]:
    return []


def kinds(told: list[Event], *without: type[Any]) -> list[type[Any]]:
    beside = (KeyGenerated, KeyPoolChanged, StoreAsked, *without)
    return [type(event) for event in told if not isinstance(event, beside)]


async def test_a_classic_session_from_login_to_logout(told: list[Event]) -> None:
    async with running(watch=told.append) as at:
        session = await at.raw_login()
        await session.call("POST", "/echo", b"{}")
        async with at.client() as client:
            await client.login("ann@example.org", code=at.mails.code)
            await client.logout()
    assert kinds(told) == [
        *(LoginRequested, CodeSent, SessionOpened, MessageServed),
        *(LoginRequested, CodeSent, SessionOpened, SessionEnded, MessageServed),
    ]


async def test_a_hardened_session_with_a_wrong_code_and_tickets(told: list[Event]) -> None:
    async with running(watch=told.append) as at:
        device = Device(at)
        awaited = await device.greet()
        code = await at.mails.code()
        assert (await device.enter(awaited, a_code("AAAA-AAAA"))).status == 403
        message, pending = await device.share(awaited, a_code(code))
        online = device.enrolled(await device.send_confirmation(message), pending)
        assert (await online.call()).status == 200
        assert online.ticket
        second = await device.resume(online.ticket)
        assert second.ticket
        await device.resume(second.ticket)
        await device.redeem(online.ticket)
    assert kinds(told) == [
        *(LoginRequested, CodeSent, CodeRefused, MessageRejected, SessionOpened, MessageServed),
        *(
            TicketUsed,
            SessionOpened,
            TicketUsed,
            SessionOpened,
            TicketReuseDetected,
            MessageRejected,
        ),
    ]
    rejected = [event.code for event in told if isinstance(event, MessageRejected)]
    assert rejected == ["code_refused", "ticket_returned"]
    tags = {event.user_tag for event in told if isinstance(event, (SessionOpened, TicketUsed))}
    assert tags == {at.assembly.tags.of("ann@example.org")}


async def test_a_message_that_is_late_counts_as_rejected(told: list[Event]) -> None:
    async with running(watch=told.append) as at:
        online = await Device(at).login()
        sealed, _ = online.seal()
        at.clock.offset_ms = 61_000
        await online.send(sealed)
    assert [event for event in told if isinstance(event, MessageRejected)] == [
        MessageRejected("stale_timestamp", "127.0.0.1")
    ]
    assert MessageServed not in kinds(told)


async def test_it_is_told_from_where_and_until_when(told: list[Event]) -> None:
    async with running(watch=told.append) as at:
        device = Device(at)
        awaited = await device.greet()
        await device.enter(awaited, a_code("AAAA-AAAA"))
        message, pending = await device.share(awaited, a_code(await at.mails.code()))
        device.enrolled(await device.send_confirmation(message), pending)
        await at.raw_login()
        now_ms = at.clock()
    (refused,) = (event for event in told if isinstance(event, CodeRefused))
    assert refused.address == "127.0.0.1"
    hardened, classic = (event for event in told if isinstance(event, SessionOpened))
    assert {hardened.address, classic.address} == {"127.0.0.1"}
    assert now_ms < hardened.expires_ms
    assert now_ms < classic.expires_ms <= now_ms + 3_600_000


async def test_a_sweep_tells_of_sessions_whose_time_is_over(told: list[Event]) -> None:
    both = asyncio.Event()

    def watch(event: Event) -> None:
        told.append(event)
        if kinds(told).count(SessionExpired) == 2:
            both.set()

    async with running(watch=watch, sweep_interval_s=1) as at:
        # A millisecond more in the course of the login would be one less of the session.
        at.clock.stopped_at_ms = at.clock()
        await at.raw_login()
        online = await Device(at).login()
        await online.call()
        at.clock.stopped_at_ms += 24 * 3_600_000
        async with asyncio.timeout(10):
            await both.wait()
    expired = [event for event in told if isinstance(event, SessionExpired)]
    opened = [event.session_id for event in told if isinstance(event, SessionOpened)]
    assert {event.session_id for event in expired} == set(opened)
    lasted = {event.session_id: event.lasted_ms for event in expired}
    assert lasted[opened[0]] == 3_600_000
    assert 0 < lasted[opened[1]] <= 12 * 3_600_000


async def test_the_store_is_timed_where_somebody_watches(told: list[Event]) -> None:
    class Broken(MemoryStore):
        async def count_mail(self, *_: Any) -> bool:
            raise StoreUnavailable("gone")

    async with running(watch=told.append, store=Broken()) as at:
        assert (await at.post("/.gateway/session", {"username": "ann"})).status == 503
    asked = {event.method: event for event in told if isinstance(event, StoreAsked)}
    assert asked["count_mail"].failed
    assert not asked["add_login"].failed
    assert 0 < asked["add_login"].seconds < 10


def test_a_watcher_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Event) -> None:
        raise RuntimeError("ann@example.org")

    told: list[Event] = []
    events = Events(fails)
    events.subscribe(told.append)
    events.emit(KeyGenerated())
    assert told == [KeyGenerated()]
    assert "a watcher of events failed: RuntimeError" in caplog.text
    assert "ann@example.org" not in caplog.text


async def test_a_session_that_was_ended_has_not_expired_too(told: list[Event]) -> None:
    async with running(watch=told.append) as at:
        online = await Device(at).login()
        await online.call("POST", "/.gateway/session/logout")
        at.clock.offset_ms = 24 * 3_600_000
        await at.assembly.sweep()
    assert kinds(told).count(SessionEnded) == 1
    assert SessionExpired not in kinds(told)


async def test_of_two_gateways_the_one_that_opened_a_session_tells_of_its_end(
    told: list[Event], tmp_path: Path
) -> None:
    store, here = f"sqlite:{tmp_path / 'db'}", list[Event]()
    async with running(store=store, watch=told.append) as one:
        async with running(store=store, watch=here.append) as two:
            online = await Device(one).login()
            online.device = Device(two)
            assert (await online.call()).status == 200
            for at in (one, two, one):
                at.clock.offset_ms = 24 * 3_600_000
                await at.assembly.sweep()
    assert kinds(told).count(SessionExpired) == 1
    assert SessionExpired not in kinds(here)


async def test_what_another_gateway_or_a_ticket_has_ended_does_not_expire(
    told: list[Event], tmp_path: Path
) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store, watch=told.append) as one, running(store=store) as two:
        replaced, online = await Device(one).login(), await Device(one).login()
        assert replaced.ticket
        await Device(two).resume(replaced.ticket)
        online.device = Device(two)
        assert (await online.call("POST", "/.gateway/session/logout")).status == 200
        for offset_ms in (3_600_000 - 30_000, 24 * 3_600_000):
            one.clock.offset_ms = offset_ms
            await one.assembly.sweep()
    assert kinds(told).count(SessionOpened) == 2
    assert SessionExpired not in kinds(told)
