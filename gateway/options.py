"""The options of ``certless.setup`` and ``certless.asgi.Certless`` as keywords, for type checkers.

Names and types only: ranges, defaults and help are declared in ``gateway.config``, and a test holds
the two together.
"""

import socket
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Required, TypedDict

from gateway.clock import Clock
from gateway.errors import ConfigError
from gateway.events import Watcher
from gateway.mail.transports import MailTransport
from gateway.stores import Store
from gateway.users.directory import Directory
from protocol.classic.dialects import Dialect


class SetupOptions(TypedDict, total=False):
    """docs/options.md and docs/limits.md explain each option.

    ``users``  a TOML file of users, ``AnyAddress()``, or a Directory of your own
    ``mail``   ``smtp://HOST:PORT``, ``dir:PATH``, ``console:``, ``webhook:URL``, or a MailTransport
    ``watch``  is called with each ``Event``, on the event loop
    """

    users: Required[str | Path | Directory]
    mail: Required[str | MailTransport]
    channels: Mapping[str, str]
    second_check: str | None
    second_check_secret: str | Path | None
    second_check_s: int
    mail_from: str
    mail_helo: str | None
    store: str | Store
    ticket_store: str | None
    key_file: str | Path | None
    audit: str | Path | None
    admin: str | socket.socket | None
    watch: Watcher | None
    clock: Clock

    private_profile: bool
    dialect: str | Dialect
    prefix: str
    site: str
    suites: Iterable[str]
    realm: str
    require: Mapping[str, str]
    public: Iterable[str]
    cors: Iterable[str]
    max_body_bytes: int
    max_stream_bytes: int
    session_lifetime_s: int
    ticket_lifetime_s: int
    sweep_interval_s: int
    window_ms: int
    logins: str
    logins_per_user: str
    logins_per_address: str
    guesses_per_address: str
    resumptions_per_address: str
    messages_per_session: str
    mail_limit: int
    sessions: int
    sessions_per_user: int
    trusted_proxies: Iterable[str]
    trusted_headers: Iterable[str]
    code_chars: int
    key_pool_size: int
    key_queue_size: int


def check_names(given: Collection[str]) -> None:
    """Check that the options exist, and that none that must be set is missing.

    Raises: ConfigError.
    """
    for name in given:
        if name not in SetupOptions.__annotations__:
            near = get_close_matches(name, SetupOptions.__annotations__, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ": see docs/options.md"
            raise ConfigError(f"there is no option {name!r}{hint}")
    for name, example in (("users", "'users.toml'"), ("mail", "'smtp://127.0.0.1'")):
        if name not in given:
            raise ConfigError(f"the option {name} is missing, e.g. {name}={example}")
