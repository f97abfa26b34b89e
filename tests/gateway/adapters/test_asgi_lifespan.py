"""Certless starts before an ASGI application and ends after it, with any server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from frameworks import serving
from gateways import CaughtMails, running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from watched import watched

from gateway import AnyAddress, ConfigError
from gateway.adapters.asgi.app import Certless
from gateway.adapters.asgi.inner import ASGIApp, Message, Receive, Scope, Send
from gateway.errors import StoreUnavailable
from gateway.stores.memory.store import MemoryStore

STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


class Watched(MemoryStore):
    """A store that records when it is opened and closed, or cannot be opened."""

    def __init__(self, log: list[str], *, is_broken: bool = False) -> None:
        super().__init__()
        self._log = log
        self._is_broken = is_broken

    async def open(self) -> None:
        if self._is_broken:
            raise StoreUnavailable("the store does not answer")
        self._log.append("store open")
        await super().open()

    async def close(self) -> None:
        self._log.append("store closed")
        await super().close()


def certless(app: ASGIApp, **options: Any) -> Certless:
    return Certless(app, users=AnyAddress(), mail=CaughtMails(), key_pool_size=1, **options)


async def conversation(app: ASGIApp, *said: Message) -> list[str]:
    """The answers to a server that sends ``said``."""
    left, told = list(said), list[str]()

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        told.append(message["type"] + message.get("message", ""))

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert left == []
    return told


WHOLE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_around_the_lifespan_of_the_application() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
        log.append("application begins")
        yield {"word": "rhubarb"}
        log.append("application ends")

    async def word(request: Request) -> Response:
        return PlainTextResponse(request.state.word)

    app = Starlette(routes=[Route("/word", word)], lifespan=lifespan)
    async with running(app, store=Watched(log)) as at:
        assert (await (await at.raw_login()).call("GET", "/word")).body == b"rhubarb"
    assert log == ["store open", "application begins", "application ends", "store closed"]


async def test_admin_listener_and_audit_log_live_as_long(tmp_path: Path) -> None:
    said: list[int] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        async with aiohttp.ClientSession() as http, http.get(f"{there.admin}/healthz") as answer:
            said.append(answer.status)

    async with watched(tmp_path, app=Starlette(lifespan=lifespan)) as there:
        await there.at.raw_login()
        assert (await there.ask("/readyz")).status == 200
        assert (await there.metrics())["certless_sessions_open{}"] == 1
    assert said == [200]
    assert there.recorded() == ["login_asked", "code_sent", "session_opened"]


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    """An application without a lifespan."""


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def returns_early(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def says_nothing_at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await returns_early(scope, receive, send)
    await receive()


@pytest.mark.parametrize("app", [returns, raises, returns_early, says_nothing_at_the_end])
async def test_an_application_that_keeps_to_no_lifespan(app: ASGIApp) -> None:
    log: list[str] = []
    for _ in range(2):
        assert await conversation(certless(app, store=Watched(log)), STARTUP, SHUTDOWN) == WHOLE
    assert log == ["store open", "store closed"] * 2


async def test_a_store_that_does_not_open_fails_the_start() -> None:
    log: list[str] = []
    app = certless(returns_early, store=Watched(log, is_broken=True))
    told = await conversation(app, STARTUP)
    assert told == ["lifespan.startup.failedCertless: the store does not answer"]


async def test_an_application_that_does_not_start() -> None:
    log: list[str] = []

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ": no database"})

    told = await conversation(certless(fails, store=Watched(log)), STARTUP)
    assert told == ["lifespan.startup.failed: no database"]
    assert log == ["store open", "store closed"]


async def test_an_application_that_fails_while_it_runs_ends_all() -> None:
    log: list[str] = []

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await returns_early(scope, receive, send)
        raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        await conversation(certless(fails, store=Watched(log)), STARTUP)
    assert log == ["store open", "store closed"]


async def test_without_a_lifespan_nothing_is_served_not_even_what_is_public() -> None:
    app = certless(Starlette(), public=["/open"])
    scope = {"type": "http", "method": "GET", "path": "/open", "headers": []}
    with pytest.raises(ConfigError, match="lifespan"):
        await app(scope, _nothing, _nobody)
    async with app.running():
        (told,) = await conversation(app, STARTUP)
        assert "lifespan.startup.failedCertless: Certless runs already" in told
    with pytest.raises(ConfigError, match="lifespan"):
        await app(scope, _nothing, _nobody)


async def _nothing() -> Message:
    raise AssertionError("nothing is read")


async def _nobody(_: Message) -> None:
    raise AssertionError("nothing is sent")


@pytest.mark.parametrize("kind", ["webtransport", "http.response", ""])
async def test_a_protocol_that_is_not_known_is_not_passed_on(kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it was passed on")

    protected = certless(app, public=["/*"])
    async with protected.running():
        with pytest.raises(ConfigError, match="protocol"):
            await protected({"type": kind, "path": "/", "headers": []}, _nothing, _nobody)


def test_one_application_runs_again_and_on_another_loop(tmp_path: Path) -> None:
    """The way in which the test clients of the frameworks run it."""
    ran: list[str] = []

    async def run(request: Request) -> Response:
        ran.append(request.method)
        return Response()

    app = certless(
        Starlette(routes=[Route("/open", run)]), store=f"sqlite:{tmp_path / 'db'}", public=["/open"]
    )

    async def once() -> None:
        async with serving(app) as url, asyncio.timeout(10):
            async with aiohttp.ClientSession() as http:
                async with http.get(f"{url}/open") as answer:
                    assert answer.status == 200
                hello = {"username": "ann@example.org"}
                async with http.post(f"{url}/.gateway/session", json=hello) as answer:
                    assert answer.status == 201

    for _ in range(2):
        asyncio.run(once())
    assert ran == ["GET", "GET"]


async def test_a_wrong_setting_is_said_also_where_the_server_keeps_it_quiet(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Starlette()
    app.add_middleware(Certless, users=AnyAddress(), mail="nonsense")
    with pytest.raises(ConfigError):
        await conversation(app, STARTUP)
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.CRITICAL, "certless")
    assert record.getMessage().startswith("mail must be")
