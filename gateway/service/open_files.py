"""The limit of open files: raised at the start, and logged when it is reached."""

import asyncio
import logging
import sys
import time
from typing import Any

if sys.platform != "win32":
    import resource

# Log at most this often that connections have to wait.
_LOG_INTERVAL_S = 60
_ACCEPT_FAILED = "socket.accept() out of system resource"
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
            _log.info("the limit of open files cannot be raised above %d", soft)


class LoopErrorLog:
    """The exception handler of an event loop; logs at most once a minute that no file is left.

    asyncio logs a traceback for each waiting connection every second, until the disk is full.
    """

    def __init__(self) -> None:
        self._logged_s = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _ACCEPT_FAILED:
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._logged_s + _LOG_INTERVAL_S:
            self._logged_s = time.monotonic()
            _log.error(
                "the limit of open files is reached and new connections wait: raise the hard limit "
                "(LimitNOFILE of systemd, ulimit -Hn)"
            )
