"""Give the memory of freed bodies back to the operating system.

Bodies arrive in pieces. Small objects made between the pieces stay in use. glibc returns free
memory at the end of its heap, but not free memory between two objects in use. Without this module
a process would keep the most memory that clients ever made it take, which looks like a leak.
"""

import asyncio
import ctypes
from functools import cache
from typing import Any

# A trim takes some ms, so it runs after this many bytes, and this long after they were freed.
_WORTH_BYTES = 8 << 20
_PAUSE_S = 2
# A second trim, because on a busy machine the last piece of a body can be freed after the first.
_LATE_S = 10


class _Freed:
    """Counts the bytes of freed bodies since the last trim."""

    def __init__(self) -> None:
        self._bytes = 0
        self._planned_by: asyncio.AbstractEventLoop | None = None

    def add(self, size: int) -> None:
        """``size`` bytes of a body are free, or will be soon."""
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


# All event loops of a process share one heap.
FREED = _Freed()


def _trim() -> None:
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """The function of glibc, or None with another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
