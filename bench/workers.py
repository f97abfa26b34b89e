"""The gain of a second worker of ``serve``, on SQLite and on Redis.

``python -m bench.workers``, and the last part of ``make bench``. Nothing is pinned: the workers,
Redis, wrk and the upstream (nginx with a fixed answer) share the machine's two cores, so that a
second worker cannot double the rate here. The rounds are interleaved, and a figure is their
median. A row in which any message was refused is invalid.
"""

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from bench.growth import GrownTarget, fill
from bench.redis_process import free_port, redis_process, until_listening
from bench.run import Row, play
from bench.targets import ORDER_JSON, ROOT, Server, python
from gateway.keys.keyring import KeyRing
from gateway.stores.urls import store_from_url

ROUNDS = 3
ROUND_S = 3
MESSAGES = 24_000
SESSIONS = 64
WORKERS = (1, 2)
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            return 200 '{body}';
        }}
    }}
}}
"""


class Served(Server):
    """``serve`` and its workers."""

    def __init__(self, process: Process, port: int) -> None:
        super().__init__(process)
        self.url = f"http://127.0.0.1:{port}"

    def cpu_s(self) -> float:
        """CPU time so far of the process and those that it has started."""
        return sum(map(_cpu_s, _with_children(self._process.pid)))

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _with_children(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def upstream(folder: Path) -> AsyncIterator[str]:
    """nginx that answers every request with the order; its URL."""
    port, settings = free_port(), folder / "nginx.conf"
    body = ORDER_JSON.decode()
    settings.write_text(_NGINX.format(folder=folder, port=port, body=body), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "nginx", "-p", str(folder), "-c", str(settings), stderr=DEVNULL
    )
    try:
        await until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def serve(
    stack: AsyncExitStack, url: str, key_file: Path, behind: str, workers: int
) -> Served:
    """A running gateway with ``workers`` workers."""
    port = free_port()
    command = python(
        *("gateway", "serve", "--listen", f"127.0.0.1:{port}", "--workers", str(workers)),
        *("--upstream", behind, "--any-address", "--mail", "console:"),
        *("--store", url, "--key-file", str(key_file), "--suites", "ecdh-gcm"),
    )
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=DEVNULL)
    served = Served(process, port)
    stack.push_async_callback(served.stop)
    await until_listening(port)
    return served


async def measure() -> None:
    """The table, printed."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="certless-bench-")))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        behind = await stack.enter_async_context(upstream(folder))
        redis = await stack.enter_async_context(redis_process())
        key_file = folder / "key"
        keyring = KeyRing.from_file(key_file)
        rows = []
        for name, url in (("SQLite", f"sqlite:{folder / 'db'}"), ("Redis", redis.url)):
            store = store_from_url(url)
            await store.open()
            clients = await fill(store, keyring, SESSIONS)
            await store.close()
            for workers in WORKERS:
                served = await serve(stack, url, key_file, behind, workers)
                target = GrownTarget(served, http, clients)
                rows.append(Row(f"{name}, workers {workers}", target, ""))
        for number in range(ROUNDS):
            for row in rows:
                sample = await play(row.target, MESSAGES, ROUND_S)
                row.samples.append(sample)
                print(f"round {number + 1}: {row.name}: {sample.rate:.0f}/s", file=sys.stderr)
    print_workers(rows)


def print_workers(rows: list[Row]) -> None:
    """Rates, and the ratio of each to that of one worker."""
    print()
    print("| serve in front of nginx, two cores for all | messages/s | CPU µs | to workers 1 |")
    print("|---|--:|--:|--:|")
    for number, row in enumerate(rows):
        one = rows[number - number % len(WORKERS)]
        figures = f"{row.rate:,.0f} | {row.cpu_us:,.0f} | {row.rate / one.rate:.2f}"
        print(f"| {row.name} | {f'VOID: {row.fault} | | ' if row.fault else figures} |")


if __name__ == "__main__":
    asyncio.run(measure())
