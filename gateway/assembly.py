"""What stands behind a middleware, whatever framework it is for: wired here, once."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from protocol.dialects import DEFAULT_DIALECT, Dialect
from protocol.exchange import TAG_KEY_BYTES, ServerExchange, SessionKeys
from protocol.handshake_server import HandshakeServer
from protocol.hardened_suites import HARDENED_SUITES
from protocol.primitives import RsaPrivateKey
from protocol.suites import Classic

from .admin import Admin, Place
from .audit import AuditLog
from .classic_routes import ClassicRoutes
from .code_mails import CodeMails
from .config import Settings, find_dialect
from .courier import Courier
from .delivery import Delivery
from .departures import Departures
from .directory import Directory, TomlDirectory
from .errors import ConfigError, GatewayError
from .events import Events, Watcher
from .hardened_login import HardenedLogin
from .hardened_routes import HardenedRoutes
from .hardened_sessions import HardenedSessions
from .keypool import KeyPool
from .keyring import VARIABLE, KeyRing
from .lifetimes import Lifetimes
from .limits import Limits
from .login import Login
from .mail_url import delivery_from_url
from .metrics import Metrics
from .middleware import Middleware
from .reloads import Reloads
from .requirements import CLASSIC, SUITES, needs_keys
from .resumption import Resumption
from .sessions import Sessions
from .stores import Store
from .stores.urls import default_key_file, is_redis, store_from_url
from .timed_store import timed
from .user_tags import UserTags

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class Assembly:
    """The middleware, and what works beside the requests."""

    settings: Settings
    middleware: Middleware
    store: Store
    tags: UserTags
    sessions: Sessions
    hardened: HardenedSessions
    lifetimes: Lifetimes
    courier: Courier
    key_pool: KeyPool
    reloads: Reloads
    audit: AuditLog | None
    admin: Admin | None

    async def lifespan(self) -> AsyncIterator[None]:
        """Starts what works beside the requests, yields once, and ends it."""
        async with AsyncExitStack() as stack:
            if self.audit:
                stack.callback(self.audit.close)
            await self.store.open()
            stack.push_async_callback(self.store.close)
            await self.tags.open()
            if self.admin:
                await stack.enter_async_context(self.admin.listening())
            if needs_keys(self.settings.suites):
                self.key_pool.start()
            stack.push_async_callback(self.key_pool.close)
            stack.push_async_callback(self.courier.close)
            stack.push_async_callback(self.courier.finish)
            sweeper = asyncio.create_task(self._keep_sweeping())
            stack.push_async_callback(asyncio.wait, [sweeper])
            stack.callback(sweeper.cancel)
            yield

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_interval_s)
            try:
                await self.sweep()
            except GatewayError as error:
                _log.error("not swept: %s", error)

    async def sweep(self) -> None:
        """Forget what has expired. Raises: StoreUnavailable."""
        # A store may have lost all that it had.
        await self.tags.open()
        await self.hardened.sweep(self.settings.clock())
        await self.sessions.sweep()
        await self.lifetimes.sweep(self.settings.clock())


def assemble(
    *,
    users: str | Path | Directory,
    mail: str | Delivery,
    store: str | Store = "memory:",
    dialect: str | Dialect = DEFAULT_DIALECT,
    public: Iterable[str] = (),
    suites: Iterable[str] = SUITES,
    key_file: str | Path | None = None,
    mail_from: str = "certless@localhost",
    mail_helo: str | None = None,
    watch: Watcher | None = None,
    audit: str | Path | None = None,
    admin: Place | None = None,
    **settings: Any,
) -> Assembly:
    """All parts, from the options of ``gateway.setup``. Raises: ConfigError, in one line."""
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
    delivery = mail if isinstance(mail, Delivery) else delivery_from_url(mail, mail_from, mail_helo)
    keeper = store if isinstance(store, Store) else store_from_url(store, chosen.clock)
    keyring = _keyring(store, key_file)

    events = Events(*([watch] if watch else []))
    registry = CollectorRegistry()
    if admin is not None:
        events.watch(Metrics(registry))
    audit_log = AuditLog(Path(audit), events, chosen.clock) if audit else None
    if audit_log:
        events.watch(audit_log)
    if events.watched:
        keeper = timed(keeper, events)
    lifetimes = Lifetimes(keeper, events, chosen.clock, chosen.sweep_interval_s * 1000)
    listener = None
    if admin is not None:
        own = (keeper, keyring, chosen.clock)
        listener = Admin(admin, registry, *own, needs_keys=needs_keys(chosen.suites))
    key_pool = KeyPool(chosen.key_pool_size, events, chosen.key_queue_size)
    courier = Courier(delivery, events)
    tags = UserTags(keeper, keyring)
    mails = CodeMails(chosen, keeper, tags, courier)
    limits = Limits(chosen, keeper, tags)
    middleware = Middleware(chosen, limits, tags, events)

    suite = Classic(chosen.dialect)
    lifetime_ms = chosen.session_lifetime_s * 1000
    sessions = Sessions(keeper, keyring, chosen.clock, suite.name, lifetime_ms, events)
    classic = None
    if CLASSIC in chosen.suites:
        exchange = ServerExchange(suite, _decoy(), secrets.token_bytes, chosen.window_ms)
        login = Login(chosen, exchange, sessions, tags, directory, mails, key_pool, limits, events)
        classic = ClassicRoutes(chosen, exchange, sessions, login, middleware.dispatch)

    accepted = tuple(name for name in chosen.suites if name in HARDENED_SUITES)
    server = HandshakeServer(chosen.realm, accepted)
    hardened = HardenedSessions(keeper, keyring, tags, accepted, events)
    kept = (keeper, keyring, tags, directory)
    middleware.serve(
        HardenedRoutes(
            chosen,
            HardenedLogin(chosen, server, hardened, *kept, mails, key_pool, limits, events),
            Resumption(chosen, server, hardened, *kept, key_pool, limits, events),
            hardened,
            middleware.dispatch,
            limits,
            events,
        ),
        classic,
    )
    reloads = Reloads()
    reloads.add("users", Departures(directory, keeper, tags, events).reload)
    reloads.add("keys", keyring.reload)
    if audit_log:
        reloads.add("audit log", audit_log.reload)
    beside = (lifetimes, courier, key_pool, reloads, audit_log, listener)
    return Assembly(chosen, middleware, keeper, tags, sessions, hardened, *beside)


def _keyring(store: str | Store, key_file: str | Path | None) -> KeyRing:
    path = None if key_file is None else Path(key_file)
    if isinstance(store, Store):
        return KeyRing.chosen(path)
    if is_redis(store) and path is None and KeyRing.from_environment() is None:
        raise ConfigError(
            "gateways on one Redis share the keys that seal it: name their file with --key-file, "
            f"or put the keys into {VARIABLE}"
        )
    return KeyRing.chosen(path, default_key_file(store))


@cache
def _decoy() -> SessionKeys:
    """What a message of nobody's session is opened with: it never opens, so one does for all."""
    pair = RsaPrivateKey.generate()
    return SessionKeys(pair, pair.public, secrets.token_bytes(TAG_KEY_BYTES))
