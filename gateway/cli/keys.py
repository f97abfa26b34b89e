"""``certless keys``: what seals a gateway's store, changed while the gateway runs (rotation.py)."""

import argparse
import sys
from typing import Any

from gateway.errors import ConfigError
from gateway.keys.keyring import VARIABLE
from gateway.keys.rotation import drop, records_by_key, rotate, seal_anew, seal_anew_by

from .offline_gateway import OfflineGateway, add_gateway_options

_NEW_IN_ENVIRONMENT = (
    f"No key was made: to change it, put a new one first in {VARIABLE} and leave this one second, "
    "restart every gateway, and rotate; then take this one away."
)
_OLD_IN_ENVIRONMENT = (
    f"The other keys of {VARIABLE} still open: once `keys list` shows no record under one, take it "
    "away there and restart every gateway."
)


def add_keys(commands: Any) -> None:
    """The commands and their options, for ``argparse``."""
    keys = commands.add_parser("keys", help="the keys that seal the store, and new ones")
    actions = keys.add_subparsers(metavar="list|rotate|drop", required=True)
    shown = actions.add_parser("list", help="every key by its name, and how much it seals")
    shown.set_defaults(run=_list)
    anew = actions.add_parser("rotate", help="make a new key and seal everything under it")
    anew.add_argument(
        "--no-new-key", action="store_true", help="seal everything under the first one there is"
    )
    anew.set_defaults(run=_rotate)
    old = actions.add_parser("drop", help="take out a key that seals nothing any more")
    old.add_argument("id", metavar="ID", help="as `keys list` shows it")
    old.set_defaults(run=_drop)
    for command in (shown, anew, old):
        add_gateway_options(command)


async def _list(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    keyring = gateway.keyring()
    async with gateway.store() as store:
        counted = await records_by_key(store, keyring)
    rows = [("ID", "RECORDS", "USE")]
    for place, name in enumerate(keyring.ids):
        rows.append((name, str(counted[name]), "opens" if place else "seals and opens"))
    if counted[""]:
        rows.append(("-", str(counted[""]), "none of the keys opens these"))
    sys.stdout.write("".join(f"{name:<14}{count:>7}  {use}\n" for name, count, use in rows))
    return 0


async def _rotate(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    keyring, file = gateway.keyring(), gateway.key_file()
    async with gateway.store() as store:
        if file is None:
            records = await seal_anew(store, keyring)
            _tell(f"{records} records were sealed anew, under key {keyring.ids[0]}.")
            _tell(_OLD_IN_ENVIRONMENT if len(keyring.ids) > 1 else _NEW_IN_ENVIRONMENT)
        elif arguments.no_new_key:
            records = await seal_anew_by(store, file)
            _tell(f"{records} records were sealed anew, under key {keyring.ids[0]}.")
        else:
            rotated = await rotate(store, file)
            _tell(f"New key {rotated.key}; {rotated.records} records were sealed anew, under it.")
            _tell("The former keys still open: see `keys list`, and then `keys drop`.")
    return 0


async def _drop(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    file = gateway.key_file()
    if file is None:
        raise ConfigError(
            f"the keys are in {VARIABLE}: once `keys list` shows no record under one, take it away "
            "there and restart every gateway"
        )
    async with gateway.store() as store:
        await drop(store, file, arguments.id)
    _tell(f"Key {arguments.id} is gone from the file.")
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
