"""Flame graphs of the message path, by py-spy: ``python -m bench.profile [--quick] [FOLDER]``.

Two gateways answer ``ecdh-gcm`` messages of 1 KiB: ``serve`` as a reverse proxy, and aiohttp in the
same process. py-spy samples each while wrk sends messages. Open the SVG in a browser.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from bench.hardened_target import HardenedTarget, MailedTarget
from bench.load import ROUND_S, sealed, send, warm_up
from bench.messages import Bench, bench
from bench.nginx import nginx
from bench.results import ROOT, Size, progress

PY_SPY = str(Path(sys.executable).with_name("py-spy"))
SAMPLES_PER_S = 500
_SECONDS = 15
_QUICK_S = 1
_BY = ("bench.traceable",)


async def record(target: HardenedTarget, size: Size, path: Path) -> None:
    """Sample the server while it answers. Raises: SystemExit, if py-spy fails."""
    seconds = size.of(_SECONDS, _QUICK_S)
    count = await warm_up(target, size) * seconds * 2 // ROUND_S
    async with sealed(target, count) as corpus:
        sending = asyncio.create_task(send(target, corpus, count))
        spy = await asyncio.create_subprocess_exec(
            *(
                str(Path(sys.executable).with_name("py-spy")),
                "record",
                "--format",
                "flamegraph",
                "--rate",
                str(SAMPLES_PER_S),
            ),
            *("--duration", str(seconds), "--pid", str(target.server.pid), "--output", str(path)),
            stdout=sys.stderr,
        )
        try:
            status = await spy.wait()
        finally:
            sending.cancel()
            await asyncio.wait([sending])
    if status:
        sys.exit("py-spy failed: if the system forbids it to read a process, run this as root")
    progress(f"wrote {path}")


async def profile(one: Bench, size: Size, folder: Path) -> None:
    """``serve``, then aiohttp in process."""
    upstream = await one.stack.enter_async_context(nginx(one.folder, one.load_core))
    served = MailedTarget(one.serve(upstream, by=_BY), one.http, one.folder)
    await record(served, size, Path(folder, "serve.svg"))
    certless = await one.python(*_BY, "bench.server", "--certless")
    await record(
        HardenedTarget(certless, one.http, "ecdh-gcm"), size, Path(folder, "in_process.svg")
    )


async def run(size: Size, folder: Path) -> None:
    async with bench() as one:
        await profile(one, size, folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profile")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "profile")
    parser.add_argument("--quick", action="store_true", help="show that it works")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(Size(args.quick), args.folder))


if __name__ == "__main__":
    main()
