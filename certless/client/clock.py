"""The clocks of a client: the time of day, and one that nobody sets."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]

# Where there is one, a clock that goes on while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def system_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def steady_clock() -> int:
    """Milliseconds since some moment, by a clock that nobody sets."""
    now_ns = time.monotonic_ns() if _STEADY is None else time.clock_gettime_ns(_STEADY)
    return now_ns // 1_000_000
