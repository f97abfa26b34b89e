"""Durations as a person writes them: ``90s``, ``10m``, ``12h``, ``7d``."""

import re

from gateway.errors import ConfigError

_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
_FORM = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)


def read_duration(option: str, text: str, least_ms: int, most_ms: int) -> int:
    """The milliseconds of ``text``, the value of ``option``. Raises: ConfigError."""
    found = _FORM.fullmatch(text)
    duration_ms = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not least_ms <= duration_ms <= most_ms:
        raise ConfigError(
            f"{option} {text!r} must be a duration like 12h or 7d: "
            f"from {duration_text(least_ms)} to {duration_text(most_ms)}"
        )
    return duration_ms


def duration_text(duration_ms: int) -> str:
    """A duration in the largest unit of which it is a multiple: ``7 days``."""
    for unit, name in _NAMES.items():
        count, rest = divmod(duration_ms, _UNITS_MS[unit])
        if count and not rest:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{duration_ms} ms"
