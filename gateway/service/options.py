"""The options of ``serve``: those of the command line, then those of gateway.toml."""

import argparse
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.adapters.aiohttp.setup import reverse_proxy
from gateway.config.arguments import given_options
from gateway.config.file import read_config
from gateway.config.options import OPTIONS, default_of
from gateway.config.settings import find_dialect
from gateway.errors import ConfigError
from gateway.users.directory import AnyAddress


def service_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of gateway.toml, and over them the arguments. Raises: ConfigError.

    ``listen``, ``site``, ``suites``, ``store`` and ``workers`` are always set.
    """
    options = read_config(Path(arguments.config)) if arguments.config else {}
    given = given_options(arguments)
    if "users" in given or "any_address" in given:
        options.pop("users", None)
        options.pop("any_address", None)
    options.update(given)
    for name in ("listen", "store", "workers"):
        options.setdefault(name, default_of(name))
    options.setdefault("suites", list(default_of("suites")))
    host, port = host_and_port(options["listen"])
    options.setdefault("site", f"the service at {host}:{port}")
    _check_workers(options["workers"], options["store"])
    return options


def _check_workers(count: int, store: str) -> None:
    OPTIONS["workers"].check("workers", count)
    if count > 1 and store == "memory:":
        raise ConfigError(
            f"{count} workers need a store that they can share, and memory: belongs to one "
            "process: set --store sqlite:PATH or redis://HOST:PORT"
        )


def host_and_port(listen: str) -> tuple[str, int]:
    """``HOST:PORT`` in its parts. Raises: ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"listen {listen!r} must be HOST:PORT, e.g. {default_of('listen')}")
    return host.strip("[]"), int(port)


def setup_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options for ``certless.setup``; takes some out of ``options``. Raises: ConfigError."""
    dialects = options.pop("dialects", {})
    dialect = options.pop("dialect", None) or default_of("dialect")
    any_address = options.pop("any_address", None)
    users = options.pop("users", None)
    if bool(any_address) == bool(users):
        raise ConfigError("say who can log in: set either --users FILE or --any-address")
    _must_be_set(options, "mail", "console:")
    who = AnyAddress() if any_address else users
    return {**options, "users": who, "dialect": find_dialect(dialect, dialects)}


def application(options: dict[str, Any]) -> web.Application:
    """The gateway with these ``options`` (without ``listen``); empties some of them.

    Raises: ConfigError.
    """
    options.pop("workers", None)
    chosen = setup_options(options)
    _must_be_set(options, "upstream", "http://127.0.0.1:9000")
    return reverse_proxy(**chosen)


def _must_be_set(options: dict[str, Any], name: str, example: str) -> None:
    """Raises: ConfigError."""
    if not options.get(name):
        raise ConfigError(f"--{name} is missing, e.g. --{name} {example}")
