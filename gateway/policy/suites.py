"""The names of the suites, and what each needs (PROTOCOL §2.2)."""

from collections.abc import Iterable

from gateway.errors import ConfigError
from protocol.hardened.suites import HARDENED_SUITES, RSA_GCM

CLASSIC = "classic"
SUITES = (*HARDENED_SUITES, CLASSIC)


def is_hardened(suite: str) -> bool:
    """Whether ``suite``, the suite of a session, is a hardened suite."""
    return suite in HARDENED_SUITES


def needs_keys(suites: Iterable[str]) -> bool:
    """Whether a login in any of ``suites`` takes an RSA pair of the gateway."""
    return not {CLASSIC, RSA_GCM.name}.isdisjoint(suites)


def check_suites(suites: tuple[str, ...]) -> None:
    """Raises: ConfigError, if ``suites`` is empty, names a suite twice or an unknown suite."""
    if not suites or len(set(suites)) != len(suites) or set(suites) - set(SUITES):
        raise ConfigError(f"suites: {known_suites()}, each once")


def known_suites() -> str:
    """The end of an error message that lists all suites."""
    return f"there are {', '.join(SUITES)}"
