"""Large bodies through ``serve``: throughput and memory, beside the same transfer in plain HTTP.

Upstream, gateway (or a plain forwarding proxy) and client are processes of their own. The body has
SIZE bytes in pieces of 64 KiB, without sendfile. A row has the throughput, the share of the plain
transfer over as many hops, and the peak memory (VmHWM) of the proxy and of the client.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import aiohttp
from aiohttp import web

from certless.client import Client

MIB = 1024 * 1024
SIZE = 1024 * MIB
PIECE = bytes(64 * 1024)
_ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)")
_STARTS_S = 30


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(SIZE // len(PIECE)):
        yield PIECE


def upstream() -> web.Application:
    async def down(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in pieces():
            await response.write(piece)
        return response

    async def up(request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    app = web.Application()
    app.router.add_get("/down", down)
    app.router.add_put("/up", up)
    return app


def plain_proxy(target: str) -> web.Application:
    """Passes each request on, as the gateway does, without a seal."""

    async def forward(request: web.Request) -> web.StreamResponse:
        data = request.content.iter_any() if request.can_read_body else None
        async with http[0].request(request.method, target + request.path, data=data) as answer:
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    http: list[aiohttp.ClientSession] = []

    async def session(_: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as opened:
            http.append(opened)
            yield

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


async def client(kind: str, direction: str, url: str, mails: str) -> dict[str, float]:
    """One transfer: its seconds and the peak memory of this process."""
    if kind == "plain":
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http:
            started_s = time.monotonic()
            data = pieces() if direction == "up" else None
            method = "PUT" if direction == "up" else "GET"
            async with http.request(method, f"{url}/{direction}", data=data) as response:
                size = await _read(response.content.iter_any(), direction)
    else:
        async with Client(url) as sealed:
            await sealed.login("ann@example.org", code=lambda: _code(Path(mails)))
            started_s = time.monotonic()
            upload = pieces() if direction == "up" else None
            method = "PUT" if direction == "up" else "GET"
            async with sealed.stream(method, f"/{direction}", data=upload) as answer:
                size = await _read(answer.content, direction)
    seconds = time.monotonic() - started_s
    if size != SIZE:
        raise RuntimeError(f"{size} bytes of {SIZE} came")
    return {"seconds": seconds, "rss_mib": peak_mib("self")}


async def _read(chunks: AsyncIterator[bytes], direction: str) -> int:
    if direction == "up":
        return int(b"".join([chunk async for chunk in chunks]))
    size = 0
    async for chunk in chunks:
        size += len(chunk)
    return size


async def _code(mails: Path) -> str:
    """The text of the mail: the client finds the code in it."""
    async with asyncio.timeout(_STARTS_S):
        while True:
            for mail in await asyncio.to_thread(lambda: list(mails.glob("*.eml"))):
                content = await asyncio.to_thread(mail.read_bytes)
                await asyncio.to_thread(mail.unlink)
                return str(message_from_bytes(content, policy=default).get_content())
            await asyncio.sleep(0.05)


def peak_mib(process: int | str) -> float:
    status = Path(f"/proc/{process}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def started(*command: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address and its number."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert process.stdout is not None
        while line := process.stdout.readline().decode():
            if found := _ADDRESS.search(line):
                yield found[1], process.pid
                return
        raise RuntimeError(f"{command} did not start")
    finally:
        process.kill()
        process.wait()


def main() -> None:
    print(f"{SIZE // MIB} MiB in pieces of 64 KiB\n")
    print("| | MiB/s | to plain (aim 0.5) | proxy MiB | client MiB |\n|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder, started(__file__, "upstream") as (behind, _):
        gateway = (
            *("-m", "gateway", "serve", "--listen", "127.0.0.1:0", "--upstream", behind),
            *("--any-address", "--mail", f"dir:{folder}"),
        )
        plain_rates: dict[str, float] = {}
        for kind, command in (("plain", (__file__, "proxy", behind)), ("sealed", gateway)):
            for direction in ("down", "up"):
                with started(*command) as (url, number):
                    told = subprocess.run(
                        [sys.executable, __file__, "client", kind, direction, url, folder],
                        stdout=subprocess.PIPE,
                        check=True,
                    ).stdout
                    figures = json.loads(told)
                    rate = SIZE / MIB / figures["seconds"]
                    share = rate / plain_rates.setdefault(direction, rate)
                    print(
                        f"| {kind}, {direction} | {rate:.0f} | {share:.2f} "
                        f"| {peak_mib(number):.0f} | {figures['rss_mib']:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["upstream"]:
            asyncio.run(_serve(upstream()))
        case ["proxy", target]:
            asyncio.run(_serve(plain_proxy(target)))
        case ["client", kind, direction, url, mails]:
            print(json.dumps(asyncio.run(client(kind, direction, url, mails))))
        case _:
            main()
