"""The clock: sealed messages contain a time, which can differ by at most ``window_ms``."""

import ctypes
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

from . import Finding, Service, fix, ok, warn
from .upstream import ask_upstream

ABOUT = "clock"
_TIME_ERROR = 5
# A Date has whole seconds, and was written before the response arrived.
_COARSE_S = 2.0


def is_synchronized() -> bool | None:
    """Whether the kernel says that its clock is synchronized; None if it does not say.

    Source: adjtimex(2), which only reads if no mode is set.
    """
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


async def check_clock(service: Service) -> AsyncIterator[Finding]:
    """Whether this clock is synchronized, and how it differs from the upstream's."""
    window_s = service.settings.window_ms / 1000
    match is_synchronized():
        case True:
            yield ok(
                ABOUT,
                f"synchronized by the system; clients can differ by {window_s:g} s (window_ms)",
            )
        case False:
            yield warn(
                ABOUT,
                "the kernel says that it is not synchronized: run chrony or systemd-timesyncd; "
                f"clients can differ by {window_s:g} s (window_ms)",
            )
        case None:
            yield warn(
                ABOUT,
                "the system does not say whether its clock is synchronized: check it yourself",
            )
    answer = await ask_upstream(service.options.get("upstream", ""))
    if answer is not None:
        yield _of_upstream(answer.date, window_s)


def _of_upstream(date: str | None, window_s: float) -> Finding:
    try:
        other_s = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return ok(ABOUT, "cannot be compared with the upstream's clock, which sends no Date")
    return compared_with("the upstream's clock", other_s, window_s)


def compared_with(whose: str, other_s: float, window_s: float) -> Finding:
    """Compare this clock with another one, which shows ``other_s`` since 1970."""
    off_s = time.time() - other_s
    if abs(off_s) <= _COARSE_S:
        return ok(ABOUT, f"agrees with {whose}")
    way = "ahead of" if off_s > 0 else "behind"
    text = f"{abs(off_s):.0f} s {way} {whose}: synchronize both by NTP"
    if abs(off_s) <= window_s:
        return warn(ABOUT, text)
    return fix(ABOUT, f"{text}; clients can differ by {window_s:g} s")
