"""The settings of a gateway: frozen, and checked once. ``options.py`` declares each of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from yarl import URL

from gateway.clock import Clock, system_clock
from gateway.errors import ConfigError
from gateway.policy.client_address import ClientAddresses
from gateway.policy.forwarded import ForwardedHeaders
from gateway.policy.rates import RATES
from gateway.policy.routes import SuitePolicy
from gateway.policy.suites import check_suites
from gateway.stores import SessionCaps
from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX, DIALECTS, Dialect
from protocol.common.codes import BITS_PER_CHAR, CLASSIC_CODE_CHARS, CLASSIC_MIN_CODE_BITS

from .option import ListOption
from .options import SETTINGS_OPTIONS

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


def _option(name: str) -> Any:
    """A field with the default of the option ``name``."""
    default = SETTINGS_OPTIONS[name].default
    return field(default_factory=default.copy) if type(default) is dict else field(default=default)


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set. The options of the same names have the meaning, the default and the range.

    ``dialect`` is the dialect itself; its option is its name.
    """

    dialect: Dialect = DIALECTS[DEFAULT_DIALECT]
    private_profile: bool = _option("private_profile")
    prefix: str = _option("prefix")
    site: str = _option("site")
    suites: tuple[str, ...] = _option("suites")
    realm: str = _option("realm")
    require: Mapping[str, str] = _option("require")
    public: tuple[str, ...] = _option("public")
    cors: tuple[str, ...] = _option("cors")
    max_body_bytes: int = _option("max_body_bytes")
    max_stream_bytes: int = _option("max_stream_bytes")
    session_lifetime_s: int = _option("session_lifetime_s")
    ticket_lifetime_s: int = _option("ticket_lifetime_s")
    sweep_interval_s: int = _option("sweep_interval_s")
    window_ms: int = _option("window_ms")
    logins: str = _option("logins")
    logins_per_user: str = _option("logins_per_user")
    logins_per_address: str = _option("logins_per_address")
    guesses_per_address: str = _option("guesses_per_address")
    resumptions_per_address: str = _option("resumptions_per_address")
    messages_per_session: str = _option("messages_per_session")
    mail_limit: int = _option("mail_limit")
    sessions: int = _option("sessions")
    sessions_per_user: int = _option("sessions_per_user")
    trusted_proxies: tuple[str, ...] = _option("trusted_proxies")
    trusted_headers: tuple[str, ...] = _option("trusted_headers")
    code_chars: int = _option("code_chars")
    key_pool_size: int = _option("key_pool_size")
    key_queue_size: int = _option("key_queue_size")
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        if type(self.code_chars) is int and self.code_chars * BITS_PER_CHAR < CLASSIC_MIN_CODE_BITS:
            raise ConfigError(
                f"a classic code of {self.code_chars} characters can be guessed offline: "
                f"use at least {CLASSIC_CODE_CHARS}"
            )
        for name, option in SETTINGS_OPTIONS.items():
            if name != "dialect":
                option.check(name, getattr(self, name))
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(f"prefix {self.prefix!r} must be a path like {DEFAULT_PREFIX}")
        for name in ("site", "realm"):
            text = getattr(self, name)
            if not text or not text.isprintable() or len(text) > 100:
                raise ConfigError(f"{name} must be 1 to 100 printable characters on one line")
        for origin in self.cors:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"cors {origin!r} must be an origin like http://shop.example or "
                    "https://shop.example:8443, in lower case and without a path"
                )
        check_suites(self.suites)
        SuitePolicy(self.require)
        ForwardedHeaders(self.trusted_headers, ClientAddresses(self.trusted_proxies))

    @property
    def rates(self) -> dict[str, str]:
        """The rate limits by their names."""
        return {name: getattr(self, name) for name in RATES}

    def caps(self, now_ms: int) -> SessionCaps:
        """The limits on open sessions for a session that is opened now."""
        return SessionCaps(self.sessions_per_user, self.sessions, now_ms)


def settings_from(
    options: Mapping[str, Any], dialects: Mapping[str, Dialect] | None = None
) -> Settings:
    """The settings among ``options``, which can hold others too. Raises: ConfigError.

    ``dialects`` are those of gateway.toml.
    """
    names = {one.name for one in fields(Settings)}
    chosen = {name: value for name, value in options.items() if name in names}
    for name, option in SETTINGS_OPTIONS.items():
        if isinstance(option, ListOption) and name in chosen:
            if isinstance(chosen[name], str):
                raise ConfigError(f"{name} must be a list, not one string")
            chosen[name] = tuple(chosen[name])
    dialect = chosen.pop("dialect", None) or DEFAULT_DIALECT
    if isinstance(dialect, str):
        dialect = find_dialect(dialect, dialects)
    return Settings(dialect=dialect, **chosen)


def http_url(text: str) -> URL | None:
    """``text`` as a URL of http or https with a host, or None."""
    try:
        url = URL(text)
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def find_dialect(name: str, dialects: Mapping[str, Dialect] | None = None) -> Dialect:
    """A dialect by its name, first among ``dialects`` of gateway.toml. Raises: ConfigError."""
    known = {**DIALECTS, **(dialects or {})}
    if name not in known:
        raise ConfigError(f"no dialect {name!r}; there are: {', '.join(known)}")
    return known[name]
