"""Real processes for tests: gateways that can be killed, and a mailbox with a real SMTP server."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until_listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until something accepts connections on ``port``."""
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
    raise AssertionError(f"the process ended with status {process.returncode}")


@asynccontextmanager
async def python(*arguments: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python ARGUMENTS`` from the root of the project; ended at the latest on leaving."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=environment, **options
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class SmtpMailbox:
    """What an SMTP server has taken in."""

    port: int
    contents: "asyncio.Queue[bytes]" = field(default_factory=asyncio.Queue)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await self.contents.put(envelope.content)
        return "250 taken"

    async def code(self) -> str:
        """The code of the next mail: the one line of 26 characters."""
        async with asyncio.timeout(20):
            lines = (await self.contents.get()).decode().splitlines()
        return next(line for line in lines if len(line) == 26 and line.isalnum())


@asynccontextmanager
async def smtp_mailbox(port: int = 0) -> AsyncIterator[SmtpMailbox]:
    """A real SMTP server on loopback."""
    mailbox = SmtpMailbox(port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox), "127.0.0.1", port)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
