"""Blocks of the vault: beside plain rows, by pool, large files, synchronisation, and the sweep.

The client is the Python client in this process. The server has the other core. PostgreSQL and Redis
run on the core of the client, as if on another machine.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.messages import Bench, probe
from bench.plain_rows import ID_BYTES
from bench.postgresql_process import postgresql_process
from bench.processes import Server, peak_mib, python
from bench.redis_process import redis_process
from bench.results import Row, Rows, Size, progress
from certless import Client
from protocol.common.primitives import sha256
from vault.client import Files, Vault
from vault.client.api import Api
from vault.client.storage.requests import IN_FLIGHT, BlockRequests
from vault.core.block_exchanges import MAX_BLOCKS, NewBlock, OneBlock
from vault.core.tokens import BLOCK_BYTES, Tokens

ROUNDS = 5
BLOCKS_EACH = 2_000
WRITES = 300
NOTES = 300
EDITED = 10 * 1024 * 1024
LARGE = 2**30
SWEPT = 1_000_000
PASSWORD = "correct horse battery"
_PIECE = secrets.token_bytes(1024 * 1024)


class CountingClient(Client):
    """A client that counts the blocks that it sends and reads."""

    sent = 0
    read = 0

    def request(self, method: str, path: str, **options: Any) -> Any:
        body = options.get("data") or b""
        if path.endswith("/blocks/put"):
            self.sent += body.count(b"permit")
        elif path.endswith("/blocks/get"):
            self.read += body.count(b"token")
        return super().request(method, path, **options)


@dataclass(frozen=True)
class Device:
    """A client of one user, with the vault open."""

    client: CountingClient
    vault: Vault
    files: Files


async def logged_in(one: Bench, server: Server, name: str) -> CountingClient:
    async def code() -> str:
        return str((await server.line())["code"])

    client = await one.stack.enter_async_context(CountingClient(server.url))
    await client.login(name, code=code)
    return client


async def device(one: Bench, server: Server, name: str, *, is_first: bool) -> Device:
    async def type_back(code: str) -> str:
        return code

    client = await logged_in(one, server, name)
    vault = Vault(client, lock_s=3600)
    if is_first:
        await vault.create(PASSWORD, type_back)
    else:
        await vault.unlock(PASSWORD)
    files = await one.stack.enter_async_context(vault.files())
    return Device(client, vault, files)


async def blocks(one: Bench, size: Size) -> Rows:
    """All rows of the part."""
    rows: Rows = {}
    server = await _server(one, "rows")
    await _beside_plain_rows(one, server, size, rows)
    await _pools(one, size, rows)
    await _changes(one, await _server(one, "changes"), size, rows)
    await _large_file(one, await _server(one, "large"), size, rows)
    swept = size.of(SWEPT, 1_000)
    progress(f"a sweep over {swept:,} rows")
    command = python("bench.sweep", str(one.folder / "swept.db"), str(swept))
    found = probe(one.core, command)
    row = rows["a sweep over 1,000,000 rows, of which 1 % have expired"] = Row()
    row.add(ms=found["ms"], server_mib=found["mib"])
    return rows


async def _server(one: Bench, name: str, *options: str) -> Server:
    folder = one.folder / name
    folder.mkdir()
    arguments = ("--certless", "--key-pool-size", "1", "--vault", str(folder), *options)
    return await one.python("bench.server", *arguments)


async def _timed(row: Row, server: Server, count: int, run: Callable[[], Awaitable[None]]) -> None:
    server.wait_until_idle()
    cpu_s, began_s = server.cpu_s(), time.perf_counter()
    await run()
    passed_s = time.perf_counter() - began_s
    # The application of the pool goes on after the last answer.
    server.wait_until_idle()
    row.add(rate=count / passed_s, cpu_us=(server.cpu_s() - cpu_s) / count * 1e6)


async def _in_flight(calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """All ``calls``, ``IN_FLIGHT`` at the same time."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def call(one: Callable[[], Awaitable[object]]) -> None:
        async with slots:
            await one()

    async with asyncio.TaskGroup() as group:
        for one in calls:
            group.create_task(call(one))


async def new_blocks(requests: BlockRequests, tokens: Tokens, count: int) -> list[NewBlock]:
    """Blocks of random bytes. The work of sealing is that of the client."""
    reserved = (await requests.reserve(count))[:count]
    return [
        NewBlock(
            one.id,
            one.permit,
            b"\1" + secrets.token_bytes(BLOCK_BYTES - 1),
            tokens.hashes(one.id),
        )
        for one in reserved
    ]


