"""A device with files, as a program for tests in another language.

``python files_peer.py URL USERNAME PASSWORD FOLDER``: the first line of the input is the code of
the login. Each other line calls a method of ``Peer``: ``{"call": NAME, "with": [...]}``. The answer
is one line: ``{"result": ...}`` or ``{"error": NAME}``. Data is in base64.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from file_devices import Line, typed_back

from certless.client import ClientError
from vault.client import Files, Vault, VaultError


class Peer:
    """The calls."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._vault = Vault(line)
        self._later_s = 0.0

    def files(self, folder: Path) -> Files:
        self._files = self._vault.files(folder, clock=lambda: time.time() + self._later_s)
        return self._files

    async def unlock(self, password: str) -> None:
        await self._vault.unlock(password)

    async def rekey(self, password: str) -> None:
        await self._vault.rekey(password, typed_back)

    async def cut(self, is_cut: bool) -> None:
        self._line.is_cut = is_cut

    async def later(self, seconds: float) -> None:
        self._later_s += seconds

    async def sent(self, path: str) -> int:
        """The number of requests to ``path`` until now."""
        return sum(asked == path for asked, _ in self._line.sent)

    async def put(self, kind: Any, name: str, data: str) -> None:
        await self._files.put(name, base64.b64decode(data), kind=kind)

    async def edit(self, name: str, start: int, end: int, data: str) -> None:
        await self._files.edit(name, start, end, base64.b64decode(data))

    async def get(self, name: str, version: str | None = None) -> str:
        chosen = None if version is None else bytes.fromhex(version)
        return base64.b64encode(await self._files.get(name, version=chosen)).decode()

    async def list(self) -> Any:
        return [
            [file.kind, file.name, sorted(version.id.hex() for version in file.versions)]
            for file in await self._files.list()
        ]

    async def remove(self, name: str) -> None:
        await self._files.remove(name)

    async def resolve(self, name: str, version: str) -> None:
        await self._files.resolve(name, bytes.fromhex(version))

    async def sync(self) -> Any:
        """The changes of other devices."""
        await self._files.sync()
        return [[change.what, change.name] for change in await self._files.changes()]

    async def words(self) -> str:
        return await self._files.words()

    async def damaged(self) -> dict[str, str]:
        return (await self._files.check()).damaged


async def main(url: str, username: str, password: str, folder: Path) -> None:
    async with Line(url) as line:
        await line.login(username, code=lambda: asyncio.to_thread(sys.stdin.readline))
        peer = Peer(line)
        await peer.unlock(password)
        async with peer.files(folder):
            while asked := await asyncio.to_thread(sys.stdin.readline):
                call = json.loads(asked)
                try:
                    answer = {"result": await getattr(peer, call["call"])(*call["with"])}
                except (ClientError, VaultError) as error:
                    answer = {"error": type(error).__name__}
                print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    given_url, given_user, given_password, given_folder = sys.argv[1:]
    asyncio.run(main(given_url, given_user, given_password, Path(given_folder)))
