"""``certless vault serve``: a gateway whose only application is the vault."""

import argparse
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
    serving.add_argument(
        "--database",
        metavar="URL",
        default="sqlite:vault.db",
        help="sqlite:PATH or postgresql://USER@HOST/NAME (default sqlite:vault.db)",
    )
    serving.add_argument(
        "--vault-key-file",
        metavar="FILE",
        help="the key of the vault's server (default, for SQLite: PATH.key)",
    )
    add_arguments(serving, without=_OF_SERVE)
    serving.set_defaults(run=_serve, errors=(VaultError,), **dict.fromkeys(_OF_SERVE))


async def _serve(arguments: argparse.Namespace) -> int:
    # Here, because the other commands of the vault need no server.
    from gateway.service.serve import serve  # noqa: PLC0415

    make = partial(_application, arguments.database, arguments.vault_key_file)
    return await serve(arguments, make=make, behind="the vault")


def _application(database: str, key_file: str | None, options: dict[str, Any]) -> "web.Application":
    """Raises: ConfigError."""
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
    users, mail = people(cast(SetupOptions, chosen))
    # They are part of ``mail`` now.
    chosen.pop("channels", None)
    chosen.update(users=users, mail=mail)
    demands = {**chosen.get("require", {}), f"{DEFAULT_PREFIX}/*": _SUITE}
    notices = MailedNotices(users, mail, chosen["site"])
    app = web.Application()
    setup(
        app,
        database=database,
        key_file=key_file,
        realm=chosen.get("realm", default_of("realm")),
        notify=lambda username, notice: notices.send(username, notice.subject, notice.text),
    )
    certless.setup(app, **{**chosen, "require": demands})
    return app
