"""Freshness of classic messages: rules without state (PROTOCOL §3.6).

A message is fresh if its timestamp is at most ``window_ms`` before or after now, and neither its
nonce nor its passphrase was claimed in this session before. A passphrase is tried at most five
times, and each try is counted before it is used. A store keeps tags of 16 bytes of both, under a
key of the session, so that a stolen store reveals neither.
"""

import re
from dataclasses import dataclass

from protocol.common.codec import JsonObject, JsonValue
from protocol.common.errors import DecryptionFailed, StaleTimestamp

from .dialects import Dialect, TimestampFormat

MAX_MESSAGES = 4096
MAX_NONCE_CHARS = 256
PASSPHRASE_ATTEMPTS = 5
TAG_BYTES = 16

_MAX_TIMESTAMP_MS = 2**53
_ISO8601 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{3}))?Z", re.ASCII)


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the proleptic Gregorian calendar."""
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719468


def _civil_from_days(days: int) -> tuple[int, int, int]:
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = (shifted_month + 2) % 12 + 1
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    return era * 400 + year_of_era + (month <= 2), month, day


def _parse_iso8601(value: str) -> int | None:
    match = _ISO8601.fullmatch(value)
    if match is None:
        return None
    year, month, day, hour, minute, second, ms = (int(part or 0) for part in match.groups())
    if not (1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        return None
    days = _days_from_civil(year, month, day)
    if _civil_from_days(days) != (year, month, day):
        return None
    stamp = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + ms
    return stamp if stamp >= 0 else None


def parse_timestamp(form: TimestampFormat, value: JsonValue) -> int | None:
    """Milliseconds since 1970 UTC, or None for another type, sign or size (PROTOCOL §3.6.1)."""
    if form == "iso8601":
        return _parse_iso8601(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= _MAX_TIMESTAMP_MS:
        return None
    if form == "ms":
        return value if isinstance(value, int) else None
    # A Node program divides Date.now() by 1000 and may keep the fraction.
    return round(value * 1000)


def format_timestamp(form: TimestampFormat, ms: int) -> JsonValue:
    """``ms`` since 1970 UTC in the form of the dialect; whole seconds for ``s``."""
    if form == "ms":
        return ms
    if form == "s":
        return ms // 1000
    seconds, milli = divmod(ms, 1000)
    days, rest = divmod(seconds, 86400)
    year, month, day = _civil_from_days(days)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{milli:03}"
    return f"{year:04}-{month:02}-{day:02}T{clock}Z"


def is_nonce(value: JsonValue) -> bool:
    """Whether ``value`` is a string of 1 to 256 characters (PROTOCOL §3.6.2)."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_NONCE_CHARS


@dataclass(frozen=True, slots=True)
class NonceClaim:
    """The two tags that a store must claim together before a message counts (PROTOCOL §3.6.3).

    Each tag has 16 bytes and is made with the session's tag key.
    """

    nonce_tag: bytes
    passphrase_tag: bytes


def fresh_nonce(dialect: Dialect, payload: JsonObject, now_ms: int, window_ms: int) -> str:
    """The nonce of ``payload``, whose timestamp is in the window.

    Raises: DecryptionFailed (either is missing or of the wrong type), StaleTimestamp.
    """
    nonce = payload.get(dialect.names.nonce)
    stamp = parse_timestamp(dialect.timestamp, payload.get(dialect.names.timestamp))
    if stamp is None or not isinstance(nonce, str) or not is_nonce(nonce):
        raise DecryptionFailed("the payload's timestamp or nonce is of the wrong type")
    if abs(stamp - now_ms) > window_ms:
        raise StaleTimestamp(f"{(stamp - now_ms) / 1000:+.3f} s from the server's clock")
    return nonce
