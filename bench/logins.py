"""Logins a second, without mail, beside plain requests on the same core.

Only the server's responses count. The client computes on the other core, between them. Logins in
classic use a full pool of RSA pairs; after that, one thread makes new pairs.
"""

import asyncio
import secrets
import time
from collections.abc import Coroutine
from typing import Any

from bench.hardened_target import HardenedTarget
from bench.load import ROUNDS, play, warm_up
from bench.messages import Bench, probe
from bench.processes import python
from bench.results import Row, Rows, Size, progress
from bench.targets import CertlessTarget, Target
from protocol.common.codes import Code

LOGINS = 192
POOL = 96
CLIENTS = 8
_PAIRS = 60


class Clock:
    """Runs requests of ``CLIENTS`` clients at a time, and adds up the time."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    async def timed(self, requests: list[Coroutine[Any, Any, Any]]) -> list[Any]:
        gate = asyncio.Semaphore(CLIENTS)

        async def one(request: Coroutine[Any, Any, Any]) -> Any:
            async with gate:
                return await request

        start_s = time.perf_counter()
        answers = await asyncio.gather(*map(one, requests))
        self.passed_s += time.perf_counter() - start_s
        return answers


async def hardened_logins(target: HardenedTarget, count: int) -> float:
    """Seconds for the three responses to each of ``count`` logins."""
    clock = Clock()
    awaited = await clock.timed([target.request_code() for _ in range(count)])
    codes = await target.codes(count)
    entered = [login.enter(Code(codes[who]), secrets.token_bytes) for login, who in awaited]
    shares = await clock.timed([target.send_share(share) for share, _ in entered])
    proofs = [p.open(share)[0] for (_, p), share in zip(entered, shares, strict=True)]
    await clock.timed([target.send_confirmation(proof) for proof in proofs])
    return clock.passed_s


async def classic_logins(target: CertlessTarget, count: int) -> float:
    """Seconds for the two responses to each of ``count`` logins."""
    clock = Clock()
    tokens = await clock.timed([target.request_code() for _ in range(count)])
    codes = await target.codes(count)
    await clock.timed([target.send_login(token, codes[address]) for token, address in tokens])
    return clock.passed_s


async def logins(one: Bench, size: Size) -> Rows:
    """Plain requests, then logins in each suite; all in turn."""
    plain = Target(await one.python("bench.server"), one.http)
    pool = size.of(POOL, 4)
    certless = await one.python("bench.server", "--certless", f"--key-pool-size={pool}")
    hardened = HardenedTarget(certless, one.http, "ecdh-gcm")
    classic = CertlessTarget(certless, one.http)
    rows = {name: Row() for name in ("plain aiohttp, requests", "`ecdh-gcm`", "classic")}
    count = await warm_up(plain, size)
    for number in range(size.of(ROUNDS, 1)):
        sample = await play(plain, count)
        rows["plain aiohttp, requests"].add(sample.fault, rate=sample.rate, cpu_us=sample.cpu_us)
        for name, amount in (("`ecdh-gcm`", size.of(LOGINS, 4)), ("classic", pool)):
            certless.wait_until_idle()
            before_s = certless.cpu_s()
            if name == "classic":
                seconds = await classic_logins(classic, amount)
            else:
                seconds = await hardened_logins(hardened, amount)
            cpu_us = (certless.cpu_s() - before_s) / amount * 1e6
            rows[name].add(rate=amount / seconds, cpu_us=cpu_us)
            progress(f"round {number + 1}: logins, {name}: {amount / seconds:,.0f}/s")
        command = python("bench.probes", "keygen", str(size.of(_PAIRS, 1)))
        pairs_per_s = probe(one.core, command)["pairs_per_s"]
        row = rows.setdefault("RSA pairs of one thread", Row())
        row.add(rate=pairs_per_s, cpu_us=1e6 / pairs_per_s)
    return rows
