"""Messages a second of servers that are compared: each on one core, with the load on the other.

The RSA limit is the rate of one core if a message needed only its private and its public operation.
"""

import asyncio
import json
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.hardened_target import HardenedTarget, MailedTarget
from bench.hpke_target import HpkeTarget
from bench.load import ROUNDS, interleave
from bench.nginx import nginx
from bench.processes import Process, Server, cores, gateway, on_core, pinned, python, started
from bench.redis_process import redis_process
from bench.results import ROOT, Row, Rows, Size
from bench.targets import CertlessTarget, InPlaceTarget, NodeTarget, Target, node

_RSA_OPERATIONS = 1500


@dataclass(frozen=True, slots=True)
class Bench:
    """Starts what a part needs; all of it ends with the part."""

    core: int
    load_core: int
    folder: Path
    http: aiohttp.ClientSession
    stack: AsyncExitStack

    async def start(self, *command: str) -> Server:
        """A server that prints lines of JSON."""
        server = await Server.start(self.core, list(command))
        self.stack.push_async_callback(server.stop)
        return server

    async def python(self, module: str, *arguments: str) -> Server:
        return await self.start(*python(module, *arguments))

    def serve(self, upstream: str, by: tuple[str, ...] = ()) -> Process:
        """``serve`` as a reverse proxy, with its access log; mails go to the folder."""
        return self.stack.enter_context(
            gateway(upstream, mails=str(self.folder), core=self.core, by=by)
        )


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Servers get one core; this process and the load get the other."""
    core, load_core = cores()
    async with AsyncExitStack() as stack:
        stack.enter_context(on_core(load_core))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="certless-bench-"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Bench(core, load_core, Path(folder), http, stack)


Measurement = Callable[[Bench, Size], Awaitable[Rows]]


def run(measurement: Measurement) -> Callable[[Size], Rows]:
    """The measurement with a bench of its own."""

    async def measured(size: Size) -> Rows:
        async with bench() as one:
            return await measurement(one, size)

    return lambda size: asyncio.run(measured(size))


async def proxy(one: Bench, size: Size) -> Rows:
    """``serve`` and a plain reverse proxy of aiohttp, in front of the same nginx."""
    upstream = await one.stack.enter_async_context(nginx(one.folder, one.load_core))
    plain = one.stack.enter_context(started("bench.hops", "proxy", upstream, core=one.core))
    sealed = one.serve(upstream)
    targets: dict[str, Target] = {
        "plain aiohttp reverse proxy": Target(plain, one.http),
        "`serve`, `ecdh-gcm`": MailedTarget(sealed, one.http, one.folder),
    }
    return await interleave(targets, size)


async def in_process(one: Bench, size: Size) -> Rows:
    """aiohttp with and without Certless."""
    certless = await one.python("bench.server", "--certless")
    targets: dict[str, Target] = {
        "plain aiohttp": Target(await one.python("bench.server"), one.http),
        "`ecdh-gcm`": HardenedTarget(certless, one.http, "ecdh-gcm"),
        "`rsa-gcm`": HardenedTarget(certless, one.http, "rsa-gcm"),
    }
    return await interleave(targets, size)


async def asgi(one: Bench, size: Size) -> Rows:
    """Starlette on uvicorn alone, with Certless and with hpke-http."""
    certless = await one.python("bench.asgi_server", "--certless")
    targets: dict[str, Target] = {
        "Starlette alone": Target(await one.python("bench.asgi_server"), one.http),
        "`ecdh-gcm`": HardenedTarget(certless, one.http, "ecdh-gcm"),
        "hpke-http": HpkeTarget(await one.python("bench.asgi_server", "--hpke"), one.http),
    }
    return await interleave(targets, size)


async def stores(one: Bench, size: Size) -> Rows:
    """``ecdh-gcm`` on each store. Redis runs on the core of the load, as on another machine."""
    redis = await one.stack.enter_async_context(redis_process(one.load_core))
    key = ("--key-file", str(one.folder / "key"))
    urls = {"memory": "memory:", "SQLite": f"sqlite:{one.folder / 'db'}", "Redis": redis.url}
    targets: dict[str, Target] = {}
    for name, url in urls.items():
        options = () if name == "memory" else key
        server = await one.python("bench.server", "--certless", "--store", url, *options)
        targets[name] = HardenedTarget(server, one.http, "ecdh-gcm")
    return await interleave(targets, size)


async def classic(one: Bench, size: Size) -> Rows:
    """Classic beside the same protocol in Node, and the limits that RSA sets."""
    certless = await one.python("bench.server", "--certless")
    uvloop = await one.python("bench.server", "--certless", "--uvloop")
    targets: dict[str, Target] = {
        "classic": CertlessTarget(certless, one.http),
        "classic, uvloop": CertlessTarget(uvloop, one.http),
        "classic, in place": InPlaceTarget(certless, one.http),
        "Node, PEM import": NodeTarget(await one.start(*node("pem")), one.http),
        "Node, kept keys": NodeTarget(await one.start(*node("keys")), one.http),
    }
    rows = await interleave(targets, size)
    count = str(size.of(_RSA_OPERATIONS, 10))
    for name, command in (
        ("RSA limit, Python", python("bench.probes", "rsa", count)),
        ("RSA limit, Node", [*node("rsa"), count]),
    ):
        rows[name] = Row()
        for _ in range(size.of(ROUNDS, 1)):
            cpu_us = probe(one.core, command)["rsa_us"]
            rows[name].add(rate=1e6 / cpu_us, cpu_us=cpu_us)
    return rows


def probe(core: int, command: list[str]) -> dict[str, float]:
    """The figures of a probe, run on ``core``. Raises: CalledProcessError, if it failed."""
    process = subprocess.run(
        pinned(core, *command), stdout=subprocess.PIPE, check=True, cwd=ROOT, timeout=300
    )
    figures: dict[str, float] = json.loads(process.stdout)
    return figures


async def memory(one: Bench, size: Size) -> Rows:
    """Memory of classic sessions, each figure from a new process."""
    rows = {}
    for name, what, count in (
        ("a classic session, with its keys", "sessions", 2000),
        ("the keys of a classic session", "keys", 2000),
        ("a classic message, until its session ends", "messages", 20),
    ):
        command = python("bench.probes", what, str(size.of(count, 2)))
        rows[name] = Row()
        rows[name].add(kib=probe(one.core, command)["bytes"] / 1024)
    return rows
