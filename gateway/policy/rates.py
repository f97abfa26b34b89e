"""Rates as the library ``limits`` writes them: ``10 per 15 minutes``, ``100/hour``; or ``none``."""

from limits import RateLimitItem, parse_many

RATES = (
    "logins",
    "logins_per_user",
    "logins_per_address",
    "guesses_per_address",
    "resumptions_per_address",
    "messages_per_session",
)
NONE = "none"
_MAX_WINDOW_S = 31 * 86400


def read_rate(text: str) -> RateLimitItem | None:
    """The rate that ``text`` names. None for ``none``: no limit. Raises: ValueError."""
    if text == NONE:
        return None
    rates = parse_many(text)
    if len(rates) != 1 or rates[0].amount < 1 or not 1 <= rates[0].get_expiry() <= _MAX_WINDOW_S:
        raise ValueError("one rate, at least 1, in a month at most")
    return rates[0]
