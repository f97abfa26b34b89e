"""The error of all stores if a limit of open sessions is reached."""

from gateway.errors import RateLimited

from . import SessionCaps

OF_THIS_USER, OF_ALL_USERS = "of this user", "of all users"
_SETTINGS = {OF_THIS_USER: "sessions_per_user", OF_ALL_USERS: "sessions"}


def cap_reached(caps: SessionCaps, whose: str, first_ms: int) -> RateLimited:
    """``whose`` sessions are too many; the first of them ends after ``first_ms``."""
    return RateLimited(
        f"too many open sessions {whose}: end one, or wait",
        (first_ms - caps.now_ms) // 1000 + 1,
        _SETTINGS[whose],
    )
