"""What stands behind a middleware, whatever framework it is for: wired here, once."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.dialects import DEFAULT_DIALECT, Dialect
from protocol.exchange import TAG_KEY_BYTES, ServerExchange, SessionKeys
from protocol.handshake_server import HandshakeServer
from protocol.hardened_suites import HARDENED_SUITES, RSA_GCM
from protocol.primitives import RsaPrivateKey
from protocol.suites import Classic

from .classic_routes import ClassicRoutes
from .code_mails import CodeMails
from .config import Settings, find_dialect
from .courier import Courier
from .delivery import Delivery, delivery_from_url
from .departures import Departures
from .directory import Directory, TomlDirectory
from .errors import ConfigError, GatewayError
from .events import Events, Watcher
from .hardened_login import HardenedLogin
from .hardened_routes import HardenedRoutes
from .hardened_sessions import HardenedSessions
from .inner import log_failure
from .keypool import KeyPool
from .keyring import KeyRing
from .login import Login
from .middleware import Middleware
from .reloads import Reloads
from .requirements import CLASSIC, SUITES
from .resumption import Resumption
from .sessions import Sessions
from .stores import Store
from .stores.memory import MemoryStore
from .stores.sqlite import SqliteStore
from .timed_store import timed


@dataclass(frozen=True, slots=True)
class Assembly:
    """The middleware, and what works beside the requests."""

    settings: Settings
    middleware: Middleware
    store: Store
    sessions: Sessions
    hardened: HardenedSessions
    courier: Courier
    key_pool: KeyPool
    reloads: Reloads

    async def lifespan(self) -> AsyncIterator[None]:
        """Starts what works beside the requests, yields once, and ends it."""
        await self.store.open()
        if set(self.settings.suites) & {CLASSIC, RSA_GCM.name}:
            self.key_pool.start()
        sweeper = asyncio.create_task(self._keep_sweeping())
        yield
        sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)
        await self.courier.close()
        await self.key_pool.close()
        await self.store.close()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_interval_s)
            try:
                await self.sweep()
            except GatewayError as error:
                log_failure("sweep", error)

    async def sweep(self) -> None:
        """Forget what has expired. Raises: StoreUnavailable."""
        await self.hardened.sweep(self.settings.clock())
        await self.sessions.sweep()


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
    watch: Watcher | None = None,
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
    delivery = mail if isinstance(mail, Delivery) else delivery_from_url(mail, mail_from)
    keeper = store if isinstance(store, Store) else store_from_url(store)
    keyring = _keyring(store, key_file)

    events = Events(*([watch] if watch else []))
    if events.watched:
        keeper = timed(keeper, events)
    key_pool = KeyPool(chosen.key_pool_size, events)
    courier = Courier(delivery, events)
    mails = CodeMails(chosen, keeper, courier)
    middleware = Middleware(chosen, events)

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
    reloads = Reloads()
    reloads.add("users", Departures(directory, keeper).reload)
    reloads.add("keys", keyring.reload)
    return Assembly(chosen, middleware, keeper, sessions, hardened, courier, key_pool, reloads)


def store_from_url(url: str) -> Store:
    """Raises: ConfigError."""
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme == "sqlite" and rest:
        return SqliteStore(Path(rest))
    raise ConfigError(f"store {url!r} must be memory: or sqlite:PATH")


def _keyring(store: str | Store, key_file: str | Path | None) -> KeyRing:
    is_file = isinstance(store, str) and store.startswith("sqlite:")
    default = Path(f"{str(store).removeprefix('sqlite:')}.key") if is_file else None
    return KeyRing.chosen(None if key_file is None else Path(key_file), default)


def _decoy() -> SessionKeys:
    pair = RsaPrivateKey.generate()
    return SessionKeys(pair, pair.public, secrets.token_bytes(TAG_KEY_BYTES))
