"""Guesses over two processes of ``certless vault serve`` on one database are counted together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from mailboxes import a_free_port
from processes import python, until_listening
from vault_command import taken_code
from vault_peer import VaultPeer

from certless import Client
from vault.core.attempts import Attempts
from vault.server.store.database import Database

ANN, PASSWORD = "ann@example.org", "correct horse battery"
GUESSES = 16


@asynccontextmanager
async def served(database: str, key_file: Path, mails: Path) -> AsyncIterator[VaultPeer]:
    """A process of its own, and a session of Ann there."""
    port = a_free_port()
    arguments = (
        *("-m", "certless", "vault", "serve", "--listen", f"127.0.0.1:{port}"),
        *("--any-address", "--mail", f"dir:{mails}"),
        *("--database", database, "--vault-key-file", str(key_file)),
    )
    async with python(*arguments) as process:
        await until_listening(port, process)
        async with Client(f"http://127.0.0.1:{port}") as client:
            code = partial(asyncio.to_thread, taken_code, mails, ANN)
            await client.login(ANN, code=code)
            yield VaultPeer(client, ANN)


async def guess(peer: VaultPeer, password: str) -> bool:
    """Whether the server proved that it knows the verifier of this password."""
    run, ours, _ = await peer.begin(password)
    return ours.verifier == run.confirm


async def test_two_processes_count_the_guesses_together(
    vault_url: str, vault_key: Path, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        # Each has its own gateway, with its own sessions.
        peers = [
            await stack.enter_async_context(served(vault_url, vault_key, tmp_path / name))
            for name in ("one", "two")
        ]
        await peers[0].create(PASSWORD)
        guesses = (guess(peers[n % 2], f"guess {n}") for n in range(GUESSES))
        assert not any(await asyncio.gather(*guesses))
        database = Database(vault_url)
        stack.push_async_callback(database.close)
        account = peers[0].account
        async with database.transaction() as at:
            attempts = await at.attempts(account)
        # The server looked at 5 of them. The others came while it waited, and count for nothing.
        assert attempts.count == 5
        assert not any([await guess(peer, PASSWORD) for peer in peers])
        async with database.transaction() as at:
            assert await at.attempts(account) == attempts
            await at.put_attempts(account, replace(attempts, waits_until_ms=0))
        assert await peers[1].unlock(PASSWORD)
        async with database.transaction() as at:
            assert await at.attempts(account) == Attempts()
