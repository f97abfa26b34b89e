"""Real processes for tests: programs that can be killed."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


async def until_listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until a program accepts connections on ``port``."""
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            return
    raise AssertionError(f"the process ended with status {process.returncode}")


@contextlib.contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """``command``, run; ended at the latest on leaving.

    ``Popen`` as a context manager would wait for ever if a failed test leaves the process running.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def program(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """``command``, run; ended at the latest on leaving."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def python(*arguments: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python ARGUMENTS`` from the root of the project; ended at the latest on leaving."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with program(sys.executable, *arguments, cwd=ROOT, env=environment, **options) as process:
        yield process
