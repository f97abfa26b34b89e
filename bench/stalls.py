"""How long one request can block the loop, for each route, suite, format and adapter.

Each route gets the worst known 8 MiB, while another client requests a cheap page every few
milliseconds. A row is the worst result of its route: how long the server's loop was blocked (CPU
time of its thread), and the longest wait of the other client.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp

from bench.processes import Server, cores, python
from bench.results import Row, Rows, Size
from bench.stalls_clients import MOST, ClassicClient, HardenedClient
from bench.stalls_inputs import json_texts, msgpack_texts
from bench.stalls_server import HEX
from bench.stalls_visit import Bodies, Visit, Worst
from protocol.classic.dialects import DEFAULT_PREFIX

CLASSIC = ("article-2016", "sfet-3", "sfet-4-gcm", HEX.name)
LOGIN_ROUTES = (
    *("/session", "/session/authenticate", "/session/logout"),
    *("/session/hello", "/session/share", "/session/confirm"),
    *("/session/resume", "/session/resume/confirm"),
)


def plain(path: str, forms: tuple[str, ...]) -> Bodies:
    """Requests to ``path`` that need no login."""
    for form in forms:
        texts = json_texts if form == "json" else msgpack_texts
        for most in (MOST, 65_536):
            for name, body in texts(most):
                yield f"{form}: {name}", lambda body=body, form=form: (path, body, form)  # type: ignore[misc]


async def outside(visit: Visit) -> None:
    """Every route, without a login."""
    both = ("json", "msgpack")
    for path in LOGIN_ROUTES:
        await visit.measure("messages of logins", plain(DEFAULT_PREFIX + path, both))
    await visit.measure("`/message`, without a session", plain(DEFAULT_PREFIX + "/message", both))
    await visit.measure("in place, without a session", plain("/x", ("json",)))


async def in_classic(visit: Visit, dialect: str) -> None:
    client = await ClassicClient.login(visit, dialect)
    await visit.measure("classic, `/message`", client.whole())
    await visit.measure("classic, in place", client.in_place())


async def in_hardened(visit: Visit) -> None:
    for suite in ("ecdh-gcm", "rsa-gcm"):
        for form in ("json", "msgpack"):
            client = await HardenedClient.login(visit, suite, f"a-{suite}-{form}@example.org")
            await visit.measure(f"`{suite}`, {form}", client.whole(form))
            client = await HardenedClient.login(visit, suite, f"p-{suite}-{form}@example.org")
            await visit.measure(f"second check, {form}", client.password(form))


async def measure_all(size: Size) -> dict[str, Worst]:
    """The worst of each route, over both adapters."""
    core, _ = cores()
    found: dict[str, Worst] = {}

    async def at(adapter: str, dialect: str, measure: Callable[[Visit], Awaitable[None]]) -> None:
        server = await Server.start(core, python("bench.stalls_server", adapter, dialect))
        try:
            async with aiohttp.ClientSession() as http:
                server.wait_until_idle()
                await measure(Visit(server, http, adapter, size, found))
        finally:
            await server.stop()

    for adapter in ("aiohttp", "asgi"):
        await at(adapter, CLASSIC[0], outside)
        for dialect in CLASSIC[: size.of(len(CLASSIC), 1)]:
            await at(adapter, dialect, partial(in_classic, dialect=dialect))
        await at(adapter, CLASSIC[0], in_hardened)
    return found


def stalls(size: Size) -> Rows:
    """How long the loop is blocked at most, by route."""
    rows = {}
    for route, worst in asyncio.run(measure_all(size)).items():
        rows[route] = Row(note=worst.name)
        rows[route].add(held_ms=worst.held_s * 1000, waited_ms=worst.waited_s * 1000)
    return rows
