"""``certless ticket`` and ``certless devices``: tickets for a factory, and the list of devices.

The commands open the gateway's store, which must allow a second process (SQLite or Redis).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from gateway.config.arguments import add_argument
from gateway.keys.operator_key import operator_key
from gateway.logs import on_one_line
from gateway.sessions.devices import Device, DeviceOperators

from .durations import duration_text, read_duration
from .listing import print_note, print_table, time_text
from .new_files import new_file
from .offline_gateway import NotFound, OfflineGateway, add_gateway_options
from .ticket_formats import FORMATS

_DAY_MS = 86_400_000
_MOST_SHELF_LIFE_MS = 3650 * _DAY_MS
_HEAD = ("ID", "SUITE", "SEEN", "UNTIL", "REVOKED", "DEVICE", "USER")


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    ticket = commands.add_parser("ticket", help="make tickets for devices, without a login")
    actions = ticket.add_subparsers(metavar="issue", required=True)
    issue = actions.add_parser("issue", help="write a ticket to a file, to be put on one device")
    issue.add_argument("name", metavar="NAME", help="user name")
    issue.add_argument("--device", metavar="NAME", help="the device of the user that gets it")
    issue.add_argument(
        "--out", metavar="FILE", required=True, help="the new file for the ticket (mode 0600)"
    )
    issue.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="header",
        help="header or raw for the C client, json for the Python client (default header)",
    )
    issue.add_argument(
        "--shelf-life",
        metavar="TIME",
        default="180d",
        help="how long the ticket is valid before its first use (default 180d, at most 3650d)",
    )
    add_argument(issue, "realm")
    issue.set_defaults(run=_issue)

    devices = commands.add_parser("devices", help="list and revoke devices")
    actions = devices.add_subparsers(metavar="list|revoke|key", required=True)
    shown = actions.add_parser("list", help="list the devices that have a name")
    shown.set_defaults(run=_list)
    revoke = actions.add_parser(
        "revoke", help="revoke the tickets and the code of a device, and end its session"
    )
    revoke.add_argument("name", metavar="NAME", help="user name")
    revoke.add_argument("device", metavar="DEVICE", help="name of the device")
    revoke.set_defaults(run=_revoke)
    key = actions.add_parser("key", help="print the key for the devices on the admin page")
    key.set_defaults(run=_key)
    for command in (issue, shown, revoke, key):
        add_gateway_options(command)


async def _issue(arguments: argparse.Namespace) -> int:
    shelf_life_ms = read_duration(
        "--shelf-life", arguments.shelf_life, _DAY_MS, _MOST_SHELF_LIFE_MS
    )
    gateway, out = OfflineGateway(arguments), Path(arguments.out)
    user, realm = await gateway.ticket_user(arguments.name), gateway.realm(arguments.realm)

    async def work(operators: DeviceOperators) -> int:
        minted = operators.mint_ticket(user, arguments.device or "", realm, shelf_life_ms)
        with new_file(out, FORMATS[arguments.format](minted.ticket)):
            await operators.issue_ticket(minted)
        print_note(
            f"Wrote a ticket of {user} to {out}: for one device, valid for "
            f"{duration_text(shelf_life_ms)} until its first use. Delete the file after use."
        )
        return 0

    return await gateway.operate(work)


async def _list(arguments: argparse.Namespace) -> int:
    async def work(operators: DeviceOperators) -> int:
        print_table(_HEAD, map(_row, await operators.devices()))
        return 0

    return await OfflineGateway(arguments).operate(work)


def _row(device: Device) -> tuple[str, ...]:
    seen = time_text(device.seen_ms) if device.seen_ms else "never"
    revoked = "yes" if device.is_revoked else "no"
    until = time_text(device.expires_ms)
    return device.id, device.suite, seen, until, revoked, device.name, on_one_line(device.owner)


async def _key(arguments: argparse.Namespace) -> int:
    # As a pipe reads it; the text for people goes to stderr.
    sys.stdout.write(operator_key(OfflineGateway(arguments).keyring()) + "\n")
    print_note("It shows and revokes devices on the admin page. Keep it secret.")
    return 0


async def _revoke(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    user, name = await gateway.user(arguments.name), arguments.device

    async def work(operators: DeviceOperators) -> int:
        if not await operators.revoke_device(user, name):
            raise NotFound(f"{user} has no valid device {name}: see `devices list`")
        print_note(f"Device {name} of {user} is revoked, and its session has ended.")
        return 0

    return await gateway.operate(work)
