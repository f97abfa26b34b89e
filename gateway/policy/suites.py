"""Which suite a route demands, and which are as strong (PROTOCOL §14.4)."""

from collections.abc import Iterable, Mapping

from gateway.errors import ConfigError
from protocol.hardened.suites import HARDENED_SUITES, RSA_GCM

from .route_patterns import DemandingPatterns

CLASSIC = "classic"
SUITES = (*HARDENED_SUITES, CLASSIC)


def is_hardened(suite: str) -> bool:
    """Whether ``suite``, as a session tells it, is one of the hardened suites."""
    return suite in HARDENED_SUITES


def needs_keys(suites: Iterable[str]) -> bool:
    """Whether logins in any of ``suites`` take an RSA pair of ours."""
    return not {CLASSIC, RSA_GCM.name}.isdisjoint(suites)


class SuitePolicy:
    """Patterns of routes, each with the weakest suite that it takes."""

    def __init__(self, require: Mapping[str, str]) -> None:
        """Raises: ConfigError."""
        for pattern, suite in require.items():
            if suite not in SUITES:
                raise ConfigError(f"route {pattern!r} demands {suite!r}: {_one_of_suites()}")
            if "?" in pattern or "#" in pattern:
                # It would match nothing, and so demand nothing.
                raise ConfigError(f"route {pattern!r}: a demand is for a path, without a query")
        self._hardened = {
            suite: DemandingPatterns([p for p, s in require.items() if s == suite])
            for suite in HARDENED_SUITES
            if suite in require.values()
        }

    def of(self, raw_path: str) -> str | None:
        """The hardened suite that ``raw_path`` demands, or None.

        Whatever the route might be read as counts: no spelling helps out of a demand, and a path
        of two readings demands what any route demands.
        """
        for suite, patterns in self._hardened.items():
            if patterns.match(raw_path):
                return suite
        return None

    def violated_by(self, suite: str, raw_path: str) -> str | None:
        """What ``raw_path`` demands and a session in ``suite`` does not give, or None."""
        return None if is_hardened(suite) else self.of(raw_path)


def check_suites(suites: tuple[str, ...]) -> None:
    """Raises: ConfigError, where ``suites`` is not a choice of the suites that there are."""
    if not suites or len(set(suites)) != len(suites) or set(suites) - set(SUITES):
        raise ConfigError(f"suites: {_one_of_suites()}, each once")


def _one_of_suites() -> str:
    return f"there are {', '.join(SUITES)}"
