"""``certless code``: codes that an operator issues, for devices without a mailbox.

The command opens the gateway's store, which must allow a second process (SQLite or Redis).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from gateway.sessions.management import Operators
from protocol.common.codes import MAX_ISSUED_CODE_MS

from .code_batch import codes_table, read_devices
from .durations import duration_text, read_duration
from .listing import print_note
from .new_files import new_file
from .offline_gateway import NotFound, OfflineGateway, add_gateway_options

_LEAST_LIFETIME_MS = 60_000


def add(commands: Any) -> None:
    """Add the command to the parser."""
    code = commands.add_parser("code", help="issue codes by hand, for devices without a mailbox")
    actions = code.add_subparsers(metavar="issue|revoke", required=True)
    issue = actions.add_parser("issue", help="print a code that replaces the next mail")
    whom = issue.add_mutually_exclusive_group(required=True)
    whom.add_argument("name", metavar="NAME", nargs="?", help="user name")
    whom.add_argument(
        "--batch", metavar="FILE", help="CSV file with the columns name and device: a code for each"
    )
    issue.add_argument(
        "--device", metavar="NAME", help="the device of the user that the code is for"
    )
    issue.add_argument(
        "--lifetime",
        metavar="TIME",
        default="10m",
        help="how long the codes are valid, e.g. 12h or 7d (default 10m, at most 30d)",
    )
    issue.add_argument(
        "--out", metavar="FILE", help="with --batch: the new CSV file for the codes (mode 0600)"
    )
    issue.set_defaults(run=_issue)

    revoke = actions.add_parser("revoke", help="revoke an issued code")
    revoke.add_argument("name", metavar="NAME", help="user name")
    which = revoke.add_mutually_exclusive_group()
    which.add_argument("--device", metavar="NAME", help="revoke the code of this device")
    which.add_argument(
        "--all", action="store_true", help="revoke the codes of the user and of all their devices"
    )
    revoke.set_defaults(run=_revoke)
    for command in (issue, revoke):
        add_gateway_options(command)


async def _issue(arguments: argparse.Namespace) -> int:
    lifetime_ms = read_duration(
        "--lifetime", arguments.lifetime, _LEAST_LIFETIME_MS, MAX_ISSUED_CODE_MS
    )
    if arguments.batch is not None:
        return await _issue_batch(arguments, lifetime_ms)
    if arguments.out is not None:
        raise ConfigError("--out is for --batch: without it, the code goes to the standard output")
    gateway = OfflineGateway(arguments)
    user, device = await gateway.user(arguments.name, must_exist=True), arguments.device or ""

    async def work(operators: Operators) -> int:
        code = await operators.issue_code(user, lifetime_ms, device)
        # Only the code goes to stdout; the text for people goes to stderr.
        sys.stdout.write(code.text + "\n")
        print_note(
            f"For the next login of {_owner(user, device)}: valid once, for "
            f"{duration_text(lifetime_ms)}, with at most 5 attempts."
        )
        return 0

    return await gateway.operate(work)


async def _issue_batch(arguments: argparse.Namespace, lifetime_ms: int) -> int:
    if arguments.device is not None:
        raise ConfigError("--device is for one code: in a batch, the file names the devices")
    if arguments.out is None:
        raise ConfigError("say where to write the codes: --out FILE")
    gateway, out = OfflineGateway(arguments), Path(arguments.out)
    recipients = await read_devices(
        Path(arguments.batch), lambda name: gateway.user(name, must_exist=True)
    )

    async def work(operators: Operators) -> int:
        minted = [operators.mint_code(user, lifetime_ms, device) for user, device in recipients]
        with new_file(out, codes_table(minted)):
            await operators.issue(*minted)
        print_note(
            f"Wrote {len(minted)} codes to {out}: each is valid once, for "
            f"{duration_text(lifetime_ms)}, with at most 5 attempts. Delete the file after use."
        )
        return 0

    return await gateway.operate(work)


async def _revoke(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    user, device = await gateway.user(arguments.name), arguments.device or ""

    async def work(operators: Operators) -> int:
        if arguments.all:
            print_note(f"Revoked {await operators.revoke_codes(user)} codes of {user}.")
            return 0
        if not await operators.revoke_code(user, device):
            raise NotFound(f"there is no issued code for {_owner(user, device)}")
        print_note(f"The code for {_owner(user, device)} is revoked.")
        return 0

    return await gateway.operate(work)


def _owner(user: str, device: str) -> str:
    return f"device {device} of {user}" if device else user
