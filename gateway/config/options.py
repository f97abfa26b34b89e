"""Every option, declared once: its name in gateway.toml, its default, its range and its help.

This module is long because it has all of them.
"""

from typing import Any

from gateway.policy.rates import NONE
from gateway.policy.suites import SUITES
from gateway.stores import MAIL_LIMIT
from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX
from protocol.common.acceptance import WINDOW_MS
from protocol.common.codes import CLASSIC_CODE_CHARS
from protocol.hardened.confirmation import TICKET_LIFETIME_MS
from protocol.hardened.suites import DEFAULT_REALM

from .option import (
    ChannelsOption,
    DemandsOption,
    ListOption,
    NumberOption,
    Option,
    RateOption,
    Section,
    SwitchOption,
    TextOption,
)

DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_WINDOW_MS = 600_000
MAX_WORKERS = 256

# Options of ``serve`` only: an application that calls ``setup`` has its own server.
SERVICE_OPTIONS: dict[str, Option] = {
    "listen": TextOption(
        section=Section.SERVICE,
        help="the address to listen on",
        default="127.0.0.1:8440",
        metavar="HOST:PORT",
    ),
    "upstream": TextOption(
        section=Section.SERVICE,
        help="the API behind the gateway, e.g. `http://127.0.0.1:9000`",
        shown_default="must be set",
        metavar="URL",
    ),
    "targets": ListOption(
        section=Section.SERVICE,
        help="forward only these paths to the upstream; name public paths here as well",
        more="See [patterns of routes](#patterns-of-routes); one argument for each path",
        shown_default="all paths",
        flag="--target",
        metavar="PATTERN",
    ),
    "upstream_host": TextOption(
        section=Section.SERVICE,
        help="the Host that the upstream receives; `upstream` means the host in its URL",
        more="See [what the API sees](serving.md#what-the-api-sees)",
        shown_default="the Host that the client sent",
        metavar="NAME",
    ),
    "any_address": SwitchOption(
        section=Section.SERVICE,
        help="let the owner of any mail address log in; otherwise set `users`",
    ),
    "workers": NumberOption(
        section=Section.SERVICE,
        help="processes that share the port and the store",
        more="See [workers](serving.md#workers)",
        default=1,
        least=1,
        most=MAX_WORKERS,
    ),
}

# Options of ``setup`` that name a part of the gateway.
PART_OPTIONS: dict[str, Option] = {
    "users": TextOption(
        section=Section.USERS,
        help="TOML file of the users, their addresses and passwords",
        more="See [users](users.md); for `setup` also `certless.AnyAddress()` or a `Directory`",
        shown_default="must be set, or `any_address`",
        metavar="FILE",
        is_path=True,
    ),
    "mail": TextOption(
        section=Section.USERS,
        help="how to send codes: `smtp://HOST`, `dir:PATH`, `console:` or `webhook:URL`",
        more="See [mail](#mail); for `setup` also a `MailTransport`",
        shown_default="must be set",
        metavar="URL",
    ),
    "channels": ChannelsOption(
        section=Section.USERS,
        help="how to send codes to addresses of another kind, e.g. `sms=webhook:URL`",
        more="See [channels](users.md#channels); a table in the file, and one argument for each "
        "kind",
        flag="--channel",
        metavar="KIND=URL",
    ),
    "second_check": TextOption(
        section=Section.USERS,
        help="another service that must accept each login, after the code was right",
        more="See [the second check](users.md#a-second-check-by-another-service)",
        metavar="URL",
    ),
    "second_check_secret": TextOption(
        section=Section.USERS,
        help="file with the secret that signs the requests to that service",
        shown_default="the variable `CERTLESS_SECOND_CHECK_SECRET`",
        metavar="FILE",
        is_path=True,
    ),
    "second_check_s": NumberOption(
        section=Section.HOW_LONG,
        help="time limit of the second check; after that, the login is refused",
        default=60,
        least=1,
        most=300,
        metavar="SECONDS",
    ),
    "mail_from": TextOption(
        section=Section.USERS,
        help="sender of the mails; ASCII only before the `@`",
        more='`"The shop <codes@shop.example>"` shows a name as well',
        default="certless@localhost",
        metavar="ADDRESS",
    ),
    "mail_helo": TextOption(
        section=Section.USERS,
        help="name of this host in EHLO: a name in DNS, or an address like `[192.0.2.7]`",
        shown_default="the name of this host if it has a domain, otherwise its address",
        metavar="NAME",
    ),
    "store": TextOption(
        section=Section.STORAGE,
        help="where sessions are stored: `memory:`, `sqlite:PATH` or `redis://HOST`",
        more="`memory:` ends with the process, `sqlite:PATH` survives a restart, and `redis://…` "
        "can be shared between machines ([redis.md](redis.md)); for `setup` also a `Store`",
        default="memory:",
        metavar="URL",
    ),
    "ticket_store": TextOption(
        section=Section.STORAGE,
        help="keep tickets here if `store` is in Redis: `sqlite:PATH` or `postgresql://HOST/NAME`",
        more="Then devices resume after Redis has lost its data ([redis.md](redis.md#tickets))",
        shown_default="in `store`",
        metavar="URL",
    ),
    "key_file": TextOption(
        section=Section.STORAGE,
        help="keys that seal the records in the store; created at the first start",
        more="See [keys](keys.md)",
        shown_default="for SQLite `PATH.key`",
        metavar="FILE",
        is_path=True,
    ),
    "audit": TextOption(
        section=Section.MONITORING,
        help="log file with one line of JSON for each login, code, session, ticket and limit",
        more="See [the audit log](watching.md#the-audit-log)",
        metavar="FILE",
        is_path=True,
    ),
    "admin": TextOption(
        section=Section.MONITORING,
        help="port for metrics and charts, without a login; on loopback if no host is given",
        more="See [the admin listener](watching.md#the-admin-listener)",
        metavar="[HOST:]PORT",
    ),
}

