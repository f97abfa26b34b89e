"""What the gateway does with a path: answer it itself, let it pass, or demand a suite."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from gateway.errors import ConfigError
from protocol.hardened.suites import HARDENED_SUITES

from .route_patterns import DemandingPatterns, RoutePatterns, has_one_reading
from .suites import SUITES, known_suites


class OwnPaths:
    """The prefix of the gateway and all paths below it. No application serves one of them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._in_any_spelling = DemandingPatterns([f"{prefix}/*"])
        last = re.escape(prefix.rpartition("/")[2])
        self._last_segment = re.compile(rf"[/\\]{last}(?![\w-])", re.IGNORECASE)

    def have(self, raw_path: str) -> bool:
        """Whether ``raw_path`` is one of them, spelled exactly as the prefix is."""
        return raw_path == self._prefix or raw_path.startswith(self._prefix + "/")

    def may_have(self, raw_path: str) -> bool:
        """Whether some program could read ``raw_path`` as one of them."""
        if has_one_reading(raw_path):
            return self._in_any_spelling.cover(raw_path)
        # Programs begin to read such a path at different places.
        return self._last_segment.search(unquote(unquote(raw_path))) is not None


class SuitePolicy:
    """Patterns of routes, each with the weakest suite that it accepts (PROTOCOL §14.4)."""

    def __init__(self, require: Mapping[str, str]) -> None:
        """Raises: ConfigError."""
        for pattern, suite in require.items():
            if suite not in SUITES:
                raise ConfigError(f"route {pattern!r} demands {suite!r}: {known_suites()}")
            if "?" in pattern or "#" in pattern:
                # It would match no path, and so demand nothing.
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
        self._public = RoutePatterns(public)
        self._demands = SuitePolicy(require)

    def is_own(self, raw_path: str) -> bool:
        """Whether the gateway itself answers a request for ``raw_path``."""
        return self._own.have(raw_path)

    def may_be_own(self, raw_path: str) -> bool:
        """Whether some program could read ``raw_path`` as a path of the gateway."""
        return self._own.may_have(raw_path)

    def is_public(self, raw_path: str) -> bool:
        """Whether a request for ``raw_path`` passes without a login."""
        # A demand for a suite overrides ``public``.
        return (
            self._public.match(raw_path)
            and not self._own.may_have(raw_path)
            and self._demands.of(raw_path) is None
        )

    def violated_by(self, suite: str, raw_path: str) -> str | None:
        """The suite that ``raw_path`` demands, if a session in ``suite`` is too weak; else None."""
        return self._demands.violated_by(suite, raw_path)
