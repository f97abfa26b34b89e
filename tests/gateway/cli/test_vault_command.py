"""``certless vault`` as a person uses it: a process that asks, and answers that are typed."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from vault_machines import ASKED_S, Machine
from vaults import RunningVault

PASSWORD, OTHER = "correct horse battery", "staple of horses"
# The story runs on both databases. What else a command does is the same on both.
on_sqlite = pytest.mark.parametrize("vault_url", ["sqlite"], indirect=True)


@pytest.fixture
def machine(vaults: RunningVault, tmp_path: Path) -> Machine:
    return Machine(vaults, tmp_path / "first")


async def test_a_vault_from_the_command_line(
    vaults: RunningVault, machine: Machine, tmp_path: Path
) -> None:
    await machine.run("init", answers=(PASSWORD, PASSWORD), url=True)
    assert {path.stat().st_mode & 0o777 for path in machine.folder.iterdir()} == {0o600}
    await machine.run("note", "--set", stdin="remember the milk")
    assert await machine.run("note") == "remember the milk"

    second = Machine(vaults, tmp_path / "second")
    await second.run("unlock", answers=(PASSWORD,), url=True)
    assert await second.run("note") == "remember the milk"
    listed = await second.run("devices")
    assert listed.count("command line") == 2
    assert listed.count("(this machine)") == 1

    other = next(line for line in listed.splitlines() if "(this" not in line).split()[0]
    await second.run("devices", "--sign-out", other)
    refused, text = await machine.ended("note", answers=("wrong",))
    assert refused == 1
    assert "this machine was signed out" in text

    third = Machine(vaults, tmp_path / "third")
    answers = (machine.codes[0], OTHER, OTHER)
    await third.run("recover", answers=answers, url=True)
    assert await third.run("note") == "remember the milk"


@on_sqlite
async def test_keys_change_and_machines_are_shut_out(
    vaults: RunningVault, machine: Machine, tmp_path: Path
) -> None:
    await machine.run("init", answers=(PASSWORD, PASSWORD), url=True)
    second = Machine(vaults, tmp_path / "second")
    await second.run("unlock", answers=(PASSWORD,), url=True)
    await machine.run("note", "--set", stdin="tea")
    await machine.run("passwd", answers=(OTHER, OTHER))
    await machine.run("recovery-code")
    await machine.run("devices", "--revoke", answers=(OTHER, OTHER))
    assert len(set(machine.codes)) == 3
    assert (await second.ended("note", answers=(PASSWORD,)))[0] == 1
    assert (await second.run("note", answers=(OTHER,))).endswith("tea")
    assert re.fullmatch(r"[0-9A-Z-]{34}\n", await machine.run("temporary"))

    file = tmp_path / "note.vault"
    await machine.run("export", str(file), answers=("drawer",))
    await machine.run("note", "--set", stdin="coffee")
    await machine.run("import", str(file), answers=("drawer",))
    assert await machine.run("note") == "tea"

    waits = "reset is waiting"
    assert waits not in await machine.run("note")
    await machine.run("reset")
    assert waits in await machine.run("note")
    assert waits in await machine.run("passwd", answers=(OTHER, OTHER))
    assert waits in await machine.run("devices", "--revoke", answers=(OTHER, OTHER))
    assert waits not in await machine.run("reset", "--cancel")
    assert waits not in await machine.run("note")
    status, text = await machine.ended("delete", answers=("no",))
    assert (status, "nothing was deleted" in text) == (2, True)
    await machine.run("lock")
    assert [path.name for path in machine.folder.iterdir()] == ["ticket.lock"]
    await machine.run("unlock", answers=(OTHER,), url=True)
    await machine.run("delete", answers=("DELETE",))
    assert [path.name for path in machine.folder.iterdir()] == ["ticket.lock"]


@on_sqlite
async def test_a_machine_forgets_an_account_that_was_replaced(
    vaults: RunningVault, machine: Machine, tmp_path: Path
) -> None:
    await machine.run("init", answers=(PASSWORD, PASSWORD), url=True)
    await machine.run("note", "--set", stdin="the first")
    await machine.run("note", "--set", stdin="the second")
    other = Machine(vaults, tmp_path / "other")
    await other.run("reset", url=True)
    vaults.clock.offset_ms += 8 * 86_400_000
    await other.run("init", answers=(OTHER, OTHER), url=True)
    await other.run("note", "--set", stdin="a new beginning")

    status, text = await machine.ended("note", answers=(OTHER,))
    assert status == 1
    assert "rolled back, or the account was replaced by a new one" in text
    assert "certless vault forget" in text.splitlines()[-1]
    assert "certless vault unlock" in await machine.run("forget")
    assert [path.name for path in machine.folder.iterdir()] == ["ticket.lock"]
    await machine.run("unlock", answers=(OTHER,), url=True)
    assert await machine.run("note") == "a new beginning"


@on_sqlite
async def test_errors_are_one_line(machine: Machine) -> None:
    status, text = await machine.ended("note")
    assert (status, text.count("\n")) == (2, 1)
    assert "give --url and --login" in text
    status, text = await machine.ended("init", answers=(PASSWORD, OTHER), url=True)
    assert (status, text.splitlines()[-1]) == (2, "certless: the two passwords differ: try again")
    machine.folder.mkdir(exist_ok=True)
    state = machine.folder / "state.json"
    state.write_text("{}")
    state.chmod(0o600)
    status, text = await machine.ended("note")
    assert (status, "delete it" in text) == (1, True)
    state.chmod(0o644)
    status, text = await machine.ended("note")
    assert (status, "chmod 600" in text) == (1, True)


@on_sqlite
async def test_a_note_does_not_go_through_the_arguments(machine: Machine) -> None:
    status, text = await machine.ended("note", "--set", "a secret", url=True)
    assert (status, "unrecognized arguments" in text) == (2, True)


@on_sqlite
async def test_a_note_does_not_drive_the_terminal(machine: Machine) -> None:
    await machine.run("init", answers=(PASSWORD, PASSWORD), url=True)
    await machine.run("note", "--set", stdin="a\x1b]0;title\x07\tb\x9bc\n")
    assert await machine.run("note") == "a\x1b]0;title\x07\tb\x9bc\n"
    ours, theirs = os.openpty()
    arguments = ("--state", str(machine.folder), "note")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "certless", "vault", *arguments), stdout=theirs
    )
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        async with asyncio.timeout(ASKED_S):
            assert await process.wait() == 0
        shown = terminal.read(4096).decode()
    assert shown == "a\ufffd]0;title\ufffd\tb\ufffdc\r\n"