# Options of ``setup`` that are a value of ``Settings``.
SETTINGS_OPTIONS: dict[str, Option] = {
    "dialect": TextOption(
        section=Section.PROTOCOL,
        help="the dialect of the classic suite",
        more="See [dialects](dialects.md); in the file also a name of `[dialects.NAME]`",
        default=DEFAULT_DIALECT,
        metavar="NAME",
    ),
    "private_profile": SwitchOption(
        section=Section.MONITORING,
        help="record logins and logouts, but nothing about sealed messages",
        more="See [the private profile](watching.md#the-private-profile); `vault serve` has it on "
        "unless the file sets it to `false`",
    ),
    "prefix": TextOption(
        section=Section.PROTOCOL,
        help="the path below which the gateway itself answers",
        default=DEFAULT_PREFIX,
        metavar="PATH",
    ),
    "site": TextOption(
        section=Section.USERS,
        help="the name of this service in mails",
        default="this site",
        shown_default="`this site`; for `serve` `the service at HOST:PORT`",
        metavar="NAME",
    ),
    "suites": ListOption(
        section=Section.PROTOCOL,
        help="the suites that the gateway accepts, separated by commas",
        more="See [suites](suites.md); a list in the file",
        default=SUITES,
        metavar="NAMES",
        joined=True,
    ),
    "realm": TextOption(
        section=Section.PROTOCOL,
        help="the name of this service in the hardened suites; clients must use the same name",
        more="Services that send codes to the same mailboxes must have different realms",
        default=DEFAULT_REALM,
        metavar="NAME",
    ),
    "require": DemandsOption(
        section=Section.PROTOCOL,
        help="a route that accepts only this suite or a stronger one, e.g. `/admin/*=ecdh-gcm`",
        more="See [required suites](suites.md#routes-that-require-a-suite); a table "
        "in the file, and one argument for each route",
        default={},
        metavar="PATTERN=SUITE",
    ),
    "public": ListOption(
        section=Section.USERS,
        help="a route that needs no login, e.g. `/static/*` or `POST /contact`; "
        "without a method, GET and HEAD",
        more="See [public routes](#public-routes); one argument for each route",
        default=(),
        metavar="[METHOD ]PATTERN",
    ),
    "cors": ListOption(
        section=Section.PROTOCOL,
        help="an origin whose pages can log in and send messages here, e.g. `http://shop.example`",
        more="See [pages of other origins](#pages-of-other-origins); one argument for each origin",
        default=(),
        metavar="ORIGIN",
    ),
    "max_body_bytes": NumberOption(
        section=Section.HOW_LARGE,
        help="the largest request in its sealed form, and the largest response before the sealing",
        default=DEFAULT_MAX_BODY_BYTES,
        least=1024,
        most=2**30,
        metavar="BYTES",
    ),
    "max_stream_bytes": NumberOption(
        section=Section.HOW_LARGE,
        help="the largest body of a stream, in either direction",
        default=2**53 - 1,
        shown_default="none",
        least=1024,
        most=2**53 - 1,
        metavar="BYTES",
    ),
    "session_lifetime_s": NumberOption(
        section=Section.HOW_LONG,
        help="lifetime of a session, even if in use; in the hardened suites 12 hours at most",
        default=3600,
        least=1,
        most=30 * 86400,
        metavar="SECONDS",
    ),
    "ticket_lifetime_s": NumberOption(
        section=Section.HOW_LONG,
        help="lifetime of a ticket; after that, a device needs a new code; 0 means no tickets",
        default=TICKET_LIFETIME_MS // 1000,
        least=0,
        most=10 * 366 * 86400,
        metavar="SECONDS",
    ),
    "sweep_interval_s": NumberOption(
        section=Section.STORAGE,
        help="seconds from one removal of expired records to the next",
        default=300,
        least=1,
        most=86400,
        metavar="SECONDS",
    ),
    "window_ms": NumberOption(
        section=Section.HOW_LONG,
        help="largest difference between a message's time and the gateway's clock",
        default=WINDOW_MS,
        least=1000,
        most=MAX_WINDOW_MS,
        metavar="MS",
    ),
    "logins": RateOption(
        section=Section.HOW_OFTEN,
        help="logins of all clients together",
        more="A flood cannot make more logins than this. Open sessions continue",
        default="20 per second",
    ),
    "logins_per_user": RateOption(
        section=Section.HOW_OFTEN,
        help="logins with one user name, known or not",
        default="10 per 15 minutes",
    ),
    "logins_per_address": RateOption(
        section=Section.HOW_OFTEN,
        help="logins from one IPv4 address or one IPv6 /64",
        default="60 per 15 minutes",
    ),
    "guesses_per_address": RateOption(
        section=Section.HOW_OFTEN,
        help="codes tried from one address, in all its logins together",
        default="300 per 15 minutes",
    ),
    "resumptions_per_address": RateOption(
        section=Section.HOW_OFTEN,
        help="tickets used from one address",
        default="600 per 15 minutes",
    ),
    "messages_per_session": RateOption(
        section=Section.HOW_OFTEN,
        help="messages of one session; the response 429 is sealed",
        default=NONE,
    ),
    "mail_limit": NumberOption(
        section=Section.HOW_MANY,
        help="logins of one user in 15 minutes that send mail; each such login sends a mail to "
        "every address of the user",
        more="Later logins get the same response but no mail",
        default=MAIL_LIMIT,
        least=1,
        most=1000,
    ),
    "sessions": NumberOption(
        section=Section.HOW_MANY,
        help="open sessions of all users; 0 means no limit",
        default=100_000,
        least=0,
        most=10**9,
    ),
    "sessions_per_user": NumberOption(
        section=Section.HOW_MANY,
        help="open sessions of one user; 0 means no limit",
        default=100,
        least=0,
        most=10**9,
    ),
    "trusted_proxies": ListOption(
        section=Section.USERS,
        help="address or network of a reverse proxy whose X-Forwarded-For is trusted",
        more="See [behind a reverse proxy](limits.md#behind-a-reverse-proxy); one argument for "
        "each proxy",
        default=(),
        flag="--trusted-proxy",
        metavar="NETWORK",
    ),
    "trusted_headers": ListOption(
        section=Section.USERS,
        help="a header that the trusted proxies set themselves, e.g. `X-Forwarded-Proto`",
        more="Possible are `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Port`, or "
        "`Forwarded` alone; see [behind a reverse proxy](limits.md#behind-a-reverse-proxy); one "
        "argument for each header",
        default=(),
        flag="--trusted-header",
        metavar="NAME",
    ),
    "code_chars": NumberOption(
        section=Section.HOW_LARGE,
        help="length of a classic code; codes of the hardened suites have 8",
        default=CLASSIC_CODE_CHARS,
        least=CLASSIC_CODE_CHARS,
        most=64,
    ),
    "key_pool_size": NumberOption(
        section=Section.STORAGE,
        help="RSA key pairs kept ready for logins in `rsa-gcm` and classic",
        default=16,
        least=1,
        most=1024,
    ),
    "key_queue_size": NumberOption(
        section=Section.HOW_MANY,
        help="logins in `rsa-gcm` and classic that wait for an RSA key pair; 0 means no limit",
        default=64,
        least=0,
        most=10**6,
    ),
}

SETUP_OPTIONS: dict[str, Option] = {**PART_OPTIONS, **SETTINGS_OPTIONS}
OPTIONS: dict[str, Option] = {**SERVICE_OPTIONS, **SETUP_OPTIONS}


def default_of(name: str) -> Any:
    """The default of an option."""
    return OPTIONS[name].default
