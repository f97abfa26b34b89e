"""``certless vault serve``: a gateway whose only application is the vault."""

import argparse
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gateway.config.arguments import add_arguments
from gateway.config.options import default_of
from gateway.errors import ConfigError
from gateway.options import SetupOptions
from vault.core.errors import VaultError

if TYPE_CHECKING:
    from aiohttp import web

# The options of ``serve`` that are about an API behind the gateway, or about several processes.
_OF_SERVE = ("upstream", "upstream_host", "targets", "workers")
_SUITE = "ecdh-gcm"


def add(actions: Any) -> None:
    """Add the command to those of ``certless vault``."""
    serving = actions.add_parser("serve", help="run a gateway with the vault behind it")
    add_store_arguments(serving)
    serving.add_argument(
        "--apply-interval",
        metavar="SECONDS",
        type=float,
        default=600,
        help="apply the changes of blocks that wait after this time (default 600)",
    )
    serving.add_argument(
        "--apply-size",
        metavar="CHANGES",
        type=int,
        default=1_000,
        help="or when there are so many of them (default 1000)",
    )
    serving.add_argument(
        "--ids-per-hour",
        metavar="IDS",
        type=int,
        default=200_000,
        help="how many ids of blocks a user can reserve in an hour (default 200000)",
    )
    add_arguments(serving, without=_OF_SERVE)
    serving.set_defaults(run=_serve, errors=(VaultError,), **dict.fromkeys(_OF_SERVE))


def add_store_arguments(parser: Any) -> None:
    """The options of the commands that open the store of a vault."""
    parser.add_argument(
        "--database",
        metavar="URL",
        default="sqlite:vault.db",
        help="sqlite:PATH or postgresql://USER@HOST/NAME (default sqlite:vault.db)",
    )
    parser.add_argument(
        "--vault-key-file",
        metavar="FILE",
        help="the key of the vault's server (default, for SQLite: PATH.key)",
    )
    parser.add_argument(
        "--pool",
        metavar="URL",
        help="redis://HOST:PORT/DB for the changes of blocks that wait (default: a table)",
    )
    parser.add_argument(
        "--frame",
        metavar="SECONDS",
        type=int,
        default=31_557_600,
        help="data lives for one to two of these after its last use (default 31557600, a year)",
    )


def store_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``vault.setup`` for these options."""
    return {
        "database": arguments.database,
        "key_file": arguments.vault_key_file,
        "pool": arguments.pool,
        "frame_s": arguments.frame,
    }


async def _serve(arguments: argparse.Namespace) -> int:
    # Here, because the other commands of the vault need no server.
    from gateway.service.serve import serve  # noqa: PLC0415

    of_vault = {
        **store_options(arguments),
        "apply_interval_s": arguments.apply_interval,
        "apply_size": arguments.apply_size,
        "ids_per_hour": arguments.ids_per_hour,
    }
    make = partial(_application, of_vault)
    return await serve(arguments, make=make, behind="the vault")


def _application(of_vault: dict[str, Any], options: dict[str, Any]) -> "web.Application":
    """``of_vault`` are options of ``vault.setup``. Raises: ConfigError."""
    from aiohttp import web  # noqa: PLC0415

    import certless  # noqa: PLC0415
    from gateway.build import people  # noqa: PLC0415
    from gateway.mail.notices import MailedNotices  # noqa: PLC0415
    from gateway.service.options import setup_options  # noqa: PLC0415

    try:
        from vault.server.setup import DEFAULT_PREFIX, setup  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(f"the vault needs {error.name}: pip install 'certless[vault]'") from None
    for name in _OF_SERVE:
        options.pop(name, None)
    chosen = setup_options(options)
    # Each sealed message here is a call of the vault.
    chosen.setdefault("private_profile", True)
    users, mail = people(cast(SetupOptions, chosen))
    # They are part of ``mail`` now.
    chosen.pop("channels", None)
    chosen.update(users=users, mail=mail)
    demands = {**chosen.get("require", {}), f"{DEFAULT_PREFIX}/*": _SUITE}
    notices = MailedNotices(users, mail, chosen["site"])
    app = web.Application()
    setup(
        app,
        **of_vault,
        usernames=_usernames(users),
        realm=chosen.get("realm", default_of("realm")),
        notify=lambda username, notice: notices.send(username, notice.subject, notice.text),
    )
    certless.setup(app, **{**chosen, "require": demands})
    return app


def _usernames(users: Any) -> Any:
    """The names of the users, if there is a list of them."""
    from gateway.users.directory import TomlDirectory  # noqa: PLC0415

    if not isinstance(users, TomlDirectory):
        return None

    async def names() -> AsyncIterator[str]:
        for account in list(users.accounts):
            yield account.name

    return names