async def _beside_plain_rows(one: Bench, server: Server, size: Size, rows: Rows) -> None:
    client = await logged_in(one, server, "ann@example.org")
    requests = BlockRequests(Api(client, "/vault"))
    tokens = Tokens(*(secrets.token_bytes(32) for _ in range(3)))

    async def plain(action: str, body: bytes, length: int) -> None:
        answer = await client.post(f"/rows/{action}", data=body)
        assert answer.status == 200
        assert len(await answer.read()) == length

    await plain("make", b"x", 0)
    count = size.of(BLOCKS_EACH, 64)
    for number in range(size.of(ROUNDS, 1)):
        progress(f"round {number + 1}: {count} blocks and {count} plain rows, put and got")
        new = await new_blocks(requests, tokens, count)
        batches = [new[at : at + MAX_BLOCKS] for at in range(0, count, MAX_BLOCKS)]
        asked = [[OneBlock(one.id, tokens.read(one.id)) for one in batch] for batch in batches]
        pairs = [b"".join(one.id + one.block for one in batch) for batch in batches]
        ids = [b"".join(one.id for one in batch) for batch in batches]
        steps = {
            "put, blocks": [_call(requests.put, batch) for batch in batches],
            "put, plain rows": [_call(plain, "put", pair, 0) for pair in pairs],
            "get, blocks": [_call(requests.get, batch) for batch in asked],
            "get, plain rows": [
                _call(plain, "get", some, len(some) // ID_BYTES * BLOCK_BYTES) for some in ids
            ],
        }
        for name, calls in steps.items():
            row = rows.setdefault(name, Row())
            await _timed(row, server, count, _call(_in_flight, calls))


def _call(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: function(*arguments)


async def _pools(one: Bench, size: Size, rows: Rows) -> None:
    """Acknowledged puts of one block, each in a request of its own."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(postgresql_process(one.load_core))
        redis = await stack.enter_async_context(redis_process(one.load_core, fsync="always"))
        servers = {
            "a table of SQLite": await _server(one, "sqlite"),
            "a table of PostgreSQL": await _server(one, "postgresql", "--database", database),
            "Redis, `appendfsync always`": await _server(one, "redis", "--pool", redis.url),
        }
        tokens = Tokens(*(secrets.token_bytes(32) for _ in range(3)))
        clients = {
            name: BlockRequests(Api(await logged_in(one, server, "ann@example.org"), "/vault"))
            for name, server in servers.items()
        }
        for number in range(size.of(ROUNDS, 1)):
            progress(f"round {number + 1}: acknowledged writes by pool")
            for name, server in servers.items():
                new = await new_blocks(clients[name], tokens, size.of(WRITES, 8))
                row = rows.setdefault(f"acknowledged writes of one block, pool: {name}", Row())
                calls = [_call(clients[name].put, [block]) for block in new]
                await _timed(row, server, len(new), _call(_in_flight, calls))
        # They need the database and the Redis until they have ended.
        for server in servers.values():
            await server.stop()


async def _changes(one: Bench, server: Server, size: Size, rows: Rows) -> None:
    first = await device(one, server, "ann@example.org", is_first=True)
    count = size.of(NOTES, 4)
    progress(f"{count} notes, and a file of 10 MiB")
    for number in range(count):
        await first.files.put(f"note {number}", f"text {number}", kind="note")
    second = await device(one, server, "ann@example.org", is_first=False)
    row = rows["sync of a new device: 300 notes"] = Row()
    await _synced(row, second)
    row = rows["sync after a change of 1 % of 300 notes, and reading them"] = Row()
    for number in range(size.of(ROUNDS, 1)):
        for at in range(max(1, count // 100)):
            await first.files.put(f"note {at}", f"text {at} of round {number}", kind="note")
        await _synced(row, second)
    length = size.of(EDITED, 100_000)
    await first.files.put("video", secrets.token_bytes(length))
    row = rows["a byte inserted in the middle of 10 MiB"] = Row()
    for number in range(size.of(ROUNDS, 1)):
        before, began_s = first.client.sent, time.perf_counter()
        await first.files.edit("video", length // 2 + number, length // 2 + number, b"x")
        passed_ms = (time.perf_counter() - began_s) * 1000
        row.add(ms=passed_ms, blocks=first.client.sent - before)


async def _synced(row: Row, there: Device) -> None:
    began_s = time.perf_counter()
    await there.files.sync()
    for change in await there.files.changes():
        await there.files.get(change.name)
    row.add(ms=(time.perf_counter() - began_s) * 1000)


def _forget_peak(pid: int | str) -> None:
    """The peak of the memory of a process begins anew (proc(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")


async def _large_file(one: Bench, server: Server, size: Size, rows: Rows) -> None:
    there = await device(one, server, "ann@example.org", is_first=True)
    length = size.of(LARGE, 2 * len(_PIECE))
    digests: dict[str, bytes] = {}

    async def pieces() -> AsyncIterator[bytes]:
        digest = b""
        for _ in range(length // len(_PIECE)):
            digest = sha256(digest + _PIECE)
            yield _PIECE
        digests["put"] = digest

    async def put() -> None:
        await there.files.put("large", pieces())

    async def get() -> None:
        digest, rest = b"", b""
        async for piece in there.files.stream("large"):
            rest += piece
            while len(rest) >= len(_PIECE):
                digest, rest = sha256(digest + rest[: len(_PIECE)]), rest[len(_PIECE) :]
        digests["get"] = digest

    for name, run in (("1 GiB in, MiB", put), ("1 GiB out, MiB", get)):
        progress(name)
        _forget_peak("self")
        _forget_peak(server.pid)
        row = rows[name] = Row()
        await _timed(row, server, length // len(_PIECE), run)
        row.add(client_mib=peak_mib("self"), server_mib=server.peak_mib())
    assert digests["put"] == digests["get"]
