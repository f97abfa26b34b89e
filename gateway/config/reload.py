"""Reloads files while the gateway serves: users, keys and others."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from gateway.errors import GatewayError

_log = logging.getLogger("certless")

Reload: TypeAlias = Callable[[], Awaitable[None]]


class Reloads:
    """Runs all reloads. If one fails, it keeps its old data, and the others still run."""

    def __init__(self) -> None:
        self._named: list[tuple[str, Reload]] = []

    def add(self, name: str, reload: Reload) -> None:
        """``reload`` raises a GatewayError if it fails, and has then changed nothing."""
        self._named.append((name, reload))

    async def run(self) -> None:
        """Run all reloads; log one line for each."""
        for name, reload in self._named:
            try:
                await reload()
            except GatewayError as error:
                _log.error("cannot reload, %s stay as before: %s", name, error)
            else:
                _log.info("reloaded %s", name)
