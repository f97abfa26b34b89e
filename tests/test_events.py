"""What happens is told, in order and without secrets; a watcher that fails stops nothing."""

from typing import Any

import pytest
from gateways import running
from hardened_gateways import Device, a_code

from gateway.events import (
    CodeRefused,
    CodeSent,
    Event,
    Events,
    KeyGenerated,
    LoginAsked,
    MessageRejected,
    MessageServed,
    SessionEnded,
    SessionOpened,
    TicketReturned,
    TicketUsed,
)
from gateway.sessions import user_tag


@pytest.fixture
def told() -> list[Event]:
    return []


def kinds(told: list[Event], *without: type[Any]) -> list[type[Any]]:
    return [type(event) for event in told if not isinstance(event, (KeyGenerated, *without))]


async def test_a_classic_session_from_login_to_logout(told: list[Event]) -> None:
    async with running(watch=told.append) as at:
        session = await at.raw_login()
        await session.call("POST", "/echo", b"{}")
        async with at.client() as client:
            await client.login("ann@example.org", code=at.mails.code)
            await client.logout()
    assert kinds(told) == [
        *(LoginAsked, CodeSent, SessionOpened, MessageServed),
        *(LoginAsked, CodeSent, SessionOpened, SessionEnded, MessageServed),
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
        *(LoginAsked, CodeSent, CodeRefused, MessageRejected, SessionOpened, MessageServed),
        *(TicketUsed, SessionOpened, TicketUsed, SessionOpened, TicketReturned, MessageRejected),
    ]
    rejected = [event.code for event in told if isinstance(event, MessageRejected)]
    assert rejected == ["code_refused", "ticket_returned"]
    tags = {event.user_tag for event in told if isinstance(event, (SessionOpened, TicketUsed))}
    assert tags == {user_tag("ann@example.org")}


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


def test_a_watcher_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Event) -> None:
        raise RuntimeError("ann@example.org")

    told: list[Event] = []
    events = Events(fails)
    events.watch(told.append)
    events.tell(KeyGenerated())
    assert told == [KeyGenerated()]
    assert "a watcher of events failed: RuntimeError" in caplog.text
    assert "ann@example.org" not in caplog.text
