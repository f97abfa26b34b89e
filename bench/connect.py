"""``certless connect``, beside plain proxies over as many hops.

Requests: wrk asks for 1 KiB over 8 connections. Sealed: ``connect ... -- COMMAND``, then ``serve``,
then the upstream. Plain: a forward proxy and a reverse proxy of aiohttp, then the same upstream.
All share the cores. Any answer that is not 200 with the whole body is an error.
``python -m bench.connect URL SECONDS`` is the COMMAND.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from yarl import URL

from bench.connect_transfer import transfers
from bench.mails import mailed_code
from bench.processes import gateway, python, started
from bench.results import ROOT, Row, Rows, Size, progress

ROUNDS = 5
ROUND_S = 3
CONNECTIONS = 8
_ENDS_S = 30


def load(url: str, seconds: int) -> None:
    """Ask for ``url`` through the proxy of the environment: the COMMAND of ``connect``."""
    proxy = URL(os.environ["http_proxy"])
    arguments = [url]
    if proxy.user:
        credential = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        arguments.append(f"Basic {credential}")
    wrk = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", "bench/proxied.lua")
    subprocess.run([*wrk, str(proxy.with_user(None)), "--", *arguments], check=True, cwd=ROOT)


def sealed(site: str, mails: str, name: str, seconds: int) -> float:
    """The rate of wrk, run by ``connect``."""
    options = ("--login", name, "--code-stdin")
    with tempfile.TemporaryDirectory() as state:
        command = python("certless", "connect", site, *options, "--")
        with subprocess.Popen(
            [*command, *python("bench.connect", f"{site}/small", str(seconds))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": state},
        ) as process:
            try:
                _, code = asyncio.run(mailed_code(Path(mails)))
                return rate_of(process.communicate(code.encode() + b"\n", _ENDS_S)[0])
            finally:
                process.kill()


def plain(proxy: str, site: str, seconds: int) -> float:
    """The rate of wrk through a plain proxy."""
    return rate_of(
        subprocess.run(
            python("bench.connect", f"{site}/small", str(seconds)),
            stdout=subprocess.PIPE,
            check=True,
            cwd=ROOT,
            env={**os.environ, "http_proxy": proxy},
            timeout=_ENDS_S,
        ).stdout
    )


def rate_of(output: bytes) -> float:
    """Answers a second. Raises: RuntimeError, if an answer was not right."""
    result: dict[str, float] = json.loads(output.partition(b"RESULT ")[2])
    if result["refused"] or result["errors"] or not result["answered"]:
        raise RuntimeError(f"not all answers were right: {result}")
    return result["answered"] / result["seconds"]


def connect(size: Size) -> Rows:
    """Requests a second, and transfers of large bodies."""
    rows = {"plain: requests": Row(), "`connect`: requests": Row()}
    seconds = size.of(ROUND_S, 1)
    with (
        tempfile.TemporaryDirectory() as mails,
        started("bench.hops", "upstream") as behind,
        started("bench.hops", "proxy", behind.url) as reverse,
        started("bench.hops", "forward-proxy") as forward,
        gateway(behind.url, mails=mails) as own,
    ):
        for number in range(size.of(ROUNDS, 1)):
            rows["plain: requests"].add(rate=plain(forward.url, reverse.url, seconds))
            user = f"ann{number}@example.org"
            rows["`connect`: requests"].add(rate=sealed(own.url, mails, user, seconds))
            progress(
                f"round {number + 1}: "
                + ", ".join(
                    f"{name}: {row.figures['rate'][-1]:.0f}/s" for name, row in rows.items()
                )
            )
    return {**rows, **transfers(size)}


if __name__ == "__main__":
    load(sys.argv[1], int(sys.argv[2]))
