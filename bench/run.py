"""Messages a second, side by side: plain aiohttp, Certless, and the same protocol in Node.

Every server is pinned to one core and wrk to another. Each round sends a new sealed corpus to each
row, in turn; a row is the median of its rounds. A row is invalid if any response was not 200, a
connection failed, or a message was missing. CPU time is that of the server, so other programs on
the machine affect "messages/s" more than "CPU us".

The RSA limit is the rate of one core if a message needed only its private and its public operation.
It is measured between the rounds, on the servers' core.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from bench.hardened_target import HardenedTarget
from bench.hpke_target import HpkeTarget
from bench.redis_process import redis_process
from bench.targets import (
    ROOT,
    CertlessTarget,
    InPlaceTarget,
    NodeTarget,
    Server,
    Target,
    node,
    python,
)
from protocol.common.codes import Code

ROUNDS = 3
ROUND_S = 3
WARM_UP_S = 1
CONNECTIONS = 32
WARM_UP_MESSAGES = 6000
HEADROOM = 1.6  # of a corpus over the row's best round: V8 and the machine get faster
LOGINS = 96
LOGIN_CLIENTS = 8
KIB = 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One play of a corpus."""

    rate: float
    cpu_us: float
    fault: str


@dataclass(slots=True)
class Row:
    """One line of the table."""

    name: str
    target: Target
    engine: str  # whose RSA limit applies
    samples: list[Sample] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(sample.rate for sample in self.samples)

    @property
    def cpu_us(self) -> float:
        return median(sample.cpu_us for sample in self.samples)

    @property
    def fault(self) -> str:
        return "; ".join(sorted({sample.fault for sample in self.samples} - {""}))


@dataclass(slots=True)
class Limits:
    """CPU microseconds of the two RSA operations of a message, by engine, as often as measured."""

    rsa_us: dict[str, list[float]] = field(default_factory=lambda: {"python": [], "node": []})

    def rate(self, engine: str) -> float:
        return 1e6 / median(self.rsa_us[engine])


def cores() -> tuple[int, int]:
    """The core of the servers and the core of the load."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        sys.exit("the benchmark needs two cores: one for the server, one for the load")
    return available[-1], available[0]


async def output_of(*command: str) -> str:
    """The output of a program. Raises: RuntimeError, if it failed."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=ROOT)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return output.decode()


async def probe(core: int, command: list[str]) -> dict[str, float]:
    """The figures of a probe, run on ``core``."""
    figures: dict[str, float] = json.loads(await output_of("taskset", "-c", str(core), *command))
    return figures


def write_corpus(path: Path, bodies: Iterator[bytes]) -> None:
    """Each body after its length, for sealed.lua."""
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(4) + body)


