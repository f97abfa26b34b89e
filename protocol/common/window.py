"""How far the time of a message may be from now (PROTOCOL §7, §17)."""

WINDOW_MS = 60_000


def within_window(timestamp_ms: int, now_ms: int, window_ms: int) -> bool:
    """Whether ``timestamp_ms`` is at most ``window_ms`` from ``now_ms``, edge included."""
    return abs(now_ms - timestamp_ms) <= window_ms
