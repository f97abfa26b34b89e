"""How 5,000 logins from 5,000 addresses affect the messages of open sessions.

One gateway runs with its default limits on its own core. Messages are sent at a fixed rate, even if
earlier ones have no response yet. The time of each counts from the moment when it should be sent,
so a blocked gateway is visible. Meanwhile wrk requests logins as fast as it gets responses.
"""

import asyncio
import json
import time
from asyncio.subprocess import PIPE
from statistics import median, quantiles
from typing import Any

import aiohttp

from bench.hardened_target import HardenedTarget, seal_order
from bench.messages import Bench
from bench.results import ROOT, Row, Rows, Size, progress
from protocol.hardened.client_session import ClientSession

LOGINS = 5000
CONNECTIONS = 64
SESSIONS = 16
MESSAGES_PER_S = 200
QUIET_S = 5
ROUNDS = 5


def figures(waits_ms: list[float]) -> dict[str, float]:
    """The median, the 99th percentile and the worst of some response times."""
    return {
        "p50_ms": median(waits_ms),
        "p99_ms": quantiles(waits_ms, n=100)[98],
        "worst_ms": max(waits_ms),
    }


class Traffic:
    """Messages of open sessions, at a fixed rate."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, sessions: list[ClientSession]
    ) -> None:
        self._http = http
        self._url = url
        self._sessions = sessions
        self._sent = 0

    async def send_until(self, ended: "asyncio.Future[Any]") -> dict[str, float]:
        """The response times. Raises: AssertionError, if a status is not 200."""
        began_s, number, sent = time.perf_counter(), 0, list[asyncio.Task[float]]()
        while not ended.done():
            due_s = began_s + number / MESSAGES_PER_S
            body = self._next()
            await asyncio.sleep(due_s - time.perf_counter())
            sent.append(asyncio.create_task(self._send(body, due_s)))
            number += 1
        return figures(await asyncio.gather(*sent))

    def _next(self) -> bytes:
        self._sent += 1
        session = self._sessions[self._sent % len(self._sessions)]
        return seal_order(session)[0].serialize("msgpack")

    async def _send(self, body: bytes, due_s: float) -> float:
        headers = {"Content-Type": "application/msgpack"}
        async with self._http.post(self._url, data=body, headers=headers) as answer:
            await answer.read()
            assert answer.status == 200, answer.status
        return (time.perf_counter() - due_s) * 1000


async def flood_with(url: str, count: int, network: int) -> dict[str, float]:
    """The results of ``count`` logins, each from another address in ``network``."""
    began_s = time.perf_counter()
    wrk = await asyncio.create_subprocess_exec(
        *("nice", "wrk", "-t1", f"-c{CONNECTIONS}", "-d60s", "-s", "bench/flood.lua"),
        *(url, "--", str(count), str(network)),
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


async def flood(one: Bench, size: Size) -> Rows:
    """Rounds without and with a flood."""
    server = await one.python("bench.server", "--certless", "--limits")
    target = HardenedTarget(server, one.http, "ecdh-gcm")
    await target.check()
    sessions = [await target.open_session() for _ in range(size.of(SESSIONS, 2))]
    server.wait_until_idle()
    traffic = Traffic(one.http, target.url, sessions)
    count = size.of(LOGINS, 50)
    quiet, flooded = Row(), Row()
    for number in range(size.of(ROUNDS, 1)):
        ended = asyncio.ensure_future(asyncio.sleep(size.of(QUIET_S, 1)))
        quiet.add(**await traffic.send_until(ended))
        logins = asyncio.ensure_future(
            flood_with(f"{server.url}/.gateway/session/hello", count, 10 + number)
        )
        waits = await traffic.send_until(logins)
        result = await logins
        fault = f"{result['others']:.0f} other responses" if result["others"] else ""
        waits |= {
            "accepted": result["let_in"],
            "limited": result["later"],
            "flood_s": result["seconds"],
        }
        flooded.add(fault, **waits)
        progress(f"round {number + 1}: flood: p99 {waits['p99_ms']:.1f} ms")
    return {"without a flood": quiet, f"while {count:,} logins are requested": flooded}
