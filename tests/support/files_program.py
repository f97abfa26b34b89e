"""A client of files in a process of its own, which dies at a chosen step.

``python files_program.py URL FOLDER PREFIX DEVICE SECRET KILL_AT``: it reads the code of its login
from the standard input. Its steps are each request, before and after it, and each write of a state
to the disk. It kills itself like ``kill -9`` before step KILL_AT, or never if that is -1. It prints
the number of each change that has succeeded, and the number of steps at the end.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from certless import Client
from certless.client.private_files import write_private
from vault.client import Files, Vault
from vault.client.storage import folder

FIRST, SECOND = b"a" * 60_000, b"b" * 40_000
State = dict[str, bytes]


def changes(prefix: str) -> list[tuple[Callable[[Files], Awaitable[Any]], State]]:
    """Each change, and the files after it."""
    a, b, c = (prefix + name for name in "abc")
    edited = FIRST[:30_000] + b"!" + FIRST[30_000:]
    return [
        (lambda files: files.put(a, FIRST), {a: FIRST}),
        (lambda files: files.edit(a, 30_000, 30_000, b"!"), {a: edited}),
        (lambda files: files.put(b, "note", kind="note"), {a: edited, b: b"note"}),
        (lambda files: files.put(a, SECOND), {a: SECOND, b: b"note"}),
        (lambda files: files.remove(b), {a: SECOND}),
        (lambda files: files.rename(a, c), {c: SECOND}),
    ]


class Steps:
    """Counts the steps, and dies at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self._kill_at = kill_at

    def __call__(self) -> None:
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


class Counted(Client):
    """A client whose requests are steps, once there are ``steps``."""

    steps: Steps | None = None

    async def _send(self, inside: Any) -> Any:
        if self.steps:
            self.steps()
        response = await super()._send(inside)
        if self.steps:
            self.steps()
        return response


async def main(url: str, path: Path, prefix: str, device: bytes, secret: bytes, at: int) -> None:
    steps = Steps(at)

    def writing(file: Path, content: bytes) -> None:
        steps()
        write_private(file, content)
        steps()

    async with Counted(url) as client:
        await client.login("ann@example.org", code=sys.stdin.readline)
        vault = Vault(client)
        await vault.unlock_device(device, secret)
        async with vault.files(path) as files:
            await files.list()
            client.steps = steps
            with patch.object(folder, "write_private", writing):
                for number, (change, _) in enumerate(changes(prefix), 1):
                    await change(files)
                    print(number, flush=True)
    print("steps", steps.count, flush=True)


if __name__ == "__main__":
    given_url, given_path, given_prefix, given_device, given_secret, kill_at = sys.argv[1:]
    secrets = bytes.fromhex(given_device), bytes.fromhex(given_secret)
    asyncio.run(main(given_url, Path(given_path), given_prefix, *secrets, int(kill_at)))
