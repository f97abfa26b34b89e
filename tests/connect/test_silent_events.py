"""Server-Sent Events that are silent for longer than any limit, through all hops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from connected import connected
from frameworks import serving

from gateway.adapters.aiohttp.reverse_proxy import Proxy

pytestmark = pytest.mark.timeout(60)

# The limits are shortened to this, and the upstream is silent for several times as long.
_LIMIT_S = 0.5
_SILENT_S = 2.5


@asynccontextmanager
async def silent_upstream(content_type: str) -> AsyncIterator[str]:
    """Sends one event, and another after a long silence."""

    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": content_type})
        await answer.prepare(request)
        await answer.write(b"data: one\n\n")
        await asyncio.sleep(_SILENT_S)
        await answer.write(b"data: two\n\n")
        return answer

    app = web.Application()
    app.router.add_get("/events", events)
    async with serving(app) as url:
        yield url


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.aiohttp.setup.Proxy", partial(Proxy, timeout_s=_LIMIT_S))
    monkeypatch.setattr("gateway.pipeline.streams._PING_S", _LIMIT_S / 5)


async def test_events_may_be_silent_for_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with silent_upstream("text/event-stream; charset=utf-8") as upstream:
        async with connected(tmp_path, upstream) as at, asyncio.timeout(30):
            answer = await at.get("/events", Accept="text/event-stream")
            assert await answer.content.read() == b"data: one\n\ndata: two\n\n"
    assert caplog.messages == []


async def test_other_bodies_may_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with silent_upstream("text/plain") as upstream:
        async with connected(tmp_path, upstream) as at, asyncio.timeout(30):
            answer = await at.get("/events")
            assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
            with pytest.raises(Exception, match=r"payload|not complete|[Cc]onnection"):
                await answer.read()
    assert "the upstream did not answer in time" in caplog.text
