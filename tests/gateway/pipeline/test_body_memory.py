"""Bodies that arrive slowly or incomplete, and the memory limit for all bodies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from gateways import running
from slow_readers import slow_readers

import gateway.adapters.aiohttp.public_slots
import gateway.adapters.aiohttp.reverse_proxy
import gateway.pipeline.body_memory
import gateway.pipeline.request_body

T = TypeVar("T")
MESSAGE = "/.gateway/message"
CAP = 262_144
TRUSTED: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "max_body_bytes": CAP}


@contextlib.asynccontextmanager
async def sending(
    url: str, sent: int, length: int, address: str = "192.0.2.1", path: str = MESSAGE
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has sent a part of a body."""
    host, port = url.removeprefix("http://").split("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"X-Forwarded-For: {address}\r\nContent-Length: {length}\r\n\r\n"
        )
        writer.write(head.encode() + b"x" * sent)
        yield reader, writer
    finally:
        writer.transport.abort()


async def told(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of a response that closes the connection."""
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"connection: close" in head
        length = int(head.partition(b"content-length:")[2].split()[0])
        return int(head.split()[1]), await reader.readexactly(length)


async def status_of(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(20):
        return int((await reader.readline()).split()[1])


async def first_of(answers: Iterable[Coroutine[Any, Any, T]]) -> T:
    """The first result. The others are cancelled."""
    tasks = [asyncio.create_task(answer) for answer in answers]
    try:
        async with asyncio.timeout(20):
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def until_held(size: int) -> None:
    """Wait until bodies use ``size`` bytes."""
    async with asyncio.timeout(20):
        while gateway.pipeline.body_memory.BODIES._bytes < size:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.005)


@pytest.fixture
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is four complete bodies."""
    monkeypatch.setattr(gateway.pipeline.body_memory, "_MOST_BYTES", 4 * CAP)


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("path", [MESSAGE, "/echo"])
async def test_a_large_body_that_stops_is_told_soon(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(gateway.pipeline.request_body, "_PATIENCE_S", 0.3)
    async with running() as at, sending(at.url, 20_000, 30_000, path=path) as (reader, _):
        status, body = await told(reader)
        assert (status, b"too_slow" in body, b"4096 bytes a second" in body) == (408, True, True)
        assert gateway.pipeline.body_memory.BODIES._bytes == 0


@pytest.mark.usefixtures("framework")
async def test_a_small_body_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.pipeline.request_body, "_PATIENCE_S", 0)
    async with running() as at, sending(at.url, 1000, 1001) as (reader, writer):
        await until_held(1000)
        await at.get("/echo")
        writer.write(b"x")
        assert await status_of(reader) == 400


@pytest.mark.usefixtures("framework", "small_bound")
async def test_whoever_holds_most_makes_room() -> None:
    """The flood from one address is dropped, and the others are served."""
    async with running(**TRUSTED) as at, contextlib.AsyncExitStack() as lines:
        other = await lines.enter_async_context(sending(at.url, CAP // 2, CAP, "192.0.2.2"))
        flood = [
            await lines.enter_async_context(sending(at.url, CAP - 1, CAP, "192.0.2.1"))
            for _ in range(4)
        ]
        status, body = await first_of(told(reader) for reader, _ in flood)
        assert (status, b"unavailable" in body) == (503, True)
        other[1].write(b"x" * (CAP - CAP // 2))
        assert await status_of(other[0]) == 400


@pytest.mark.usefixtures("framework", "small_bound")
async def test_whose_body_flows_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for an office behind one address, which uses the most memory."""
    async with running(**TRUSTED) as at, contextlib.AsyncExitStack() as lines:
        monkeypatch.setattr(gateway.pipeline.body_memory, "_SLOW_AFTER_S", 0)
        stopped, _ = await lines.enter_async_context(sending(at.url, CAP - 1, CAP, "192.0.2.1"))
        await until_held(CAP - 1)
        monkeypatch.setattr(gateway.pipeline.body_memory, "_SLOW_AFTER_S", 60)
        office = [
            await lines.enter_async_context(sending(at.url, CAP - 1, CAP, "192.0.2.2"))
            for _ in range(4)
        ]
        assert (await told(stopped))[0] == 503
        for reader, writer in office:
            writer.write(b"x")
            assert await status_of(reader) == 400


@pytest.mark.usefixtures("small_bound")
async def test_bodies_that_wait_for_a_place_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.adapters.aiohttp.reverse_proxy, "_PUBLIC_SHARE", 1)
    monkeypatch.setattr(gateway.pipeline.body_memory, "_MOST_WHOLE", 0)
    async with slow_readers(tmp_path, ["192.0.2.1"]) as url, contextlib.AsyncExitStack() as lines:
        waiting = [
            await lines.enter_async_context(sending(url, CAP, CAP, path="/large")) for _ in range(5)
        ]
        assert await first_of(status_of(reader) for reader, _ in waiting) == 503
