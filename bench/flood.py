"""How 5,000 logins from 5,000 addresses affect the messages of open sessions.

One gateway runs with its default limits on its own core. Messages are sent at a fixed rate, even if
earlier ones have no response yet. The time of each counts from the moment when it should be sent,
so a blocked gateway is visible. Meanwhile wrk requests logins as fast as it gets responses.
"""

import asyncio
import json
import os
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import aiohttp

from bench.hardened_target import HardenedTarget, seal_order
from bench.run import cores
from bench.targets import ROOT, Server, python
from protocol.hardened.client_session import ClientSession

LOGINS = 5000
CONNECTIONS = 64
SESSIONS = 16
MESSAGES_PER_S = 200
QUIET_S = 5
ROUNDS = 5


@dataclass(slots=True)
class Waits:
    """Response times in milliseconds."""

    ms: list[float] = field(default_factory=list)

    @property
    def figures(self) -> tuple[float, float, float]:
        """The median, the 99th percentile and the worst."""
        return median(self.ms), quantiles(self.ms, n=100)[98], max(self.ms)


def figures(rounds: list[Waits]) -> str:
    """The messages of all rounds, and the median of the rounds' results."""
    count = sum(len(waits.ms) for waits in rounds)
    medians = (median(figure) for figure in zip(*(waits.figures for waits in rounds), strict=True))
    return f"{count:,} | " + " | ".join(f"{figure:.1f}" for figure in medians)


class Traffic:
    """Messages of open sessions, at a fixed rate."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, sessions: list[ClientSession]
    ) -> None:
        self._http = http
        self._url = url
        self._sessions = sessions
        self._sent = 0

    async def send_until(self, ended: "asyncio.Future[Any]", waits: Waits) -> None:
        """Raises: AssertionError, if a status is not 200."""
        began_s, number, sent = time.perf_counter(), 0, list[asyncio.Task[None]]()
        while not ended.done():
            due_s = began_s + number / MESSAGES_PER_S
            body = self._next()
            await asyncio.sleep(due_s - time.perf_counter())
            sent.append(asyncio.create_task(self._send(body, due_s, waits)))
            number += 1
        await asyncio.gather(*sent)

    def _next(self) -> bytes:
        self._sent += 1
        session = self._sessions[self._sent % len(self._sessions)]
        return seal_order(session)[0].serialize("msgpack")

    async def _send(self, body: bytes, due_s: float, waits: Waits) -> None:
        headers = {"Content-Type": "application/msgpack"}
        async with self._http.post(self._url, data=body, headers=headers) as answer:
            await answer.read()
            assert answer.status == 200, answer.status
        waits.ms.append((time.perf_counter() - due_s) * 1000)


async def flood(url: str, network: int) -> dict[str, float]:
    """The results of ``LOGINS`` logins, each from another address in ``network``."""
    began_s = time.perf_counter()
    wrk = await asyncio.create_subprocess_exec(
        *("nice", "wrk", "-t1", f"-c{CONNECTIONS}", "-d60s", "-s", "bench/flood.lua"),
        *(url, "--", str(LOGINS), str(network)),
        stdout=PIPE,
        cwd=ROOT,
    )
    assert wrk.stdout is not None
    try:
        async for line in wrk.stdout:
            if line.startswith(b"RESULT "):
                result: dict[str, float] = json.loads(line.removeprefix(b"RESULT "))
                return {**result, "seconds": time.perf_counter() - began_s}
    finally:
        if wrk.returncode is None:
            wrk.kill()
        await wrk.wait()
    raise RuntimeError("wrk ended before its time")


async def bench() -> None:
    """Rounds of quiet and flood, printed as a table."""
    core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    server = await Server.start(core, python("bench.server", "--certless", "--limits"))
    quiet = [Waits() for _ in range(ROUNDS)]
    flooded = [Waits() for _ in range(ROUNDS)]
    results = []
    try:
        async with aiohttp.ClientSession() as http:
            target = HardenedTarget(server, http, "ecdh-gcm")
            await target.check()
            sessions = [await target.open_session() for _ in range(SESSIONS)]
            await server.wait_until_idle()
            traffic = Traffic(http, target.url, sessions)
            for number in range(ROUNDS):
                await traffic.send_until(
                    asyncio.ensure_future(asyncio.sleep(QUIET_S)), quiet[number]
                )
                logins = asyncio.ensure_future(
                    flood(f"{server.url}/.gateway/session/hello", 10 + number)
                )
                await traffic.send_until(logins, flooded[number])
                results.append(await logins)
    finally:
        await server.stop()
    print(f"| {MESSAGES_PER_S} messages a second | messages | p50 ms | p99 ms | worst ms |")
    print("|---|--:|--:|--:|--:|")
    print(f"| in quiet | {figures(quiet)} |")
    print(f"| while {LOGINS:,} logins are asked for | {figures(flooded)} |")
    for result in results:
        print(
            f"{LOGINS:,} logins in {result['seconds']:.1f} s: {result['let_in']:.0f} let in, "
            f"{result['later']:.0f} told to come later, {result['others']:.0f} failed"
        )


if __name__ == "__main__":
    asyncio.run(bench())
