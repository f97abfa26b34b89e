"""Patterns of routes: what is public and passed on, and what demands a suite; odd paths.

``/`` matches itself, ``/articles/{id}`` one segment for the variable, a final ``/*`` everything
below. A path that two programs could read in two ways (dot segments, doubled or encoded slashes,
backslashes, parameters, escapes that are broken or longer than they need to be) matches no
pattern: it is not public, and not passed on. A demand errs the other way (``DemandingPatterns``).
"""

import re
from collections.abc import Iterable
from unicodedata import normalize
from urllib.parse import unquote

from gateway.errors import ConfigError

_PART = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}|/\*$|[^{}*]")
_TWO_READINGS = re.compile(
    r"//|\\|;|[^\x21-\x7e]"
    # Dot segments, also before what some cut off; and the end of a name that an alias in nginx
    # may cut off (/static../x).
    r"|/\.{1,2}(?![\w.~-]|%[89a-f])|\.\./"
    r"|%(?:2f|5c|25|2e|3b|[01][0-9a-f]|7f)"
    r"|%(?![0-9a-f]{2})|%c[01]|%e0%[89]|%f0%8|%f[89a-f]"
    # Wide and small forms of . / \ ; % and what else old code pages take for a slash.
    r"|%ef%bc%(?:8[5ef]|9b|bc)|%ef%b9%(?:9[24]|a[8a])|%e2%(?:80%a[45]|81%84|88%9[56])",
    re.IGNORECASE,
)
# Programs answer with these for their folder, and may leave out an ending, or take any (Rails).
_INDEX = re.compile(r"/(?:index|default)(?:\.\w+)?$")
_ENDING = re.compile(r"(?<=[^/])\.\w+$")


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
    """Matches whatever some program could take for a path of ``patterns``, or below it.

    That is each path and whatever follows it after anything but a letter, a digit, ``-`` or ``_``
    (``/a`` has ``/a/b``, ``/a.json`` and ``/a:b``, and not ``/ab``), in either case, with escapes
    or without; with ``/a.php`` also ``/a``, with ``/a/*`` and ``/a/index.php`` all of ``/a``. And
    every path of two readings.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [
            re.compile(_covering(_folded(unquote(pattern))), re.DOTALL) for pattern in patterns
        ]

    def match(self, raw_path: str) -> bool:
        """Whether ``raw_path`` may lead to what a pattern covers."""
        try:
            unquote(raw_path, errors="strict")
        except UnicodeDecodeError:
            # Programs decode it as they please, for instance as Latin-1.
            return True
        return not has_one_reading(raw_path) or self.cover(raw_path)

    def cover(self, raw_path: str) -> bool:
        """The same of a ``raw_path`` that has one reading."""
        path = _folded(unquote(raw_path))
        return any(pattern.fullmatch(path) for pattern in self._patterns)


def _folded(text: str) -> str:
    """``text`` in the form that it shares with whatever some file system takes for the same."""
    return normalize("NFKC", normalize("NFKC", text).casefold())


def _covering(pattern: str) -> str:
    stem = pattern.removesuffix("*").rstrip("/")
    if stem == pattern:
        stem = _ENDING.sub("", _INDEX.sub("", pattern))
    # A stem of nothing covers everything.
    _expression(pattern)
    return (stem and _expression(stem)) + r"(?:[^\w-].*)?"


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
