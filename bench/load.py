"""The load: wrk plays sealed messages, in interleaved rounds of the rows that are compared."""

import asyncio
import json
import signal
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import busy_s
from bench.results import ROOT, Row, Rows, Size, progress
from bench.targets import Target

ROUNDS = 5
ROUND_S = 2
WARM_UP_MESSAGES = 2000
QUICK_MESSAGES = 100
CONNECTIONS = 32
_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """One play of a corpus: CPU time of the server, and how many cores other programs used."""

    answered: int
    seconds: float
    cpu_s: float
    other_cores: float
    fault: str

    @property
    def rate(self) -> float:
        return self.answered / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.answered * 1e6


@asynccontextmanager
async def sealed(target: Target, count: int) -> AsyncIterator[Path]:
    """``count`` messages in a file, each after its length, for sealed.lua."""
    with tempfile.TemporaryDirectory(prefix="certless-bench-") as folder:
        path = Path(folder) / "corpus"
        with path.open("wb") as file:
            for body in await target.corpus(count):
                file.write(len(body).to_bytes(4) + body)
        target.server.wait_until_idle()
        yield path


async def play(target: Target, count: int) -> Sample:
    """Seal ``count`` messages, then send them as fast as they are answered."""
    async with sealed(target, count) as corpus:
        return await send(target, corpus, count)


async def send(target: Target, corpus: Path, count: int) -> Sample:
    """Send the messages of a file."""
    before_s, busy_before_s, began_s = target.server.cpu_s(), busy_s(), time.perf_counter()
    wrk = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{_WITHIN_S}s", "-s", "bench/sealed.lua"),
        *(target.url, "--", str(corpus), str(count), target.content_type),
        stdout=PIPE,
        cwd=ROOT,
    )
    assert wrk.stdout is not None
    try:
        async for line in wrk.stdout:
            if line == b"END\n":
                break
        cpu_s = target.server.cpu_s() - before_s
        others_s = busy_s() - busy_before_s - cpu_s
        other_cores = max(others_s, 0) / (time.perf_counter() - began_s)
        if wrk.returncode is None:
            wrk.send_signal(signal.SIGINT)
        output = await wrk.stdout.read()
    finally:
        if wrk.returncode is None:
            wrk.kill()
        await wrk.wait()
    result: dict[str, float] = json.loads(output.partition(b"RESULT ")[2] or b"{}")
    if not result.get("answered") or result["seconds"] <= 0:
        return Sample(1, 1.0, cpu_s, other_cores, f"wrk did not send all messages in {_WITHIN_S} s")
    faults = [f"{result[name]} {name}" for name in ("refused", "errors") if result[name]]
    answered, seconds = int(result["answered"]), result["seconds"]
    return Sample(answered, seconds, cpu_s, other_cores, ", ".join(faults))


async def warm_up(target: Target, size: Size) -> int:
    """Check one response, warm up; returns how many messages a round has."""
    await target.check()
    if size.quick:
        return QUICK_MESSAGES
    return round((await play(target, WARM_UP_MESSAGES)).rate * ROUND_S)


async def interleave(targets: Mapping[str, Target], size: Size) -> Rows:
    """The rate and the CPU time of each target."""
    counts = {name: await warm_up(target, size) for name, target in targets.items()}
    rows = {name: Row() for name in targets}
    for number in range(size.of(ROUNDS, 1)):
        for name, target in targets.items():
            sample = await play(target, counts[name])
            rows[name].add(sample.fault, rate=sample.rate, cpu_us=sample.cpu_us)
            progress(f"round {number + 1}: {name}: {sample.rate:,.0f}/s {sample.fault}")
    return rows
