"""Large bodies through ``connect`` and the gateway, as processes, take limited memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from connected import ANN, Seen, a_browser, small_site
from frameworks import serving
from mailboxes import a_free_port, codes_in, eventually
from processes import program, python, until_listening
from test_command import certless
from yarl import URL

pytestmark = pytest.mark.timeout(180)

MIB = 1024 * 1024
SIZE = 64 * MIB
# A stream holds at most 256 KiB beside the buffers of sockets. The rest is what allocators keep.
MOST_GROWTH_MIB = 24


def peak_mib(process: asyncio.subprocess.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@asynccontextmanager
async def both(
    folder: Path, upstream: str
) -> AsyncIterator[tuple[URL, list[asyncio.subprocess.Process]]]:
    """The address of the door, and the processes of ``connect`` and of the gateway."""
    port, pipe = a_free_port(), asyncio.subprocess.PIPE
    users = ("--any-address", "--mail", f"dir:{folder}")
    where = ("--listen", f"127.0.0.1:{port}", "--upstream", upstream)
    async with python("-m", "gateway", "serve", *where, *users) as gateway:
        await until_listening(port, gateway)
        command, environment = certless(folder, f"http://127.0.0.1:{port}", "--port", "0")
        async with program(*command, env=environment, stdout=pipe) as connect:
            assert connect.stdout
            yield URL((await connect.stdout.readline()).decode().strip()), [connect, gateway]


async def log_in(browser: aiohttp.ClientSession, own: URL, folder: Path) -> None:
    action, headers = own / ".gateway/connect/login", {"Origin": str(own.origin())}
    await browser.post(action, data={"address": ANN}, headers=headers)
    await eventually(lambda: codes_in(folder))
    [code] = codes_in(folder)
    done = await browser.post(action, data={"code": code}, headers=headers, allow_redirects=False)
    assert done.status == 303


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536):
        yield bytes(65_536)


async def send(browser: aiohttp.ClientSession, own: URL, size: int) -> None:
    headers = {"Origin": str(own.origin()), "Content-Length": str(size)}
    answer = await browser.post(own / "up", data=pieces(size), headers=headers)
    assert (await answer.json())["length"] == size


async def load(browser: aiohttp.ClientSession, own: URL, size: int) -> None:
    answer = await browser.get((own / "down").with_query(size=size))
    assert sum([len(chunk) async for chunk in answer.content.iter_any()]) == size


async def test_memory_does_not_grow_with_a_body(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(150),
        serving(small_site(Seen())) as upstream,
        both(tmp_path, upstream) as (door, processes),
        a_browser() as browser,
    ):
        await browser.get(door, allow_redirects=False)
        await log_in(browser, door.origin(), tmp_path)
        for transfer in (load, send):
            await transfer(browser, door.origin(), 4 * MIB)
            before = [peak_mib(process) for process in processes]
            await transfer(browser, door.origin(), SIZE)
            growths = [peak_mib(one) - was for one, was in zip(processes, before, strict=True)]
            assert max(growths) < MOST_GROWTH_MIB, (transfer.__name__, growths)
