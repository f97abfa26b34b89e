"""``certless vault sweep``: archive and delete what has expired in the database of a vault."""

import argparse
from typing import Any

from gateway.errors import ConfigError
from vault.core.errors import VaultError

from .vault_serve import add_store_arguments, store_options


def add(actions: Any) -> None:
    """Add the command to those of ``certless vault``."""
    sweeping = actions.add_parser("sweep", help="archive and delete what has expired, now")
    add_store_arguments(sweeping)
    sweeping.add_argument(
        "--confirm-clock",
        action="store_true",
        help="the time of this machine is right, although it has jumped since the last sweep",
    )
    sweeping.add_argument(
        "--rewrite",
        action="store_true",
        help="write the tables again in the order of their keys, before a backup; "
        "the vault does not answer meanwhile",
    )
    sweeping.set_defaults(run=_sweep, errors=(VaultError,))


async def _sweep(arguments: argparse.Namespace) -> int:
    try:
        from vault.server.offline import sweep  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(f"the vault needs {error.name}: pip install 'certless[vault]'") from None
    await sweep(
        **store_options(arguments),
        is_confirmed=arguments.confirm_clock,
        rewrite=arguments.rewrite,
    )
    return 0
