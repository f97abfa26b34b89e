"""What is reloaded while a gateway serves: users, keys, and whatever else stands in files."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from gateway.errors import GatewayError

_log = logging.getLogger("certless")

Reload: TypeAlias = Callable[[], Awaitable[None]]


class Reloads:
    """Reloads all of it, each on its own: one that fails leaves what it had, and the others."""

    def __init__(self) -> None:
        self._named: list[tuple[str, Reload]] = []

    def add(self, name: str, reload: Reload) -> None:
        """``reload`` raises a GatewayError where it cannot; then it has changed nothing."""
        self._named.append((name, reload))

    async def run(self) -> None:
        """Said in the log, one line each."""
        for name, reload in self._named:
            try:
                await reload()
            except GatewayError as error:
                _log.error("not reloaded, %s stay as before: %s", name, error)
            else:
                _log.info("reloaded %s", name)
