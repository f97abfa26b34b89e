"""An application ends a session of its user, by the ids that its handlers see."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from frameworks import Seen, application
from gateways import running

import certless
from certless import Client
from certless.client import NotLoggedIn, Refused, TicketNotAccepted
from gateway.adapters.aiohttp.app import ASSEMBLY

End = Callable[[str, str], Awaitable[None]]


def ids(seen: Seen) -> Any:
    return {"session": seen.session.id, "ticket": seen.session.ticket_id}


async def ids_of(client: Client) -> tuple[str, str]:
    async with client.get("/ids") as response:
        found = await response.json()
    return found["session"], found["ticket"]


@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
async def test_an_ended_session_and_its_ticket_are_refused(
    framework: str, suite: Any, tmp_path: Path
) -> None:
    app = application({"/ids": ids})
    async with running(app, suites=("ecdh-gcm", "classic")) as at:
        end: End = at.assembly.end_session
        if isinstance(app, web.Application):
            end = lambda *named: certless.end_session(app, *named)  # noqa: E731
        tickets = tmp_path / "ticket" if suite == "ecdh-gcm" else None
        dialect = None if tickets else at.dialect
        async with (
            Client(at.url, suite=suite, dialect=dialect, clock=at.clock, tickets=tickets) as one,
            Client(at.url, suite=suite, dialect=dialect, clock=at.clock) as other,
        ):
            for client in (one, other):
                await client.login("ann@example.org", code=at.mails.code)
            session, ticket = await ids_of(one)
            assert bool(ticket) == bool(tickets)
            if tickets:
                # The session of a resumption has another id and the same ticket.
                await one.resume()
                session_now, ticket_now = await ids_of(one)
                assert session_now != session
                assert ticket_now == ticket
            await end(session, ticket)
            with pytest.raises(Refused):
                await ids_of(one)
            if tickets:
                with pytest.raises(TicketNotAccepted):
                    await one.resume()
                assert tickets.exists()
            # The client forgets the session and its ticket, although the server has ended both.
            await one.logout()
            with pytest.raises(NotLoggedIn):
                await ids_of(one)
            if tickets:
                assert not tickets.exists()
            await ids_of(other)
            # It was ended before: nothing happens.
            await end(session, ticket)


async def test_without_the_ticket_only_the_session_ends(tmp_path: Path) -> None:
    app = application({"/ids": ids})
    assert isinstance(app, web.Application)
    async with running(app) as at:
        assert app[ASSEMBLY] is at.assembly
        async with Client(at.url, clock=at.clock, tickets=tmp_path / "ticket") as client:
            await client.login("ann@example.org", code=at.mails.code)
            session, _ = await ids_of(client)
            await certless.end_session(app, session)
            await client.resume()
            await ids_of(client)
