"""What a gateway is set up by: options of the command line over those of gateway.toml."""

import argparse
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.adapters.aiohttp.setup import reverse_proxy
from gateway.config.file import read_config
from gateway.config.settings import find_dialect
from gateway.errors import ConfigError
from gateway.policy.suites import SUITES
from gateway.users.directory import AnyAddress
from protocol.classic.dialects import DEFAULT_DIALECT

MAX_WORKERS = 256


def service_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the arguments set over the config file, by the names of gateway.toml.

    ``listen``, ``site``, ``suites`` and ``workers`` are always there. Raises: ConfigError.
    """
    options = read_config(Path(arguments.config)) if arguments.config else {}
    given = {
        "listen": arguments.listen,
        "upstream": arguments.upstream,
        "users": arguments.users,
        "any_address": arguments.any_address,
        "mail": arguments.mail,
        "mail_from": arguments.mail_from,
        "mail_helo": arguments.mail_helo,
        "site": arguments.site,
        "store": arguments.store,
        "key_file": arguments.key_file,
        "dialect": arguments.dialect,
        "public": arguments.public,
        "realm": arguments.realm,
        "suites": _suites(arguments.suites),
        "require": _demands(arguments.require),
        "targets": arguments.target,
        "trusted_proxies": arguments.trusted_proxy,
        "workers": arguments.workers,
        "admin": arguments.admin,
        "audit": arguments.audit,
    }
    if arguments.users or arguments.any_address:
        options.pop("users", None)
        options.pop("any_address", None)
    options.update({name: value for name, value in given.items() if value is not None})
    host, port = host_and_port(options.setdefault("listen", "127.0.0.1:8440"))
    options.setdefault("site", f"the service at {host}:{port}")
    options.setdefault("suites", list(SUITES))
    _check_workers(options.setdefault("workers", 1), options.get("store", "memory:"))
    return options


def _check_workers(count: int, store: str) -> None:
    if not 1 <= count <= MAX_WORKERS:
        raise ConfigError(f"workers must be from 1 to {MAX_WORKERS}")
    if count > 1 and store == "memory:":
        raise ConfigError(
            f"{count} workers need a store that all of them see, and memory: is of one process: "
            "--store sqlite:PATH or redis://HOST:PORT"
        )


def host_and_port(listen: str) -> tuple[str, int]:
    """``HOST:PORT`` in its parts. Raises: ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"listen {listen!r} must be HOST:PORT, e.g. 127.0.0.1:8440")
    return host.strip("[]"), int(port)


def _suites(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _demands(texts: list[str] | None) -> dict[str, str] | None:
    """``--require PATTERN=SUITE``, as often as there are such routes."""
    if texts is None:
        return None
    demands = {}
    for text in texts:
        pattern, equals, suite = text.rpartition("=")
        if not equals:
            raise ConfigError(f"require {text!r} must be PATTERN=SUITE, e.g. /admin/*=ecdh-gcm")
        demands[pattern] = suite
    return demands


def application(options: dict[str, Any]) -> web.Application:
    """The gateway of ``options``, which are used up; all but ``listen``.

    Raises: ConfigError.
    """
    options.pop("workers", None)
    own_dialects = options.pop("dialects", {})
    name = options.pop("dialect", None) or DEFAULT_DIALECT
    any_address = options.pop("any_address", None)
    users = options.pop("users", None)
    if bool(any_address) == bool(users):
        raise ConfigError("say who may log in: --users FILE or --any-address, one of them")
    for option, example in (("upstream", "http://127.0.0.1:9000"), ("mail", "console:")):
        if not options.get(option):
            raise ConfigError(f"--{option} is missing, e.g. --{option} {example}")
    return reverse_proxy(
        users=AnyAddress() if any_address else users,
        dialect=find_dialect(name, own_dialects),
        **options,
    )
