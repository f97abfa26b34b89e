"""The vault: data that a server keeps for its users and cannot read.

``vault.setup(app, ...)`` adds it to an aiohttp application behind ``certless.setup``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vault.server.notices import Notice as Notice
    from vault.server.setup import setup as setup

# Loaded at first use, because a client needs no database.
_HOME = {"Notice": "vault.server.notices", "setup": "vault.server.setup"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
