"""``certless vault doctor``: checks the data of a vault, and says what to do."""

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from gateway.doctor import Finding, Mark, fix, ok, warn
from gateway.logs import on_one_line
from vault.client import Alarm, Checked, Files

from .opened_vault import OpenedVault
from .terminal import ProgressBar
from .vault_files import CLOCK_DIFFERS, files_of, safe_until

_BLOCK_BYTES = 16 * 1024
_WHAT_TO_DO = "put it again from another copy, or get an older version from a backup"
# What ``action`` of the vault's parser does: it takes the name, the function and the help.
_AddAction = Callable[[str, Any, str], Any]


def add(action: _AddAction) -> None:
    """Add the command to those of ``certless vault``."""
    doctor = action("doctor", _doctor, "check that the service still has everything")
    doctor.add_argument(
        "--read", action="store_true", help="read all files, so that nothing has to be believed"
    )
    doctor.add_argument("-q", "--quiet", action="store_true", help="show no progress")


async def _doctor(opened: OpenedVault, arguments: argparse.Namespace) -> int:
    """Print the findings; 0 if there is nothing to fix, else 1."""
    async with files_of(opened) as files:
        bar = ProgressBar("checked", is_quiet=arguments.quiet)
        try:
            checked = await files.check(lambda blocks: bar(blocks * _BLOCK_BYTES, None))
        finally:
            bar.end()
        damaged = dict(checked.damaged)
        if arguments.read:
            damaged |= await _read_all(files, is_quiet=arguments.quiet)
        findings = [*_about_blocks(checked, is_read=arguments.read), *_about_damage(damaged)]
        if "" not in damaged:
            findings += [finding async for finding in _about_index(files)]
    devices = await opened.vault.devices()
    findings.append(ok("devices", f"{len(devices)} can open the vault: certless vault devices"))
    if opened.reset_waits:
        findings.append(fix("reset", "an empty vault was requested: certless vault reset --cancel"))
    for finding in findings:
        sys.stdout.write(f"{finding.mark:<5} {finding.about:<9} {finding.text}\n")
    return int(any(finding.mark is Mark.FIX for finding in findings))


async def _read_all(files: Files, *, is_quiet: bool) -> dict[str, str]:
    """Read all versions of all files; the name of each damaged file, and of its alarm."""
    damaged = {}
    found = await files.list()
    versions = [(file.name, version) for file in found for version in file.versions]
    whole = sum(version.size for _, version in versions)
    bar, before = ProgressBar("read", is_quiet=is_quiet), 0
    try:
        for name, version in versions:
            try:
                async for piece in files.stream(name, version=version.id):
                    before += len(piece)
                    bar(before, whole)
            except Alarm as alarm:
                damaged[name] = alarm.name
    finally:
        bar.end()
    return damaged


def _about_blocks(checked: Checked, *, is_read: bool) -> Iterator[Finding]:
    text = f"the service says that it has all {checked.blocks} blocks"
    if checked.damaged:
        text = f"the service says that it has {checked.blocks} blocks, and not all"
        yield warn("blocks", text)
    elif is_read:
        yield ok("blocks", f"{text}, and all files were read")
    else:
        yield ok("blocks", f"{text}, and has proven it for {checked.proven}; --read reads all")


def _about_damage(damaged: dict[str, str]) -> Iterator[Finding]:
    for name, alarm in damaged.items():
        if name:
            yield fix(alarm, f"{on_one_line(name)} is damaged: {_WHAT_TO_DO}")
        else:
            yield fix(alarm, "the list of the files is damaged: ask the operator for a backup")


async def _about_index(files: Files) -> AsyncIterator[Finding]:
    found = await files.list()
    yield ok("words", f"{await files.words()} (the same on each of your devices)")
    for file in found:
        if len(file.versions) > 1:
            name = on_one_line(file.name)
            yield warn("versions", f"{name} has {len(file.versions)}: keep one with resolve")
        if file.is_pending:
            yield warn("pending", f"a change of {on_one_line(file.name)} was not sent yet")
    yield ok("expiry", safe_until(files))
    if files.clock_differs:
        yield fix("clock", CLOCK_DIFFERS)
