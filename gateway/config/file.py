"""gateway.toml: every option of ``serve``, and new dialects.

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
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from gateway.errors import ConfigError
from protocol.classic.dialects import Dialect, derive

from .options import OPTIONS
from .settings import find_dialect


def _check(path: Path, name: str, value: Any) -> None:
    option = OPTIONS.get(name)
    if option is None:
        known = ", ".join(sorted({*OPTIONS, "dialects"}))
        raise ConfigError(f"{path}: there is no option {name!r}; the options are: {known}")
    if not option.has_type(value):
        raise ConfigError(f"{path}: {name} must be {option.FORM}")


def _dialects(path: Path, tables: Any) -> dict[str, Dialect]:
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: a dialect is a table [dialects.NAME]")
    dialects: dict[str, Dialect] = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("base"), str):
            raise ConfigError(f"{path}: [dialects.{name}] needs base = the name of a dialect")
        changes = {key: value for key, value in table.items() if key != "base"}
        try:
            dialects[name] = derive(name, find_dialect(table["base"], dialects), changes)
        except ValueError as error:
            raise ConfigError(f"{path}: [dialects.{name}]: {error}") from None
    return dialects


def read_config(path: Path) -> dict[str, Any]:
    """The options in ``path``, each of the right type. Raises: ConfigError, in one line."""
    try:
        options = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path}: {error}") from None
    dialects = _dialects(path, options.pop("dialects", {}))
    for name, value in options.items():
        _check(path, name, value)
    for name, option in OPTIONS.items():
        if option.is_path and name in options:
            options[name] = str(path.parent / options[name])
    for scheme in ("sqlite:", "dir:"):
        for name in ("store", "ticket_store", "mail"):
            if str(options.get(name, "")).startswith(scheme):
                options[name] = scheme + str(path.parent / options[name].removeprefix(scheme))
    for table in (options, options.get("channels", {})):
        for name in ("mail",) if table is options else tuple(table):
            scheme, at, file = str(table.get(name, "")).partition("@")
            if at and scheme == "webhook:":
                table[name] = f"{scheme}@{path.parent / file}"
    server, ca, file = str(options.get("mail", "")).partition("?ca=")
    if ca and server.startswith("smtp"):
        options["mail"] = f"{server}?ca={quote(str(path.parent / unquote(file)))}"
    return {**options, "dialects": dialects}
