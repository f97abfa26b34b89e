"""Patterns of routes, for what is public and what is passed on; and paths that match none.

``/`` matches itself, ``/articles/{id}`` one segment for the variable, a final ``/*`` everything
below. A path that two programs could read in two ways (dot segments, doubled or encoded slashes,
backslashes, parameters, escapes that are broken or longer than they need to be) matches no
pattern: it is not public, and not passed on.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from .errors import ConfigError

_PART = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}|/\*$|[^{}*]")
_TWO_READINGS = re.compile(
    r"//|\\|;|[^\x21-\x7e]|/\.{1,2}(?:/|$)"
    r"|%(?:2f|5c|25|2e|3b|[01][0-9a-f]|7f)"
    r"|%(?![0-9a-f]{2})|%c[01]|%e0%[89]|%f0%8|%f[89a-f]",
    re.IGNORECASE,
)


def has_one_reading(raw_path: str) -> bool:
    """Whether every program would take ``raw_path`` for the same path."""
    return _TWO_READINGS.search(raw_path) is None


class RoutePatterns:
    """Matches raw paths, as they stand in the request line and without the query."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [re.compile(_expression(pattern)) for pattern in patterns]

    def match(self, raw_path: str) -> bool:
        """Whether ``raw_path`` matches a pattern and has one reading only."""
        if not has_one_reading(raw_path):
            return False
        return any(pattern.fullmatch(raw_path) for pattern in self._patterns)


class DemandingPatterns:
    """Matches whatever some program could take for a path of ``patterns``.

    In either case, with escapes or without, with a slash at the end or without; and every path of
    two readings.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [
            re.compile(_expression(unquote(pattern)).rstrip("/") + "/?", re.IGNORECASE)
            for pattern in patterns
        ]

    def match(self, raw_path: str) -> bool:
        """Whether ``raw_path`` may lead to a path of a pattern."""
        path = unquote(raw_path)
        return not has_one_reading(raw_path) or any(
            pattern.fullmatch(path) for pattern in self._patterns
        )


def _expression(pattern: str) -> str:
    parts = _PART.findall(pattern)
    if not pattern.startswith("/") or "".join(parts) != pattern:
        raise ConfigError(
            f"route pattern {pattern!r}: start with /, write {{name}} for one segment "
            "and end with /* for everything below"
        )
    written = {"/*": "/.*"}
    return "".join(
        written.get(part, "[^/]+" if part.startswith("{") else re.escape(part)) for part in parts
    )
