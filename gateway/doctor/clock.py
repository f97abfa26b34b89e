"""The clock: sealed messages carry times, and are refused beyond ``window_ms`` from this one."""

import ctypes
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

from . import Finding, Service, fix, ok, warn
from .upstream import ask_upstream

ABOUT = "clock"
_TIME_ERROR = 5
# A Date has whole seconds, and is written before the answer has come.
_COARSE_S = 2.0


def is_kept() -> bool | None:
    """Whether the kernel says that something keeps its clock right; None where it does not say.

    Source: adjtimex(2), which with no mode set only reads.
    """
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


async def check_clock(service: Service) -> AsyncIterator[Finding]:
    """This clock by the kernel's word, and beside those of the upstream."""
    window_s = service.settings.window_ms / 1000
    match is_kept():
        case True:
            yield ok(ABOUT, f"kept by the system; clients may be off by {window_s:g} s (window_ms)")
        case False:
            yield warn(
                ABOUT,
                "the kernel says that nothing keeps it: run chrony or systemd-timesyncd; clients "
                f"may be off by {window_s:g} s (window_ms)",
            )
        case None:
            yield warn(ABOUT, "the system does not say whether its clock is kept: look, by hand")
    answer = await ask_upstream(service.options.get("upstream", ""))
    if answer is not None:
        yield _of_upstream(answer.date, window_s)


def _of_upstream(date: str | None, window_s: float) -> Finding:
    try:
        theirs_s = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return ok(ABOUT, "the upstream's cannot be compared: it sends no Date")
    return beside("the upstream's", theirs_s, window_s)


def beside(whose: str, theirs_s: float, window_s: float) -> Finding:
    """This clock, and the one that says ``theirs_s`` since 1970."""
    off_s = time.time() - theirs_s
    if abs(off_s) <= _COARSE_S:
        return ok(ABOUT, f"agrees with {whose}")
    way = "ahead of" if off_s > 0 else "behind"
    text = f"{abs(off_s):.0f} s {way} {whose}: have both kept by NTP"
    if abs(off_s) <= window_s:
        return warn(ABOUT, text)
    return fix(ABOUT, f"{text}; clients may be off by {window_s:g} s")
