"""``certless keys``: changes the keys of a store while the gateway runs (rotation.py)."""

import argparse
import sys
from typing import Any

from gateway.errors import ConfigError
from gateway.keys.keyring import VARIABLE
from gateway.keys.rotation import drop, records_by_key, reseal_all, reseal_with_file, rotate

from .offline_gateway import OfflineGateway, add_gateway_options

_NEW_IN_ENVIRONMENT = (
    f"No key was created. To change the key, put a new one before this one in {VARIABLE}, restart "
    "every gateway, run `keys rotate` again, and then remove this one."
)
_OLD_IN_ENVIRONMENT = (
    f"The other keys of {VARIABLE} still open records. When `keys list` shows no records for a "
    f"key, remove it from {VARIABLE} and restart every gateway."
)


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    keys = commands.add_parser("keys", help="list, rotate and delete the keys that seal the store")
    actions = keys.add_subparsers(metavar="list|rotate|drop", required=True)
    shown = actions.add_parser("list", help="list the keys, and how many records each one seals")
    shown.set_defaults(run=_list)
    anew = actions.add_parser("rotate", help="create a new key and seal all records with it")
    anew.add_argument(
        "--no-new-key",
        action="store_true",
        help="create no key: seal all records with the first existing key",
    )
    anew.set_defaults(run=_rotate)
    old = actions.add_parser("drop", help="delete a key that seals no records")
    old.add_argument("id", metavar="ID", help="ID of the key, from `keys list`")
    old.set_defaults(run=_drop)
    for command in (shown, anew, old):
        add_gateway_options(command)


async def _list(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    keyring = gateway.keyring()
    async with gateway.store() as store:
        counted = await records_by_key(store, keyring)
    rows = [("ID", "RECORDS", "USE")]
    for number, name in enumerate(keyring.ids):
        rows.append((name, str(counted[name]), "opens" if number else "seals and opens"))
    if counted[""]:
        rows.append(("-", str(counted[""]), "no key opens these"))
    sys.stdout.write("".join(f"{name:<14}{count:>7}  {use}\n" for name, count, use in rows))
    return 0


async def _rotate(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    keyring, file = gateway.keyring(), gateway.key_file()
    async with gateway.store() as store:
        if file is None:
            records = await reseal_all(store, keyring)
            _print(f"{records} records are now sealed with key {keyring.ids[0]}.")
            _print(_OLD_IN_ENVIRONMENT if len(keyring.ids) > 1 else _NEW_IN_ENVIRONMENT)
        elif arguments.no_new_key:
            records = await reseal_with_file(store, file)
            _print(f"{records} records are now sealed with key {keyring.ids[0]}.")
        else:
            rotated = await rotate(store, file)
            _print(f"New key {rotated.key}; {rotated.records} records are now sealed with it.")
            _print("The old keys still open records: see `keys list`, then `keys drop`.")
    return 0


async def _drop(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    file = gateway.key_file()
    if file is None:
        raise ConfigError(
            f"the keys are in {VARIABLE}: when `keys list` shows no records for a key, remove it "
            "there and restart every gateway"
        )
    async with gateway.store() as store:
        await drop(store, file, arguments.id)
    _print(f"Key {arguments.id} is deleted from the file.")
    return 0


def _print(text: str) -> None:
    sys.stderr.write(text + "\n")
