"""The server is killed like ``kill -9`` at the steps of a rekey: the old or the new secrets open.

VAULT_KILLS sets how many steps are tried; a sample of them is enough for each run of the tests.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from mailboxes import a_free_port, codes_in, eventually
from processes import ROOT, python, until_listening
from vault_peer import VaultPeer

from certless import Client
from certless.client import ClientError
from protocol.common.primitives import sha256
from vault.core.sealed_values import Note

KILLS = int(os.environ.get("VAULT_KILLS", "5"))
PROGRAM = str(ROOT / "tests" / "support" / "vault_process.py")


@dataclass
class Machine:
    """The files of a server that is killed and started again."""

    database: str
    key_file: Path
    mails: Path

    @asynccontextmanager
    async def server(
        self, kill_at: int = -1
    ) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
        """A process, and its URL."""
        port = a_free_port()
        arguments = (str(port), self.database, str(self.key_file), str(self.mails), str(kill_at))
        async with python(PROGRAM, *arguments) as process:
            await until_listening(port, process)
            yield f"http://127.0.0.1:{port}", process

    @asynccontextmanager
    async def peer(self, url: str) -> AsyncIterator[VaultPeer]:
        """A new session."""
        before = len(codes_in(self.mails))

        async def code() -> str:
            await eventually(lambda: len(codes_in(self.mails)) > before)
            return codes_in(self.mails)[-1]

        async with Client(url, timeout_s=20) as client:
            await client.login("ann@example.org", code=code)
            yield VaultPeer(client)


async def rekey(peer: VaultPeer, password: str) -> None:
    """A new account key with a new password, and the same note and device."""
    sealed, note = await peer.sealed_note(), await peer.note()
    assert sealed is not None
    devices = [device.id for device in (await peer.state()).devices]
    change, _, key = peer.rekey(password, note, sha256(sealed), devices)
    digest = await peer.stage(change)
    assert await peer.staged() == change
    await peer.commit(digest)
    peer.key = key


async def steps_of(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/steps") as response:
        return int(await response.text())


async def test_after_a_kill_at_any_step_the_old_or_the_new_secrets_open(
    vault_url: str, vault_key: Path, tmp_path: Path
) -> None:
    machine = Machine(vault_url, vault_key, tmp_path / "mails")
    password = "the first"
    async with machine.server() as (url, _), machine.peer(url) as ann:
        await ann.create(password)
        assert (await ann.write_note("kept")).status == 204
        await ann.put_device(opens=False)
        await rekey(ann, "the second")
        password = "the second"
        total = await steps_of(url)
    assert total > 20
    outcomes = set()
    steps = sorted({round(number * (total - 1) / (KILLS - 1)) for number in range(KILLS)})
    for step in steps:
        new = f"after step {step}"
        async with machine.server(step) as (url, process), machine.peer(url) as ann:
            assert await ann.unlock(password)
            with contextlib.suppress(ClientError):
                await rekey(ann, new)
            async with asyncio.timeout(20):
                assert await process.wait() == -9, step
        async with machine.server() as (url, _), machine.peer(url) as again:
            opened = [one for one in (new, password) if await again.unlock(one)]
            assert len(opened) == 1, step
            outcomes.add(opened == [new])
            password = opened[0]
            assert await again.unlock(password)
            note = await again.note()
            assert note == Note(1, "kept")
            assert len((await again.state()).devices) == 1
    # The sample has steps before and after the commit.
    assert outcomes == {False, True}
