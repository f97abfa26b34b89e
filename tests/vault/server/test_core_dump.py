"""A core dump of ``certless vault serve`` has no text of a note, no password and no account key."""

import asyncio
import contextlib
import mmap
import os
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
from canaries import spellings
from mailboxes import a_free_port
from processes import ROOT, program, until_listening
from vault_command import taken_code

from certless import Client
from vault.client import Vault, WrongSecret

ANN = "ann@example.org"
FIRST, SECOND, WRONG = "canary of a password", "canary of another one", "canary of a wrong one"
NOTE = "canary of a note, as long as the notes of people are"
PLANTED = "canary in the environment of the server"
WITHIN_S = 60


async def dump(process: asyncio.subprocess.Process, folder: Path) -> Path:
    """The memory of a process, as after a crash. The process goes on."""
    gcore = shutil.which("gcore")
    assert gcore, "gcore is missing: apt-get install gdb"
    path = folder / "core"
    command = (gcore, "-o", str(path), str(process.pid))
    async with program(*command, stdout=PIPE, stderr=STDOUT) as gdb:
        async with asyncio.timeout(WITHIN_S):
            output, _ = await gdb.communicate()
    assert gdb.returncode == 0, output.decode()
    return path.with_name(f"core.{process.pid}")


async def story(url: str, mails: Path) -> tuple[bytes, list[bytes]]:
    """A user's story, up to a new password. The public head key, and what the server must not see.

    It ends with an unlock and the note, so the server has used both just before the dump.
    """

    async def code() -> str:
        return await asyncio.to_thread(taken_code, mails, ANN)

    codes: list[str] = []

    async def type_back(code: str) -> str:
        codes.append(code)
        return code

    async with Client(url) as client:
        await client.login(ANN, code=code)
        vault = Vault(client)
        await vault.create(FIRST, type_back)
        await vault.save_note(NOTE)
        vault.lock()
        with pytest.raises(WrongSecret):
            await vault.unlock(WRONG)
        await vault.unlock(FIRST)
        assert await vault.note() == NOTE
        await vault.change_password(SECOND)
        codes.append(await vault.temporary_key())
        vault.lock()
        await vault.unlock(SECOND)
        assert await vault.note() == NOTE
        key = vault._key
        assert key is not None
        texts = [FIRST, SECOND, WRONG, NOTE, *codes]
        keys = [key.n, key.derived("note"), key.derived("devices")]
        vault.lock()
    return key.head.public, [*(text.encode() for text in texts), *keys]


def sealed_note(database: Path) -> bytes:
    """The note as the server keeps it."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        ((note,),) = opened.execute("SELECT note FROM vault_notes")
    return bytes(note)


async def test_a_core_dump_has_only_what_the_server_may_see(tmp_path: Path) -> None:
    mails, database, port = tmp_path / "mails", tmp_path / "vault.db", a_free_port()
    arguments = (
        *("-m", "bench.traceable", "certless", "vault", "serve"),
        *("--listen", f"127.0.0.1:{port}", "--any-address", "--mail", f"dir:{mails}"),
        *("--database", f"sqlite:{database}"),
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PLANTED": PLANTED}
    async with program(sys.executable, *arguments, cwd=ROOT, env=environment) as process:
        await until_listening(port, process)
        head, hidden = await story(f"http://127.0.0.1:{port}", mails)
        core = await dump(process, tmp_path)
    note = sealed_note(database)
    with core.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:

        def has(value: bytes) -> bool:
            return any(memory.find(spelling) >= 0 for spelling in spellings(value))

        # The search finds what the server has had: its environment, the head key, the sealed note.
        for seen in (PLANTED.encode(), ANN.encode(), head, note[:64]):
            assert has(seen), seen
        for secret in hidden:
            assert not has(secret), secret
