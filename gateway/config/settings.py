"""Settings of a gateway: frozen, and checked once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from gateway.clock import Clock, system_clock
from gateway.errors import ConfigError
from gateway.policy.client_address import ClientAddresses
from gateway.policy.rates import NONE, RATES, read_rate
from gateway.policy.suites import SUITES, SuitePolicy, check_suites
from gateway.stores import MAIL_LIMIT, SessionCaps
from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX, DIALECTS, Dialect
from protocol.common.codes import BITS_PER_CHAR, CLASSIC_CODE_CHARS, CLASSIC_MIN_CODE_BITS
from protocol.common.window import WINDOW_MS
from protocol.hardened.confirmation import TICKET_LIFETIME_MS
from protocol.hardened.suites import DEFAULT_REALM

DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_WINDOW_MS = 600_000

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, with its limits.

    ``site`` is the name that mails call this service by; it is never taken from a request.
    ``suites`` are those that are spoken, and ``require`` demands one for a pattern of routes.
    ``realm`` is the name by which clients of the hardened suites know this service: no two
    services that can write to the same mailboxes should share one. ``ticket_lifetime_s`` is how
    long a device may stay away before it needs a code again; 0 grants no tickets.

    ``logins`` to ``messages_per_session`` are rates, written as ``10 per 15 minutes`` or ``none``
    (``gateway.policy.rate_limits``). For ``sessions``, ``sessions_per_user`` and ``key_queue_size``
    (the logins that may wait for an RSA pair) 0 means no limit. ``trusted_proxies`` are believed
    about whom they speak for (``gateway.policy.client_address``).
    """

    dialect: Dialect = DIALECTS[DEFAULT_DIALECT]
    prefix: str = DEFAULT_PREFIX
    site: str = "this site"
    suites: tuple[str, ...] = SUITES
    realm: str = DEFAULT_REALM
    require: Mapping[str, str] = field(default_factory=dict)
    public: tuple[str, ...] = ()
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    session_lifetime_s: int = 3600
    ticket_lifetime_s: int = TICKET_LIFETIME_MS // 1000
    sweep_interval_s: int = 300
    window_ms: int = WINDOW_MS
    logins: str = "20 per second"
    logins_per_user: str = "10 per 15 minutes"
    logins_per_address: str = "60 per 15 minutes"
    guesses_per_address: str = "300 per 15 minutes"
    resumptions_per_address: str = "600 per 15 minutes"
    messages_per_session: str = NONE
    mail_limit: int = MAIL_LIMIT
    sessions: int = 100_000
    sessions_per_user: int = 100
    trusted_proxies: tuple[str, ...] = ()
    code_chars: int = CLASSIC_CODE_CHARS
    key_pool_size: int = 16
    key_queue_size: int = 64
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(f"prefix {self.prefix!r} must be a path like /.gateway")
        for name in ("site", "realm"):
            text = getattr(self, name)
            if not text or not text.isprintable() or len(text) > 100:
                raise ConfigError(f"{name} must be 1 to 100 printable characters on one line")
        check_suites(self.suites)
        SuitePolicy(self.require)
        if self.code_chars * BITS_PER_CHAR < CLASSIC_MIN_CODE_BITS:
            raise ConfigError(
                f"a classic code of {self.code_chars} characters can be guessed offline: "
                f"use at least {CLASSIC_CODE_CHARS}"
            )
        for name, least, most in (
            ("max_body_bytes", 1024, 2**30),
            ("session_lifetime_s", 1, 30 * 86400),
            ("ticket_lifetime_s", 0, 10 * 366 * 86400),
            ("sweep_interval_s", 1, 86400),
            ("window_ms", 1000, MAX_WINDOW_MS),
            ("code_chars", 1, 64),
            ("mail_limit", 1, 1000),
            ("sessions", 0, 10**9),
            ("sessions_per_user", 0, 10**9),
            ("key_pool_size", 1, 1024),
            ("key_queue_size", 0, 10**6),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be from {least} to {most}")
        for name in RATES:
            try:
                read_rate(getattr(self, name))
            except ValueError:
                raise ConfigError(
                    f"{name} must be one rate like '10 per 15 minutes', or '{NONE}'"
                ) from None
        ClientAddresses(self.trusted_proxies)

    @property
    def rates(self) -> dict[str, str]:
        """The limits that are rates, by their names."""
        return {name: getattr(self, name) for name in RATES}

    def caps(self, now_ms: int) -> SessionCaps:
        """How many sessions may be open when one more is opened."""
        return SessionCaps(self.sessions_per_user, self.sessions, now_ms)


def http_url(text: str) -> URL | None:
    """``text`` as a URL of http or https with a host, or None."""
    try:
        url = URL(text)
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def find_dialect(name: str, own: dict[str, Dialect] | None = None) -> Dialect:
    """A dialect by name, the integrator's own first. Raises: ConfigError."""
    known = {**DIALECTS, **(own or {})}
    if name not in known:
        raise ConfigError(f"no dialect {name!r}; there are: {', '.join(known)}")
    return known[name]
