"""Memory that bodies have left goes back to the system.

Bodies come in pieces, and the small objects that are made meanwhile live on between them. glibc
returns what is free at the end of its heap, not what is free between two objects that are in use.
So a process would keep whatever visitors made it take once, and look as if it leaked.
"""

import asyncio
import ctypes
from functools import cache
from typing import Any

# After so much it is worth some ms, and they come once in so long at most.
_WORTH_BYTES = 8 << 20
_PAUSE_S = 2
# Once more for what came late: on a busy machine the last of a body may go after the first time.
_LATE_S = 10


class _Freed:
    """What bodies have taken since the last time that memory was given back."""

    def __init__(self) -> None:
        self._bytes = 0
        self._planned_by: asyncio.AbstractEventLoop | None = None

    def add(self, size: int) -> None:
        """``size`` bytes of a body are free, or soon will be."""
        self._bytes += size
        if self._bytes >= _WORTH_BYTES:
            loop = asyncio.get_running_loop()
            if self._planned_by is not loop:
                self._planned_by = loop
                loop.call_later(_PAUSE_S, self._give_back)

    def _give_back(self) -> None:
        self._bytes, self._planned_by = 0, None
        _trim()
        asyncio.get_running_loop().call_later(_LATE_S, _trim)


# malloc is one of the whole process.
FREED = _Freed()


def _trim() -> None:
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """That of glibc. Other libraries have none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
