"""``certless.setup`` and ``certless.reverse_proxy``: in front of an aiohttp application."""

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.build import assemble
from gateway.config.settings import DEFAULT_MAX_BODY_BYTES
from gateway.events import Watcher
from gateway.mail.transports import MailTransport
from gateway.policy.suites import SUITES
from gateway.stores import Store
from gateway.users.directory import Directory
from protocol.classic.dialects import DEFAULT_DIALECT, Dialect

from .app import install
from .reverse_proxy import Proxy


def setup(
    app: web.Application,
    *,
    users: str | Path | Directory,
    mail: str | MailTransport,
    store: str | Store = "memory:",
    dialect: str | Dialect = DEFAULT_DIALECT,
    public: Iterable[str] = (),
    suites: Iterable[str] = SUITES,
    key_file: str | Path | None = None,
    mail_from: str = "certless@localhost",
    mail_helo: str | None = None,
    watch: Watcher | None = None,
    audit: str | Path | None = None,
    admin: str | socket.socket | None = None,
    **settings: Any,
) -> None:
    """Put Certless in front of every route of ``app``; call it once, before the app starts.

    ``users``     a TOML file of users, ``AnyAddress()``, or a Directory of your own
    ``mail``      ``smtp://HOST:PORT``, ``dir:PATH``, ``console:``, ``webhook:URL``, or a
                  MailTransport
    ``store``     ``memory:``, ``sqlite:PATH``, ``redis://...``, or a Store
    ``dialect``   a name from PROTOCOL §2, or a Dialect of your own
    ``public``    patterns of routes that need no login; every other is protected
    ``suites``    what is spoken, of ``ecdh-gcm``, ``rsa-gcm`` and ``classic``
    ``key_file``  what seals a store's secrets; for SQLite ``PATH.key`` unless named
    ``watch``     is called with each ``Event``, on the event loop
    ``audit``     a file that gets a line of JSON for each login, session, ticket and limit
    ``admin``     where figures are served: ``PORT`` of loopback or ``HOST:PORT``, without a login

    The rest are fields of ``Settings``. Raises: ConfigError, in one line.
    """
    assembly = assemble(
        users=users,
        mail=mail,
        store=store,
        dialect=dialect,
        public=public,
        suites=suites,
        key_file=key_file,
        mail_from=mail_from,
        mail_helo=mail_helo,
        watch=watch,
        audit=audit,
        admin=admin,
        **settings,
    )
    install(app, assembly)


def reverse_proxy(
    upstream: str,
    *,
    targets: Iterable[str] | None = None,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    **options: Any,
) -> web.Application:
    """An application that is Certless in front of an upstream by URL.

    ``targets`` are patterns of the paths that are passed on, all without them; ``options`` are
    those of ``setup``.
    Raises: ConfigError, in one line.
    """
    app = web.Application()
    proxy = Proxy(upstream, targets=targets, max_body_bytes=max_body_bytes)
    setup(app, max_body_bytes=max_body_bytes, **options)
    app.cleanup_ctx.append(proxy.lifespan)
    app.on_response_prepare.append(proxy.tidy)
    app.router.add_route("*", "/{path:.*}", proxy.forward)
    return app
