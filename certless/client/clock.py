"""The clocks of a client: the time of day, and a monotonic clock."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]

# Prefer a clock that also counts while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def system_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def steady_clock() -> int:
    """Milliseconds of a monotonic clock."""
    now_ns = time.monotonic_ns() if _STEADY is None else time.clock_gettime_ns(_STEADY)
    return now_ns // 1_000_000
