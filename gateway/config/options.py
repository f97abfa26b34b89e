"""Every option by its name in gateway.toml: the settings, and what names the gateway's parts."""

from typing import Any

from .option import (
    ChannelsOption,
    ListOption,
    NumberOption,
    Option,
    Section,
    SwitchOption,
    TextOption,
    options_of,
)
from .settings import Settings

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
        more="See [patterns of routes](#patterns-of-routes); one argument for each",
        shown_default="all paths",
        flag="--target",
        metavar="PATTERN",
    ),
    "upstream_host": TextOption(
        section=Section.SERVICE,
        help="the Host that the upstream receives; `upstream` for the host in its URL",
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
        more="See [channels](users.md#channels); a table in the file, and one argument for each",
        flag="--channel",
        metavar="KIND=URL",
    ),
    "second_check": TextOption(
        section=Section.USERS,
        help="a service that must confirm each login after its code",
        more="See [the second check](users.md#a-second-check-by-another-service)",
        metavar="URL",
    ),
    "second_check_secret": TextOption(
        section=Section.USERS,
        help="file with the secret that signs these requests",
        shown_default="the variable `CERTLESS_SECOND_CHECK_SECRET`",
        metavar="FILE",
        is_path=True,
    ),
    "second_check_s": NumberOption(
        section=Section.HOW_LONG,
        help="how long the service of the second check can take; then the login is refused",
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
        more="Without it, the name of this host if it has a domain, otherwise its address",
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

SETUP_OPTIONS: dict[str, Option] = {**PART_OPTIONS, **options_of(Settings)}
OPTIONS: dict[str, Option] = {**SERVICE_OPTIONS, **SETUP_OPTIONS}


def default_of(name: str) -> Any:
    """The default of an option."""
    return OPTIONS[name].default
