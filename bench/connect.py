"""Requests per second through ``certless connect``, beside plain proxies over as many hops.

``python -m bench.connect``. wrk asks for 1 KiB over 8 connections. Sealed: ``connect ... --
COMMAND``, then ``serve``, then the upstream. Plain: a forward proxy and a reverse proxy of aiohttp,
then the same upstream. All share the cores. The rounds are interleaved, and a figure is the median.
Any answer that is not 200 with the whole body is an error.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from yarl import URL

from bench.processes import gateway, started
from bench.streams import mailed_text
from bench.targets import ROOT
from protocol.common.codes import Code
from protocol.common.typed_codes import read_code

ROUNDS = 5
ROUND_S = 3
CONNECTIONS = 8
_ENDS_S = 30


def load(url: str) -> None:
    """Ask for ``url`` through the proxy of the environment: the COMMAND of ``connect``."""
    proxy = URL(os.environ["http_proxy"])
    arguments = [url]
    if proxy.user:
        credential = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        arguments.append(f"Basic {credential}")
    wrk = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S}s", "-s", "bench/proxied.lua")
    subprocess.run([*wrk, str(proxy.with_user(None)), "--", *arguments], check=True, cwd=ROOT)


def command_for(url: str) -> list[str]:
    return [sys.executable, "-m", "bench.connect", "load", f"{url}/small"]


def sealed(site: str, mails: str, name: str) -> float:
    """The rate of wrk, run by ``connect``."""
    options = ("--login", name, "--code-stdin")
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "XDG_STATE_HOME": state}
        command = [sys.executable, "-m", "certless", "connect", site, *options, "--"]
        with subprocess.Popen(
            [*command, *command_for(site)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        ) as process:
            try:
                code = read_code(asyncio.run(mailed_text(Path(mails))))
                assert isinstance(code, Code)
                return rate_of(process.communicate(code.text.encode() + b"\n", _ENDS_S)[0])
            finally:
                process.kill()


def plain(proxy: str, site: str) -> float:
    """The rate of wrk through a plain proxy."""
    environment = {**os.environ, "http_proxy": proxy}
    return rate_of(
        subprocess.run(
            command_for(site),
            stdout=subprocess.PIPE,
            check=True,
            cwd=ROOT,
            env=environment,
            timeout=_ENDS_S,
        ).stdout
    )


def rate_of(output: bytes) -> float:
    """Answers a second. Raises: RuntimeError, if an answer was not right."""
    result: dict[str, float] = json.loads(output.partition(b"RESULT ")[2])
    if result["refused"] or result["errors"] or not result["answered"]:
        raise RuntimeError(f"not all answers were right: {result}")
    return result["answered"] / result["seconds"]


def main() -> None:
    rates: dict[str, list[float]] = {"plain": [], "sealed": []}
    with (
        tempfile.TemporaryDirectory() as mails,
        started("bench.hops", "upstream") as behind,
        started("bench.hops", "proxy", behind.url) as reverse,
        started("bench.hops", "forward-proxy") as forward,
        gateway(behind.url, mails) as own,
    ):
        for number in range(ROUNDS):
            rates["plain"].append(plain(forward.url, reverse.url))
            rates["sealed"].append(sealed(own.url, mails, f"ann{number}@example.org"))
            print(f"round {number + 1}: {rates['plain'][-1]:.0f}/s, {rates['sealed'][-1]:.0f}/s")
    before, after = median(rates["plain"]), median(rates["sealed"])
    print("\n| GET of 1 KiB | plain | `connect` | `connect` to plain |\n|---|--:|--:|--:|")
    print(f"| requests/s | {before:,.0f} | {after:,.0f} | {after / before:.2f} |")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["load", url]:
            load(url)
        case _:
            main()
