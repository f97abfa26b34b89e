"""When a reset can replace an account (VAULT §12). The server stores whole hours only."""

HOUR_MS = 3_600_000
DELAY_HOURS = 7 * 24
LIFETIME_HOURS = 30 * 24


def hour_of_request(now_ms: int) -> int:
    """The hour of a request, rounded up, as hours since 1970."""
    return -(-now_ms // HOUR_MS)


def is_open(hour: int, now_ms: int) -> bool:
    """Whether the reset that was requested in ``hour`` has not expired."""
    return now_ms < (hour + LIFETIME_HOURS) * HOUR_MS


def is_due(hour: int, now_ms: int) -> bool:
    """Whether a new account can replace the old one now."""
    return hours_left(hour, now_ms) == 0 and is_open(hour, now_ms)


def hours_left(hour: int, now_ms: int) -> int:
    """The time until a new account can be created, in hours, rounded up."""
    return max(0, -((now_ms - (hour + DELAY_HOURS) * HOUR_MS) // HOUR_MS))