async def play(target: Target, count: int, seconds: int) -> Sample:
    """Seal ``count`` messages, then play them for ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="certless-bench-") as folder:
        corpus = Path(folder) / "corpus"
        write_corpus(corpus, await target.corpus(count))
        await target.server.wait_until_idle()
        before_s = target.server.cpu_s()
        output = await output_of(
            *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", "bench/sealed.lua"),
            *(target.url, "--", str(corpus), "again" if target.again else "once"),
            target.content_type,
        )
        cpu_s = target.server.cpu_s() - before_s
    result: dict[str, Any] = json.loads(output.partition("RESULT ")[2])
    faults = [f"{result[name]} {name}" for name in ("refused", "errors") if result[name]]
    if not target.again and result["sent"] > count:
        faults.append("the corpus was used up")
    answered = max(result["answered"], 1)
    return Sample(answered / result["seconds"], cpu_s / answered * 1e6, ", ".join(faults))


async def measure_rows(rows: list[Row], core: int) -> Limits:
    """Warm up, then all rounds, interleaved."""
    limits = Limits()
    expected = {}
    for row in rows:
        await row.target.check()
        expected[row.name] = (await play(row.target, WARM_UP_MESSAGES, WARM_UP_S)).rate
    for number in range(ROUNDS):
        for row in rows:
            sample = await play(row.target, int(expected[row.name] * ROUND_S * HEADROOM), ROUND_S)
            expected[row.name] = max(expected[row.name], sample.rate)
            row.samples.append(sample)
            print(f"round {number + 1}: {row.name}: {sample.rate:.0f}/s", file=sys.stderr)
        for engine, command in (("python", python("bench.probes", "rsa")), ("node", node("rsa"))):
            limits.rsa_us[engine].append((await probe(core, command))["rsa_us"])
    return limits


async def login_rate(target: CertlessTarget) -> float:
    """Logins per second while the pool has pairs: both requests of each, without the mail."""
    await target.server.wait_until_idle()
    gate = asyncio.Semaphore(LOGIN_CLIENTS)

    async def request_code() -> tuple[str, str]:
        async with gate:
            return await target.request_code()

    async def authenticate(token: str, code: str) -> None:
        async with gate:
            await target.send_login(token, code)

    start_s = time.perf_counter()
    tokens = await asyncio.gather(*(request_code() for _ in range(LOGINS)))
    passed_s = time.perf_counter() - start_s
    lines = [await target.server.line() for _ in range(LOGINS)]
    codes = {line["address"]: line["code"] for line in lines}
    start_s = time.perf_counter()
    await asyncio.gather(*(authenticate(token, codes[address]) for token, address in tokens))
    return LOGINS / (passed_s + time.perf_counter() - start_s)


async def hardened_login_rate(target: HardenedTarget) -> float:
    """Logins per second: the server's three responses to each, without the mail.

    What the client computes between them is done on the other core, outside the time that counts.
    """
    await target.server.wait_until_idle()
    gate = asyncio.Semaphore(LOGIN_CLIENTS)
    passed_s = 0.0

    async def timed(requests: list[Coroutine[Any, Any, Any]]) -> list[Any]:
        nonlocal passed_s

        async def one(request: Coroutine[Any, Any, Any]) -> Any:
            async with gate:
                return await request

        start_s = time.perf_counter()
        answers = await asyncio.gather(*map(one, requests))
        passed_s += time.perf_counter() - start_s
        return answers

    awaited = await timed([target.request_code() for _ in range(LOGINS)])
    lines = [await target.server.line() for _ in range(LOGINS)]
    codes = {line["address"]: line["code"] for line in lines}
    entered = [login.enter(Code(codes[who]), secrets.token_bytes) for login, who in awaited]
    shares = await timed([target.send_share(share) for share, _ in entered])
    proofs = [p.open(share)[0] for (_, p), share in zip(entered, shares, strict=True)]
    await timed([target.send_confirmation(proof) for proof in proofs])
    return LOGINS / passed_s


def print_rows(rows: list[Row], limits: Limits) -> None:
    """The table."""
    print("| 1 KiB JSON echo, one core | messages/s | from - to | CPU us | of its RSA limit |")
    print("|---|--:|--:|--:|--:|")
    for row in rows:
        rates = [sample.rate for sample in row.samples]
        share = f"{row.rate / limits.rate(row.engine):.0%}" if row.engine else ""
        figures = f"{row.rate:,.0f} | {min(rates):,.0f} - {max(rates):,.0f} | {row.cpu_us:,.0f}"
        print(f"| {row.name} | {f'VOID: {row.fault} | | ' if row.fault else figures} | {share} |")
    for engine, name in (("python", "Python (cryptography)"), ("node", "Node")):
        print(
            f"| RSA limit of {name} | {limits.rate(engine):,.0f} | "
            f"| {median(limits.rsa_us[engine]):,.0f} | 100% |"
        )


def print_ratios(rows: list[Row], slow: Row, fast: Row) -> None:
    """Certless against Node, by messages/s and by CPU time."""
    print()
    print("| ratio | to Node, PEM at every call (aim 2.5) | to Node, keys kept (aim 0.95) |")
    print("|---|--:|--:|")
    for row in rows:
        cells = [
            "void"
            if row.fault or other.fault
            else f"{row.rate / other.rate:.2f} (CPU: {other.cpu_us / row.cpu_us:.2f})"
            for other in (slow, fast)
        ]
        print(f"| {row.name} | {cells[0]} | {cells[1]} |")


async def print_logins(target: CertlessTarget, core: int) -> None:
    """Logins a second from a full pool, and the rate at which a pool fills."""
    rates = [await login_rate(target) for _ in range(ROUNDS)]
    pairs_per_s = (await probe(core, python("bench.probes", "keygen")))["pairs_per_s"]
    print()
    print(
        f"Logins: {median(rates):,.0f}/s ({min(rates):,.0f} - {max(rates):,.0f}) from a full pool "
        f"of {LOGINS} RSA pairs, without mail, while new pairs are made on the same core. "
        f"Lasting: at most the {pairs_per_s:.0f} pairs/s that one thread makes."
    )


async def print_hardened_logins(target: HardenedTarget) -> None:
    """Logins a second in ecdh-gcm, which needs no pool."""
    rates = [await hardened_login_rate(target) for _ in range(ROUNDS)]
    print()
    print(
        f"Logins in ecdh-gcm: {median(rates):,.0f}/s ({min(rates):,.0f} - {max(rates):,.0f}), "
        "without mail (aim: 800)."
    )


def print_hardened_ratios(rows: dict[str, Row]) -> None:
    """The hardened suites against plain aiohttp and classic, and hpke-http against plain ASGI."""
    print()
    for name, other, aim in (
        ("ecdh-gcm", "aiohttp alone", 0.6),
        ("ecdh-gcm", "classic", 3.5),
        ("SQLite", "ecdh-gcm", None),
        ("Redis", "ecdh-gcm", None),
        ("ASGI", "hpke-http", None),
        ("ASGI", "Starlette alone", None),
        ("hpke-http", "Starlette alone", None),
    ):
        row, peer = rows[name], rows[other]
        said = "void" if row.fault or peer.fault else f"{row.rate / peer.rate:.2f}"
        print(f"* {name} to {other}: {said}" + (f" (aim {aim})" if aim else ""))


async def print_memory(core: int) -> None:
    """Resident memory, each figure from a fresh process."""
    keys, sessions, messages = [
        (await probe(core, python("bench.probes", what)))["bytes"]
        for what in ("keys", "sessions", "messages")
    ]
    print()
    print(
        f"Memory of 1,000 sessions: {sessions * 1000 / KIB**2:.1f} MiB, of which their keys "
        f"{keys * 1000 / KIB**2:.1f} MiB; beside its keys a session takes "
        f"{(sessions - keys) / KIB:.1f} KiB (aim: under 4). "
        f"Each message that it serves adds {messages:.0f} bytes."
    )


async def bench() -> None:
    """Run everything and print each result."""
    core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())

        async def start(command: list[str]) -> Server:
            server = await Server.start(core, command)
            stack.push_async_callback(server.stop)
            return server

        on_uvloop = await start(python("bench.server", "--certless", "--uvloop"))
        on_asyncio = await start(python("bench.server", "--certless"))
        for_logins = await start(python("bench.server", "--certless", f"--key-pool-size={LOGINS}"))
        plain = Target(await start(python("bench.server")), http)
        plain_uvloop = Target(await start(python("bench.server", "--uvloop")), http)
        pem = Row("Node, PEM at every call", NodeTarget(await start(node("pem")), http), "node")
        kept = Row("Node, keys kept", NodeTarget(await start(node("keys")), http), "node")
        certless = [
            Row("Certless, asyncio", CertlessTarget(on_asyncio, http), "python"),
            Row("Certless, uvloop", CertlessTarget(on_uvloop, http), "python"),
        ]
        rows = [
            Row("aiohttp alone, asyncio", plain, ""),
            Row("aiohttp alone, uvloop", plain_uvloop, ""),
            *certless,
            Row("Certless, uvloop, in place", InPlaceTarget(on_uvloop, http), "python"),
            pem,
            kept,
        ]
        ecdh = HardenedTarget(on_asyncio, http, "ecdh-gcm")
        on_asgi = "bench.asgi_server"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="certless-bench-")))
        served = ("bench.server", "--certless", "--key-file", str(folder / "key"))
        sqlite = f"sqlite:{folder / 'db'}"
        # On the core of the load, as if it were another machine.
        redis = await stack.enter_async_context(redis_process(load_core))
        hardened = {
            "ecdh-gcm": Row("Certless ecdh-gcm, asyncio", ecdh, ""),
            "rsa-gcm": Row(
                "Certless rsa-gcm, asyncio", HardenedTarget(on_asyncio, http, "rsa-gcm"), "python"
            ),
            "hpke-http": Row(
                "hpke-http, Starlette on uvicorn",
                HpkeTarget(await start(python(on_asgi, "--hpke")), http),
                "",
            ),
            "ASGI": Row(
                "Certless ecdh-gcm, Starlette on uvicorn",
                HardenedTarget(await start(python(on_asgi, "--certless")), http, "ecdh-gcm"),
                "",
            ),
            "SQLite": Row(
                "Certless ecdh-gcm, SQLite",
                HardenedTarget(await start(python(*served, "--store", sqlite)), http, "ecdh-gcm"),
                "",
            ),
            "Redis": Row(
                "Certless ecdh-gcm, Redis",
                HardenedTarget(
                    await start(python(*served, "--store", redis.url)), http, "ecdh-gcm"
                ),
                "",
            ),
            "Starlette alone": Row(
                "Starlette alone on uvicorn", Target(await start(python(on_asgi)), http), ""
            ),
        }
        rows += hardened.values()
        await for_logins.wait_until_idle()
        limits = await measure_rows(rows, core)
        print_rows(rows, limits)
        print_ratios(certless, pem, kept)
        print_hardened_ratios({**hardened, "aiohttp alone": rows[0], "classic": certless[0]})
        await print_logins(CertlessTarget(for_logins, http), core)
        await print_hardened_logins(ecdh)
    await print_memory(core)


if __name__ == "__main__":
    asyncio.run(bench())
