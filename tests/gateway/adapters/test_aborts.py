"""The gateway keeps nothing of clients that leave, at any stage of a request."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from mailboxes import eventually
from served import MIB, Served, served

from gateway.adapters.aiohttp.reverse_proxy import _PUBLIC_SHARE

# The memory that a process can have gained after all visits, compared with the first.
ROOM = 20 * MIB
VISITS = 200
AT_ONCE = 10
# A tenth of the default cap, so that the test does not last; kept, they would be ten times ROOM.
BODY = bytes(MIB)

Visit: TypeAlias = Callable[[Served], Awaitable[None]]


@asynccontextmanager
async def line_to(at: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is closed at the end, with all unread data."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port, limit=1024)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def head(method: str, path: str, length: int) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def say(at: Served, said: bytes) -> None:
    async with line_to(at) as (_, writer):
        writer.write(said)
        await writer.drain()


async def leave_in_head(at: Served) -> None:
    await say(at, head("POST", "/public/read", 9)[:-2])


async def leave_in_message(at: Served) -> None:
    await say(at, head("POST", "/.gateway/message", len(BODY)) + BODY[1:])


async def leave_in_chunk(at: Served) -> None:
    said = head("POST", "/.gateway/message", 0).replace(b"Content-Length: 0", b"X: 0")
    said = said.replace(b"X: 0", b"Transfer-Encoding: chunked")
    await say(at, said + b"%x\r\n" % len(BODY) + BODY[1:])


async def leave_in_public_body(at: Served) -> None:
    await say(at, head("POST", "/public/read", len(BODY)) + BODY[1:])


async def leave_with_whole_message(at: Served) -> None:
    await say(at, head("POST", "/.gateway/message", len(BODY)) + BODY)


async def leave_in_public_answer(at: Served) -> None:
    async with line_to(at) as (reader, writer):
        writer.write(head("GET", "/public/large", 0))
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


async def leave_in_queue(at: Served) -> None:
    await say(at, head("POST", "/public/queued", len(BODY)) + BODY)


OWN_STAGES: list[Visit] = [
    leave_in_head,
    leave_in_message,
    leave_in_chunk,
    leave_with_whole_message,
]
PUBLIC_STAGES: list[Visit] = [leave_in_public_body, leave_in_public_answer]
# With ASGI a public route is a matter of the application and its server.
STAGES = {
    "serve": OWN_STAGES + PUBLIC_STAGES,
    "aiohttp": OWN_STAGES + PUBLIC_STAGES,
    "asgi": OWN_STAGES,
}


async def visits(at: Served, visit: Visit, count: int) -> None:
    """Run all visits, some of them at the same time."""
    left = iter(range(count))

    async def some() -> None:
        for _ in left:
            await visit(at)

    async with asyncio.timeout(120):
        await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def has_less_than(at: Served, limit: int) -> None:
    await eventually(lambda: at.resident_bytes() < limit)


@pytest.mark.parametrize("adapter", STAGES)
async def test_who_leaves_leaves_nothing(tmp_path: Path, adapter: str) -> None:
    async with served(adapter, tmp_path) as at:
        for visit in STAGES[adapter]:
            await visits(at, visit, AT_ONCE)
            limit = at.resident_bytes() + ROOM
            await visits(at, visit, VISITS)
            await has_less_than(at, limit)


async def test_what_the_upstream_has_is_not_kept_for_it(tmp_path: Path) -> None:
    """It runs to its end, even if its client leaves: it may have effects."""
    body = bytes(4 * MIB)
    async with served("serve", tmp_path) as at, contextlib.AsyncExitStack() as lines:
        await visits(at, leave_in_head, AT_ONCE)
        before = at.resident_bytes()
        for _ in range(_PUBLIC_SHARE):
            _, writer = await lines.enter_async_context(line_to(at))
            writer.write(head("POST", "/public/waits", len(body)) + body)
            await writer.drain()
        async with asyncio.timeout(60):
            for _ in range(_PUBLIC_SHARE):
                await at.upstream.asked.acquire()
        await has_less_than(at, before + ROOM)

        await lines.aclose()
        assert at.upstream.cut_off == 0
        at.upstream.may_answer.set()


async def test_who_leaves_the_queue_leaves_nothing(tmp_path: Path) -> None:
    """It keeps neither a body nor a slot that others wait for."""
    async with served("serve", tmp_path) as at, contextlib.AsyncExitStack() as lines:
        for _ in range(_PUBLIC_SHARE):
            _, writer = await lines.enter_async_context(line_to(at))
            writer.write(head("POST", "/public/waits", 0))
        async with asyncio.timeout(60):
            for _ in range(_PUBLIC_SHARE):
                await at.upstream.asked.acquire()
        before = at.resident_bytes()
        await visits(at, leave_in_queue, VISITS)
        # 503 if clients that have left unnoticed still use all memory for bodies.
        ends = re.compile("/public/queued (499|503)")
        await eventually(lambda: len(ends.findall(at.log.read_text())) == VISITS)
        await has_less_than(at, before + ROOM)
        at.upstream.may_answer.set()


@pytest.mark.parametrize("path", ["/public/waits", "/public/endless"])
async def test_a_question_ends_with_its_visitor(tmp_path: Path, path: str) -> None:
    """The upstream sees that the client has left."""
    async with served("serve", tmp_path) as at:
        async with line_to(at) as (_, writer):
            writer.write(head("GET", path, 0))
            async with asyncio.timeout(20):
                await at.upstream.asked.acquire()
        await eventually(lambda: at.upstream.cut_off == 1)
