"""As many open files as the system allows, and what happens when there are no more."""

import asyncio
import logging
import sys
import time
from typing import Any

if sys.platform != "win32":
    import resource

# So often it is said that connections have to wait.
_SAID_EVERY_S = 60
_ACCEPTS_NOT = "socket.accept() out of system resource"
_log = logging.getLogger("certless")


def allow_all_files() -> None:
    """Raise the soft limit of this process to the hard one; each connection is an open file."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            _log.info("the limit of open files stays at %d", soft)


class Complaints:
    """The exception handler of a loop. That no file is left, it says once in a while.

    asyncio logs a traceback for each connection that waits, again each second, until the disk is
    full.
    """

    def __init__(self) -> None:
        self._said_s = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _ACCEPTS_NOT:
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._said_s + _SAID_EVERY_S:
            self._said_s = time.monotonic()
            _log.error(
                "no more open files are allowed, so new connections wait: raise the hard limit "
                "(LimitNOFILE of systemd, ulimit -Hn)"
            )
