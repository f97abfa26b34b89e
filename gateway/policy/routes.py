"""What the gateway does with a path: answer it itself, let it pass, or demand a suite.

In a pattern, ``/`` matches itself, ``/articles/{id}`` any one segment for the variable, and a
final ``/*`` all that follows. Two programs could read some paths in two ways: paths with dot
segments, doubled or encoded slashes, backslashes, parameters, or escapes that are broken or longer
than needed. Such a path matches no pattern, so it is not public and not passed on. A demand matches
too much rather than too little (``DemandingPatterns``).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self
from unicodedata import normalize
from urllib.parse import unquote

from gateway.errors import ConfigError
from protocol.hardened.suites import HARDENED_SUITES

from .suites import SUITES, known_suites

_READING = frozenset({"GET", "HEAD"})
_PUBLIC = re.compile(r"(?:([A-Z][A-Z-]*) +)?(\S+)")
_PART = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}|/\*$|[^{}*]")
_TWO_READINGS = re.compile(
    r"//|\\|;|[^\x21-\x7e]"
    # Dot segments, also before an ending that some programs cut off, and the end of a name that an
    # alias in nginx can cut off (/static../x).
    r"|/\.{1,2}(?![\w.~-]|%[89a-f])|\.\./"
    r"|%(?:2f|5c|25|2e|3b|[01][0-9a-f]|7f)"
    r"|%(?![0-9a-f]{2})|%c[01]|%e0%[89]|%f0%8|%f[89a-f]"
    # Wide and small forms of . / \ ; % and other characters that old code pages read as a slash.
    r"|%ef%bc%(?:8[5ef]|9b|bc)|%ef%b9%(?:9[24]|a[8a])|%e2%(?:80%a[45]|81%84|88%9[56])",
    re.IGNORECASE,
)
# Programs serve these for their folder. Some accept a path without its ending, or any (Rails).
_INDEX = re.compile(r"/(?:index|default)(?:\.\w+)?$")
_ENDING = re.compile(r"(?<=[^/])\.\w+$")


def has_one_reading(raw_path: str) -> bool:
    """Whether every program would read ``raw_path`` as the same path."""
    return _TWO_READINGS.search(raw_path) is None


class RoutePatterns:
    """Matches raw paths: those of the request line, without the query."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [re.compile(_expression(pattern)) for pattern in patterns]

    def match(self, raw_path: str) -> bool:
        """Whether ``raw_path`` matches a pattern and has only one reading."""
        if not has_one_reading(raw_path):
            return False
        return any(pattern.fullmatch(raw_path) for pattern in self._patterns)


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """A pattern of a path, and the methods for which it is public."""

    methods: frozenset[str]
    pattern: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``POST /contact`` or ``/static/*``. Raises: ConfigError."""
        found = _PUBLIC.fullmatch(text)
        if found is None:
            raise ConfigError(
                f"public route {text!r}: write a path like /static/*, or a method and a path like "
                "'POST /contact'"
            )
        method = found[1] or "GET"
        return cls(_READING if method == "GET" else frozenset({method}), found[2])


class PublicRoutes:
    """Matches methods and raw paths. A pattern without a method, or with GET, is for GET and HEAD.

    So a page that everybody can read is not a form that everybody can send.
    """

    def __init__(self, routes: Iterable[str]) -> None:
        """Raises: ConfigError."""
        parsed = [PublicRoute.parse(text) for text in routes]
        methods = frozenset[str]().union(*(route.methods for route in parsed))
        self._by_method = {
            method: RoutePatterns(route.pattern for route in parsed if method in route.methods)
            for method in methods
        }

    def match(self, method: str, raw_path: str) -> bool:
        """Whether a request with ``method`` for ``raw_path`` matches a route."""
        patterns = self._by_method.get(method)
        return patterns is not None and patterns.match(raw_path)


class DemandingPatterns:
    """Matches each path that some program could read as a path of ``patterns`` or below it.

    A pattern matches its path, also with a suffix that does not begin with a letter, a digit, ``-``
    or ``_``: ``/a`` matches ``/a/b``, ``/a.json`` and ``/a:b``, but not ``/ab``. Case and escapes
    do not matter. ``/a.php`` also matches ``/a``. ``/a/*`` and ``/a/index.php`` match all of
    ``/a``. Every path with two readings matches.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [
            re.compile(_covering(_folded(unquote(pattern))), re.DOTALL) for pattern in patterns
        ]

    def match(self, raw_path: str) -> bool:
        """Whether some program could read ``raw_path`` as a path of a pattern."""
        try:
            unquote(raw_path, errors="strict")
        except UnicodeDecodeError:
            # Programs decode it in different ways, for instance as Latin-1.
            return True
        return not has_one_reading(raw_path) or self.cover(raw_path)

    def cover(self, raw_path: str) -> bool:
        """As ``match``, for a ``raw_path`` with one reading."""
        path = _folded(unquote(raw_path))
        return any(pattern.fullmatch(path) for pattern in self._patterns)


class OwnPaths:
    """The prefix of the gateway and all paths below it. No application serves one of them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._in_any_spelling = DemandingPatterns([f"{prefix}/*"])
        last = re.escape(prefix.rpartition("/")[2])
        self._last_segment = re.compile(rf"[/\\]{last}(?![\w-])", re.IGNORECASE)

    def have(self, raw_path: str) -> bool:
        """Whether ``raw_path`` is a gateway route, with exactly the spelling of the prefix."""
        return raw_path == self._prefix or raw_path.startswith(self._prefix + "/")

    def may_have(self, raw_path: str) -> bool:
        """Whether some program could read ``raw_path`` as one of them."""
        if has_one_reading(raw_path):
            return self._in_any_spelling.cover(raw_path)
        # Programs differ in where such a path begins.
        return self._last_segment.search(unquote(unquote(raw_path))) is not None


class SuitePolicy:
    """Patterns of routes, each with the weakest suite that it accepts (PROTOCOL §1.10)."""

    def __init__(self, require: Mapping[str, str]) -> None:
        """Raises: ConfigError."""
        for pattern, suite in require.items():
            if suite not in SUITES:
                raise ConfigError(f"route {pattern!r} demands {suite!r}: {known_suites()}")
            if "?" in pattern or "#" in pattern:
                # It would match no path, so it would require no login.
                raise ConfigError(f"route {pattern!r}: a demand is for a path, without a query")
        self._hardened = {
            suite: DemandingPatterns([p for p, s in require.items() if s == suite])
            for suite in HARDENED_SUITES
            if suite in require.values()
        }

    def of(self, raw_path: str) -> str | None:
        """The hardened suite that ``raw_path`` demands, or None.

        Every possible reading of the path counts, so no spelling avoids a demand. A path with two
        readings demands what any route demands.
        """
        for suite, patterns in self._hardened.items():
            if patterns.match(raw_path):
                return suite
        return None

    def violated_by(self, suite: str, raw_path: str) -> str | None:
        """The suite that ``raw_path`` demands, if a session in ``suite`` is too weak; else None."""
        return None if suite in HARDENED_SUITES else self.of(raw_path)


class RoutePolicy:
    """The routes of one gateway: its own, the public ones, and the demands of all others."""

    def __init__(self, prefix: str, public: Iterable[str], require: Mapping[str, str]) -> None:
        """Raises: ConfigError."""
        self._own = OwnPaths(prefix)
        self._public = PublicRoutes(public)
        self._demands = SuitePolicy(require)

    def is_own(self, raw_path: str) -> bool:
        """Whether the gateway itself answers a request for ``raw_path``."""
        return self._own.have(raw_path)

    def is_public(self, method: str, raw_path: str) -> bool:
        """Whether a request with ``method`` for ``raw_path`` passes without a login."""
        # A demand for a suite overrides ``public``.
        return (
            self._public.match(method, raw_path)
            and not self._own.may_have(raw_path)
            and self._demands.of(raw_path) is None
        )

    def inside(self, suite: str, raw_path: str) -> tuple[bool, str | None]:
        """What forbids a request for ``raw_path`` inside a message of a session in ``suite``.

        Whether some program could read the path as one of the gateway, and the suite that the path
        demands if ``suite`` is too weak.
        """
        return self._own.may_have(raw_path), self._demands.violated_by(suite, raw_path)


def _folded(text: str) -> str:
    """``text`` in one form for all names that some file system treats as equal."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())


def _covering(pattern: str) -> str:
    stem = pattern.removesuffix("*").rstrip("/")
    if stem == pattern:
        stem = _ENDING.sub("", _INDEX.sub("", pattern))
    # An empty stem covers all paths.
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
