"""Large bodies through the mapped mode of ``certless connect``, beside two plain proxies.

Upstream, gateway and connect are processes of their own and share the cores with the client. Growth
is that of the peak memory (VmHWM) by the transfer, after a small one.
"""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from bench.hops import MIB, pieces
from bench.mails import mailed_code
from bench.processes import Process, gateway, python, started
from bench.results import ROOT, Row, Rows, Size, progress

DIRECTIONS = ("down", "up")
_WARM_MIB = 1
_LOGIN = "/.gateway/connect/login"


@dataclass(frozen=True, slots=True)
class Chain:
    """Where the client sends to, and the two processes in front of the upstream, nearest first."""

    url: str
    headers: Mapping[str, str]
    processes: tuple[Process, Process]


@dataclass(frozen=True, slots=True)
class Figures:
    """One transfer. Memory is in MiB, for each process."""

    seconds: float
    peaks: tuple[float, ...]
    growths: tuple[float, ...]


@contextmanager
def plain(upstream: str) -> Iterator[Chain]:
    """Two reverse proxies without a seal."""
    with (
        started("bench.hops", "proxy", upstream) as far,
        started("bench.hops", "proxy", far.url) as near,
    ):
        yield Chain(near.url, {}, (near, far))


@contextmanager
def sealed(upstream: str) -> Iterator[Chain]:
    """``connect`` in front of ``serve``, with a browser that has logged in."""
    with (
        tempfile.TemporaryDirectory() as folder,
        gateway(upstream, mails=folder) as far,
        _connect(far.url, folder) as (near, door),
    ):
        yield Chain(near.url, asyncio.run(_log_in(near.url, door, Path(folder))), (near, far))


@contextmanager
def _connect(site: str, folder: str) -> Iterator[tuple[Process, URL]]:
    with subprocess.Popen(
        python("certless", "connect", site, "--port", "0"),
        env={**os.environ, "XDG_STATE_HOME": folder},
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        try:
            assert process.stdout is not None
            door = URL(process.stdout.readline().decode().strip())
            yield Process(f"http://127.0.0.1:{door.port}", process.pid), door
        finally:
            process.kill()


async def _log_in(url: str, door: URL, mails: Path) -> dict[str, str]:
    """The headers of the browser that was admitted."""
    headers = {"Host": door.authority, "Origin": str(door.origin())}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        entered = await http.get(url + door.raw_path_qs, headers=headers, allow_redirects=False)
        headers["Cookie"] = entered.headers["Set-Cookie"].partition(";")[0]
        await http.post(url + _LOGIN, data={"address": "ann@example.org"}, headers=headers)
        _, code = await mailed_code(mails)
        done = await http.post(
            url + _LOGIN, data={"code": code}, headers=headers, allow_redirects=False
        )
        assert done.status == 303
    return headers


async def transfer(chain: Chain, direction: str, mib: int) -> Figures:
    """``mib`` MiB, after a small transfer."""
    timeout = aiohttp.ClientTimeout()
    async with aiohttp.ClientSession(timeout=timeout, headers=chain.headers) as http:
        await _once(http, chain.url, direction, _WARM_MIB)
        before = [process.peak_mib() for process in chain.processes]
        started_s = time.monotonic()
        await _once(http, chain.url, direction, mib)
        seconds = time.monotonic() - started_s
    peaks = tuple(process.peak_mib() for process in chain.processes)
    growths = tuple(peak - was for peak, was in zip(peaks, before, strict=True))
    return Figures(seconds, peaks, growths)


async def _once(http: aiohttp.ClientSession, url: str, direction: str, mib: int) -> None:
    """Raises: RuntimeError, if not all bytes have come."""
    if direction == "up":
        # With a length, as browsers send files.
        length = {"Content-Length": str(mib * MIB)}
        async with http.put(f"{url}/up", data=pieces(mib), headers=length) as response:
            size = int(await response.text())
    else:
        size = 0
        async with http.get(f"{url}/down?mib={mib}") as response:
            async for chunk in response.content.iter_any():
                size += len(chunk)
    if size != mib * MIB:
        raise RuntimeError(f"{size} bytes of {mib} MiB came")


def transfers(size: Size) -> Rows:
    """Bodies of 1 GiB, in turn."""
    mib, rows = size.of(1024, 2), {}
    with (
        started("bench.hops", "upstream") as upstream,
        plain(upstream.url) as without,
        sealed(upstream.url) as within,
    ):
        for direction in DIRECTIONS:
            for kind, chain in (("plain", without), ("`connect`", within)):
                figures = asyncio.run(transfer(chain, direction, mib))
                row = rows[f"{kind}: {mib} MiB {direction}"] = Row()
                row.add(
                    rate=mib / figures.seconds,
                    near_mib=figures.peaks[0],
                    near_growth_mib=figures.growths[0],
                    far_mib=figures.peaks[1],
                    far_growth_mib=figures.growths[1],
                )
                progress(f"{kind}: {mib} MiB {direction}: {mib / figures.seconds:.0f} MiB/s")
    return rows
