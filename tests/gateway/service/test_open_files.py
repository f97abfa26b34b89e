"""A gateway that may not open more files: it says so, and serves again when it may."""

import asyncio
import contextlib
import resource
import sys
from pathlib import Path

import aiohttp
import pytest
from mailboxes import a_free_port, eventually
from processes import ROOT, program, until_listening

from gateway.service.open_files import LoopErrorLog, allow_all_files


async def test_too_many_connections_do_not_flood_the_log(tmp_path: Path) -> None:
    port, log = a_free_port(), tmp_path / "log"
    command = (
        f"ulimit -n 64; exec {sys.executable} -m gateway serve --listen 127.0.0.1:{port} "
        f"--upstream http://127.0.0.1:1 --any-address --mail dir:{tmp_path} --suites ecdh-gcm"
    )
    with log.open("wb") as file:
        async with program("sh", "-c", command, stderr=file, cwd=ROOT) as process:
            await until_listening(port, process)
            async with contextlib.AsyncExitStack() as lines:
                for _ in range(150):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    lines.callback(writer.close)
                await eventually(lambda: "limit of open files is reached" in log.read_text())
                # asyncio tries again each second.
                await asyncio.sleep(3)
                assert log.read_text().count("limit of open files is reached") == 1
                assert "Traceback" not in log.read_text()
            async with asyncio.timeout(30), aiohttp.ClientSession() as http:
                async with http.get(f"http://127.0.0.1:{port}/x") as answer:
                    assert answer.status == 401


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
        allow_all_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_other_errors_are_told_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    LoopErrorLog()(asyncio.get_running_loop(), {"message": "something else"})
    assert "something else" in caplog.text
