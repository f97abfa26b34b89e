"""Demands, public routes and targets against real upstreams: no spelling of a path gets around."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails, running
from spellings import spellings
from upstreams import GUARDED, OPEN, UPSTREAMS, guarded_aiohttp, guarded_starlette, said, upstream

import gateway
from certless.client import Client
from protocol.common.errors import MalformedMessage
from protocol.common.messages import HttpRequest

SPELLINGS = spellings(["/admin", "/secret.php", "/secret"])
REQUIRE = {"/admin/*": "ecdh-gcm", "/secret.php": "ecdh-gcm"}
# What is set, and where nobody without a login may then come.
GUARDS: dict[str, dict[str, Any]] = {
    "a demand": {"public": ["/*"], "require": REQUIRE},
    "another route is public": {"public": ["/open/*"]},
    "another route is a target": {"public": ["/*"], "targets": ["/open/*"]},
}
# Some five thousand requests a test: 5 s, and 30 s on a machine that is loaded.
pytestmark = pytest.mark.timeout(300)
by_upstream = pytest.mark.parametrize("name", UPSTREAMS)


async def leading_to_what_is_guarded(url: str, targets: Iterable[bytes]) -> list[bytes]:
    turns = asyncio.Semaphore(8)

    async def leads(target: bytes) -> bool:
        async with turns:
            return GUARDED.encode() in await said(url, target)

    targets = list(targets)
    found = await asyncio.gather(*map(leads, targets))
    return [target for target, is_found in zip(targets, found, strict=True) if is_found]


@asynccontextmanager
async def in_front(url: str, **options: Any) -> AsyncIterator[tuple[str, CaughtMails]]:
    mails = CaughtMails()
    app = gateway.reverse_proxy(
        url,
        users=gateway.AnyAddress(),
        mail=mails,
        key_pool_size=1,
        dialect="sfet-4-gcm",
        **options,
    )
    async with serving(app) as front:
        yield front, mails


def inside(target: bytes) -> HttpRequest | None:
    """``target`` as it may stand in a message."""
    try:
        return HttpRequest.parse({"path": target.decode("latin-1")})
    except MalformedMessage:
        return None


@by_upstream
async def test_no_spelling_gets_around(name: str, tmp_path: Path) -> None:
    assert len(SPELLINGS) > 1000
    async with upstream(name, tmp_path) as url:
        led = await leading_to_what_is_guarded(url, SPELLINGS)
        # Else there would be nothing to be guarded against.
        assert len(led) > 50
        for guard, options in GUARDS.items():
            async with in_front(url, **options) as (front, _):
                assert await leading_to_what_is_guarded(front, SPELLINGS) == [], guard
                assert OPEN.encode() in await said(front, b"/open/a.css")
        async with in_front(url, **GUARDS["a demand"]) as (front, mails):
            async with Client(front, dialect="sfet-4-gcm") as client:
                await client.login("ann@example.org", code=mails.code)
                for target in led:
                    if (sealed := inside(target)) is not None:
                        answer = await client._send(sealed)
                        assert GUARDED not in await answer.text(), target
                        assert answer.status in (403, 404), target


@pytest.mark.parametrize("framework", ["aiohttp", "starlette"])
async def test_nor_around_what_is_mounted_in_an_application(framework: str, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.css").write_text(OPEN)

    def app() -> web.Application | Any:
        return guarded_aiohttp(tmp_path) if framework == "aiohttp" else guarded_starlette()

    async with serving(app()) as url:
        assert len(await leading_to_what_is_guarded(url, SPELLINGS)) > 50
    for guard in ("a demand", "another route is public"):
        async with running(app(), **GUARDS[guard]) as at:
            assert await leading_to_what_is_guarded(at.url, SPELLINGS) == [], guard
            assert (await at.get("/open/a.css")).body == OPEN.encode()
