"""Settings of a gateway: frozen, and checked once.

The module is long because it declares each option: its type, its range and its help.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from yarl import URL

from gateway.clock import Clock, system_clock
from gateway.errors import ConfigError
from gateway.policy.client_address import ClientAddresses
from gateway.policy.forwarded import ForwardedHeaders
from gateway.policy.rates import NONE, RATES
from gateway.policy.routes import SuitePolicy
from gateway.policy.suites import SUITES, check_suites
from gateway.stores import MAIL_LIMIT, SessionCaps
from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX, DIALECTS, Dialect
from protocol.common.acceptance import WINDOW_MS
from protocol.common.codes import BITS_PER_CHAR, CLASSIC_CODE_CHARS, CLASSIC_MIN_CODE_BITS
from protocol.hardened.confirmation import TICKET_LIFETIME_MS
from protocol.hardened.suites import DEFAULT_REALM

from .option import (
    DemandsOption,
    ListOption,
    NumberOption,
    RateOption,
    Section,
    TextOption,
    options_of,
    setting,
)

DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_WINDOW_MS = 600_000

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, and its limits. Each field with an option is documented there."""

    dialect: Dialect = setting(
        TextOption(
            section=Section.PROTOCOL,
            help="the dialect of the classic suite",
            more="See [dialects](dialects.md); in the file also a name of `[dialects.NAME]`",
            default=DEFAULT_DIALECT,
            metavar="NAME",
        ),
        DIALECTS[DEFAULT_DIALECT],
    )
    prefix: str = setting(
        TextOption(
            section=Section.PROTOCOL,
            help="the path below which the gateway itself answers",
            default=DEFAULT_PREFIX,
            metavar="PATH",
        )
    )
    site: str = setting(
        TextOption(
            section=Section.USERS,
            help="the name of this service in mails",
            default="this site",
            shown_default="`this site`; for `serve` `the service at HOST:PORT`",
            metavar="NAME",
        )
    )
    suites: tuple[str, ...] = setting(
        ListOption(
            section=Section.PROTOCOL,
            help="the suites that the gateway accepts, separated by commas",
            more="See [suites](suites.md); a list in the file",
            default=SUITES,
            metavar="NAMES",
            joined=True,
        )
    )
    realm: str = setting(
        TextOption(
            section=Section.PROTOCOL,
            help="the name of this service in the hardened suites; clients must use the same name",
            more="Services that send codes to the same mailboxes should have different realms",
            default=DEFAULT_REALM,
            metavar="NAME",
        )
    )
    require: Mapping[str, str] = setting(
        DemandsOption(
            section=Section.PROTOCOL,
            help="a route that accepts only this suite or a stronger one, e.g. `/admin/*=ecdh-gcm`",
            more="See [required suites](suites.md#routes-that-require-a-suite); a table "
            "in the file, and one argument for each route",
            default={},
            metavar="PATTERN=SUITE",
        )
    )
    public: tuple[str, ...] = setting(
        ListOption(
            section=Section.USERS,
            help="a route that needs no login, e.g. `/static/*` or `POST /contact`; "
            "without a method, GET and HEAD",
            more="See [public routes](#public-routes); one argument for each",
            default=(),
            metavar="[METHOD ]PATTERN",
        )
    )
    cors: tuple[str, ...] = setting(
        ListOption(
            section=Section.PROTOCOL,
            help="an origin whose pages can log in and send messages here, e.g. "
            "`http://shop.example`",
            more="See [pages of other origins](#pages-of-other-origins); one argument for each",
            default=(),
            metavar="ORIGIN",
        )
    )
    max_body_bytes: int = setting(
        NumberOption(
            section=Section.HOW_LARGE,
            help="the largest request as it is sent, and the largest response before it is sealed",
            default=DEFAULT_MAX_BODY_BYTES,
            least=1024,
            most=2**30,
            metavar="BYTES",
        )
    )
    max_stream_bytes: int = setting(
        NumberOption(
            section=Section.HOW_LARGE,
            help="the largest body of a stream, in either direction",
            default=2**53 - 1,
            shown_default="none",
            least=1024,
            most=2**53 - 1,
            metavar="BYTES",
        )
    )
    session_lifetime_s: int = setting(
        NumberOption(
            section=Section.HOW_LONG,
            help="lifetime of a session, even if in use; in the hardened suites 12 hours at most",
            default=3600,
            least=1,
            most=30 * 86400,
            metavar="SECONDS",
        )
    )
    ticket_lifetime_s: int = setting(
        NumberOption(
            section=Section.HOW_LONG,
            help="how long a device can stay away before it needs a new code; 0 means no tickets",
            default=TICKET_LIFETIME_MS // 1000,
            least=0,
            most=10 * 366 * 86400,
            metavar="SECONDS",
        )
    )
    sweep_interval_s: int = setting(
        NumberOption(
            section=Section.STORAGE,
            help="seconds between two removals of expired records",
            default=300,
            least=1,
            most=86400,
            metavar="SECONDS",
        )
    )
    window_ms: int = setting(
        NumberOption(
            section=Section.HOW_LONG,
            help="largest difference between a message's time and the gateway's clock",
            default=WINDOW_MS,
            least=1000,
            most=MAX_WINDOW_MS,
            metavar="MS",
        )
    )
    logins: str = setting(
        RateOption(
            section=Section.HOW_OFTEN,
            help="logins of all clients together",
            more="A flood cannot make more logins than this, and open sessions continue",
            default="20 per second",
        )
    )
    logins_per_user: str = setting(
        RateOption(
            section=Section.HOW_OFTEN,
            help="logins with one user name, known or not",
            default="10 per 15 minutes",
        )
    )
    logins_per_address: str = setting(
        RateOption(
            section=Section.HOW_OFTEN,
            help="logins from one IPv4 address or one IPv6 /64",
            default="60 per 15 minutes",
        )
    )
    guesses_per_address: str = setting(
        RateOption(
            section=Section.HOW_OFTEN,
            help="codes tried from one address, over all its logins",
            default="300 per 15 minutes",
        )
    )
    resumptions_per_address: str = setting(
        RateOption(
            section=Section.HOW_OFTEN,
            help="tickets used from one address",
            default="600 per 15 minutes",
        )
    )
    messages_per_session: str = setting(
        RateOption(
            section=Section.HOW_OFTEN,
            help="messages of one session; the error response is sealed",
            default=NONE,
        )
    )
    mail_limit: int = setting(
        NumberOption(
            section=Section.HOW_MANY,
            help="mails to one user in 15 minutes",
            more="Later logins get the same response but no mail",
            default=MAIL_LIMIT,
            least=1,
            most=1000,
        )
    )
    sessions: int = setting(
        NumberOption(
            section=Section.HOW_MANY,
            help="open sessions of all users; 0 means no limit",
            default=100_000,
            least=0,
            most=10**9,
        )
    )
    sessions_per_user: int = setting(
        NumberOption(
            section=Section.HOW_MANY,
            help="open sessions of one user; 0 means no limit",
            default=100,
            least=0,
            most=10**9,
        )
    )
    trusted_proxies: tuple[str, ...] = setting(
        ListOption(
            section=Section.USERS,
            help="address or network of a reverse proxy whose X-Forwarded-For is trusted",
            more="See [behind a reverse proxy](limits.md#behind-a-reverse-proxy); one argument for "
            "each",
            default=(),
            flag="--trusted-proxy",
            metavar="NETWORK",
        )
    )
    trusted_headers: tuple[str, ...] = setting(
        ListOption(
            section=Section.USERS,
            help="a header that those proxies set themselves, e.g. `X-Forwarded-Proto`",
            more="Also `X-Forwarded-Host` and `X-Forwarded-Port`, or only `Forwarded`; see "
            "[behind a reverse proxy](limits.md#behind-a-reverse-proxy); one argument for each",
            default=(),
            flag="--trusted-header",
            metavar="NAME",
        )
    )
    code_chars: int = setting(
        NumberOption(
            section=Section.HOW_LARGE,
            help="length of a classic code; codes of the hardened suites have 8",
            default=CLASSIC_CODE_CHARS,
            least=CLASSIC_CODE_CHARS,
            most=64,
        )
    )
    key_pool_size: int = setting(
        NumberOption(
            section=Section.STORAGE,
            help="RSA key pairs kept ready for logins in `rsa-gcm` and classic",
            default=16,
            least=1,
            most=1024,
        )
    )
    key_queue_size: int = setting(
        NumberOption(
            section=Section.HOW_MANY,
            help="logins in `rsa-gcm` and classic that wait for an RSA key pair; 0 means no limit",
            default=64,
            least=0,
            most=10**6,
        )
    )
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        if type(self.code_chars) is int and self.code_chars * BITS_PER_CHAR < CLASSIC_MIN_CODE_BITS:
            raise ConfigError(
                f"a classic code of {self.code_chars} characters can be guessed offline: "
                f"use at least {CLASSIC_CODE_CHARS}"
            )
        for name, option in options_of(Settings).items():
            if name != "dialect":  # the field holds the dialect itself, the option names it
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
    for name, option in options_of(Settings).items():
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
