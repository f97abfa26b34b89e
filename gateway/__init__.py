"""Certless: encrypted, authenticated HTTP where TLS cannot go.

``setup(app, users=..., mail=...)`` puts it in front of any aiohttp application. Handlers stay as
they are; they find the session under ``request[SESSION]``, the user's name under ``request[USER]``.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from protocol.dialects import DEFAULT_DIALECT, Dialect
from protocol.exchange import TAG_KEY_BYTES, ServerExchange, SessionKeys
from protocol.handshake_server import HandshakeServer
from protocol.hardened_suites import HARDENED_SUITES, RSA_GCM
from protocol.primitives import RsaPrivateKey
from protocol.suites import Classic

from .classic_routes import ClassicRoutes
from .code_mails import CodeMails
from .config import DEFAULT_MAX_BODY_BYTES, Settings, find_dialect
from .courier import Courier
from .delivery import CodeMail, Delivery, delivery_from_url
from .directory import Account, AnyAddress, Directory, TomlDirectory
from .errors import ConfigError, GatewayError, MailNotSent
from .events import Event, Events, Watcher
from .hardened_login import HardenedLogin
from .hardened_routes import HardenedRoutes
from .hardened_sessions import HardenedSessions
from .inner import SESSION, USER, log_failure
from .keypool import KeyPool
from .keyring import KeyRing
from .login import Login
from .middleware import Middleware
from .proxy import Proxy
from .requirements import CLASSIC, SUITES
from .resumption import Resumption
from .sessions import Session, Sessions
from .stores import Store
from .stores.memory import MemoryStore
from .stores.sqlite import SqliteStore
from .timed_store import timed

__version__ = "0.1.0"

__all__ = [
    "SESSION",
    "USER",
    "Account",
    "AnyAddress",
    "CodeMail",
    "ConfigError",
    "Delivery",
    "Directory",
    "Event",
    "GatewayError",
    "MailNotSent",
    "Session",
    "Settings",
    "Store",
    "reverse_proxy",
    "setup",
]


class _Lifespan:
    """Starts and ends, with the application, what works beside the requests."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        sessions: Sessions,
        hardened: HardenedSessions,
        courier: Courier,
        pool: KeyPool,
    ) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._hardened = hardened
        self._courier = courier
        self._pool = pool

    async def __call__(self, _: web.Application) -> AsyncIterator[None]:
        await self._store.open()
        if set(self._settings.suites) & {CLASSIC, RSA_GCM.name}:
            self._pool.start()
        sweeper = asyncio.create_task(self._sweep())
        yield
        sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)
        await self._courier.close()
        await self._pool.close()
        await self._store.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sweep_interval_s)
            try:
                await self._hardened.sweep(self._settings.clock())
                await self._sessions.sweep()
            except GatewayError as error:
                log_failure("sweep", error)


def setup(
    app: web.Application,
    *,
    users: str | Path | Directory,
    mail: str | Delivery,
    store: str | Store = "memory:",
    dialect: str | Dialect = DEFAULT_DIALECT,
    public: Iterable[str] = (),
    suites: Iterable[str] = SUITES,
    key_file: str | Path | None = None,
    mail_from: str = "certless@localhost",
    watch: Watcher | None = None,
    **settings: Any,
) -> None:
    """Put Certless in front of every route of ``app``; call it once, before the app starts.

    ``users``     a TOML file of users, ``AnyAddress()``, or a Directory of your own
    ``mail``      ``smtp://HOST:PORT``, ``dir:PATH``, ``console:``, ``webhook:URL``, or a Delivery
    ``store``     ``memory:``, ``sqlite:PATH``, or a Store
    ``dialect``   a name from PROTOCOL §2, or a Dialect of your own
    ``public``    patterns of routes that need no login; every other is protected
    ``suites``    what is spoken, of ``ecdh-gcm``, ``rsa-gcm`` and ``classic``
    ``key_file``  what seals a store's secrets; for SQLite ``PATH.key`` unless named
    ``watch``     is called with each ``Event``, on the event loop

    The rest are fields of ``Settings``. Raises: ConfigError, in one line.
    """
    for name, given in (("public", public), ("suites", suites)):
        if isinstance(given, str):
            raise ConfigError(f"{name} is a list, not one string")
    try:
        chosen = Settings(
            dialect=find_dialect(dialect) if isinstance(dialect, str) else dialect,
            public=tuple(public),
            suites=tuple(suites),
            **settings,
        )
    except TypeError as error:
        raise ConfigError(str(error).replace("Settings.__init__()", "setup()")) from None
    directory = users if isinstance(users, Directory) else TomlDirectory.from_file(Path(users))
    delivery = mail if isinstance(mail, Delivery) else delivery_from_url(mail, mail_from)
    keeper = store if isinstance(store, Store) else _store_from_url(store)
    keyring = _keyring(store, key_file)

    events = Events(*([watch] if watch else []))
    if events.watched:
        keeper = timed(keeper, events)
    key_pool = KeyPool(chosen.key_pool_size, events)
    courier = Courier(delivery, events)
    mails = CodeMails(chosen, keeper, courier)
    middleware = Middleware(app, chosen, events)

    suite = Classic(chosen.dialect)
    lifetime_ms = chosen.session_lifetime_s * 1000
    sessions = Sessions(keeper, keyring, chosen.clock, suite.name, lifetime_ms, events)
    classic = None
    if CLASSIC in chosen.suites:
        exchange = ServerExchange(suite, _decoy(), secrets.token_bytes, chosen.window_ms)
        login = Login(chosen, exchange, sessions, directory, mails, key_pool, events)
        classic = ClassicRoutes(chosen, exchange, sessions, login, middleware.dispatch)

    accepted = tuple(name for name in chosen.suites if name in HARDENED_SUITES)
    server = HandshakeServer(chosen.realm, accepted)
    hardened = HardenedSessions(keeper, keyring, accepted, events)
    kept = (keeper, keyring, directory)
    middleware.serve(
        HardenedRoutes(
            chosen,
            HardenedLogin(chosen, server, hardened, *kept, mails, key_pool, events),
            Resumption(chosen, server, hardened, *kept, key_pool, events),
            hardened,
            middleware.dispatch,
            events,
        ),
        classic,
    )

    app.middlewares.insert(0, middleware.handle)
    for path in middleware.own_paths:
        # The middleware answers before these; without them aiohttp would build a 404 each time.
        app.router.add_route("*", path, _not_found)
    app.cleanup_ctx.append(_Lifespan(chosen, keeper, sessions, hardened, courier, key_pool))


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


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


def _store_from_url(url: str) -> Store:
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme == "sqlite" and rest:
        return SqliteStore(Path(rest))
    raise ConfigError(f"store {url!r} must be memory: or sqlite:PATH")


def _keyring(store: str | Store, key_file: str | Path | None) -> KeyRing:
    if key_file is not None:
        return KeyRing.from_file(Path(key_file))
    if isinstance(store, str) and store.startswith("sqlite:"):
        return KeyRing.from_file(Path(store.removeprefix("sqlite:") + ".key"))
    return KeyRing.ephemeral()


def _decoy() -> SessionKeys:
    pair = RsaPrivateKey.generate()
    return SessionKeys(pair, pair.public, secrets.token_bytes(TAG_KEY_BYTES))
