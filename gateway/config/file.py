"""gateway.toml: every option of ``serve``, the fields of Settings, and dialects of one's own.

::

    listen = "127.0.0.1:8440"
    upstream = "http://127.0.0.1:9000"
    users = "users.toml"
    mail = "smtp://127.0.0.1:2525"
    dialect = "shop"
    suites = ["ecdh-gcm", "classic"]
    require = { "/admin/*" = "ecdh-gcm" }

    [dialects.shop]
    base = "sfet-3"
    timestamp = "iso8601"
    names = { token = "sid" }

Paths are relative to the file.
"""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from gateway.errors import ConfigError
from protocol.classic.dialects import Dialect, derive

from .settings import Settings, find_dialect

_TEXTS = (
    *("listen", "upstream", "users", "mail", "mail_from", "mail_helo"),
    *("store", "key_file", "dialect", "admin", "audit"),
)
_LISTS = ("public", "suites", "targets", "trusted_proxies")
_OTHERS = ("any_address", "dialects", "require", "workers")
_NOT_IN_FILES = frozenset({"clock", "dialect", "public", "require", "suites", "trusted_proxies"})
_OF_SETTINGS = {
    field.name: type(field.default) for field in fields(Settings) if field.name not in _NOT_IN_FILES
}


def _check(path: Path, name: str, value: Any) -> None:
    if name in _TEXTS:
        valid, form = isinstance(value, str), "a string"
    elif name in _LISTS:
        valid = isinstance(value, list) and all(isinstance(item, str) for item in value)
        form = "a list of strings"
    elif name == "require":
        valid = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
        form = 'a table like { "/admin/*" = "ecdh-gcm" }'
    elif name == "any_address":
        valid, form = isinstance(value, bool), "true or false"
    elif name == "workers":
        valid, form = type(value) is int, "a whole number"
    elif name in _OF_SETTINGS:
        kind = _OF_SETTINGS[name]
        valid, form = type(value) is kind, "a string" if kind is str else "a whole number"
    else:
        known = ", ".join(sorted({*_TEXTS, *_LISTS, *_OTHERS, *_OF_SETTINGS}))
        raise ConfigError(f"{path}: there is no option {name!r}; there are: {known}")
    if not valid:
        raise ConfigError(f"{path}: {name} must be {form}")


def _dialects(path: Path, tables: Any) -> dict[str, Dialect]:
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: write [dialects.NAME]")
    own: dict[str, Dialect] = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("base"), str):
            raise ConfigError(f"{path}: [dialects.{name}] needs base = the name of a dialect")
        changes = {key: value for key, value in table.items() if key != "base"}
        try:
            own[name] = derive(name, find_dialect(table["base"], own), changes)
        except ValueError as error:
            raise ConfigError(f"{path}: [dialects.{name}]: {error}") from None
    return own


def read_config(path: Path) -> dict[str, Any]:
    """The options in ``path``, checked one by one. Raises: ConfigError, in one line."""
    try:
        options = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path}: {error}") from None
    dialects = _dialects(path, options.pop("dialects", {}))
    for name, value in options.items():
        _check(path, name, value)
    for name in ("users", "key_file", "audit"):
        if name in options:
            options[name] = str(path.parent / options[name])
    for scheme in ("sqlite:", "dir:"):
        for name in ("store", "mail"):
            if str(options.get(name, "")).startswith(scheme):
                options[name] = scheme + str(path.parent / options[name].removeprefix(scheme))
    server, ca, file = str(options.get("mail", "")).partition("?ca=")
    if ca and server.startswith("smtp"):
        options["mail"] = f"{server}?ca={quote(str(path.parent / unquote(file)))}"
    return {**options, "dialects": dialects}
