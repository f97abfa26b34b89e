"""A client of files that is killed at any step: nothing is lost, and nothing is written twice."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import files_program
import pytest
from file_devices import Device, Devices

from vault.client import Files

PROGRAM = files_program.__file__
# ``make soak`` sets FILE_KILLS.
KILLS = int(os.environ.get("FILE_KILLS", "6"))


@dataclass
class Program:
    """Runs the program with one folder, as one device."""

    devices: Devices
    folder: Path
    id: bytes
    secret: bytes

    async def run(self, prefix: str, kill_at: int) -> list[str]:
        """What it printed before its end."""
        gateway = self.devices.vaults.gateway
        arguments = (gateway.url, str(self.folder), prefix, self.id.hex(), self.secret.hex())
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            PROGRAM,
            *arguments,
            str(kill_at),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            assert process.stdin is not None
            process.stdin.write((await gateway.mails.code()).encode() + b"\n")
            output, _ = await process.communicate()
        lines = output.decode().splitlines()
        # The number of steps varies a little, so a run can end before the last one.
        is_whole = bool(lines) and lines[-1].startswith("steps")
        assert process.returncode == (0 if is_whole else -9)
        assert is_whole or kill_at >= 0
        return lines


async def program(devices: Devices) -> tuple[Program, Device]:
    """The program, and another device of the same user."""
    first = await devices.device()
    device_id, secret = await first.vault.add_device("machine", "cli", can_unlock=True)
    assert secret is not None
    return Program(devices, devices.folder / "program", device_id, secret), first


async def found(files: Files, prefix: str) -> files_program.State:
    """The files of one run. Each has one version."""
    state = {}
    for file in await files.list():
        if file.name.startswith(prefix):
            assert len(file.versions) == 1
            assert not file.is_pending
            state[file.name] = await files.get(file.name)
    return state


@pytest.mark.timeout(60 + 10 * KILLS)
async def test_a_client_that_is_killed_loses_nothing(devices: Devices) -> None:
    runs, other = await program(devices)
    lines = await runs.run("whole-", -1)
    steps = int(lines[-1].split()[1])
    assert steps > 6 * 6
    expected = [{}, *(state for _, state in files_program.changes("whole-"))]
    assert await found(other.files, "whole-") == expected[-1]
    kills = 0
    for number in range(KILLS):
        kill_at = number * steps // KILLS if steps >= KILLS else number % steps
        prefix = f"{number}-"
        lines = await runs.run(prefix, kill_at)
        acknowledged = sum(line.isdigit() for line in lines)
        kills += len(lines) == acknowledged
        expected = [{}, *(state for _, state in files_program.changes(prefix))]
        # Another device sees what was acknowledged, and perhaps the change under way.
        state = await found(other.files, prefix)
        assert state in expected[acknowledged : acknowledged + 2]
    print(f"\n{kills} kills in {steps} steps")
    assert kills >= KILLS * 0.9
    # The device goes on with its folder, and there is no alarm.
    await runs.run("last-", -1)
    assert len(await found(other.files, "last-")) == 1
