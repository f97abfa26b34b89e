"""Build all parts of a gateway and connect them, independent of the framework."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from gateway.checks.second_check import SecondCheck
from gateway.checks.webhook import CheckWebhook, check_webhook
from gateway.config.options import OPTIONS, default_of
from gateway.config.reload import Reloads
from gateway.config.settings import Settings, settings_from
from gateway.keys.keyring import VARIABLE, KeyRing
from gateway.keys.rsa_pool import KeyPool
from gateway.keys.user_tags import UserTags
from gateway.login.classic import Login
from gateway.login.hardened import HardenedLogin
from gateway.login.resumption import Resumption
from gateway.login.services import LoginServices
from gateway.mail.channels import channels_from
from gateway.mail.codes import CodeMails
from gateway.mail.queue import MailQueue
from gateway.mail.transports import MailTransport
from gateway.mail.url import transport_from_url
from gateway.monitoring.audit import AuditLog
from gateway.pipeline.classic_routes import ClassicRoutes
from gateway.pipeline.dispatch import Dispatcher
from gateway.pipeline.hardened_routes import HardenedRoutes
from gateway.pipeline.middleware import Middleware
from gateway.pipeline.socket_routes import SocketRoutes
from gateway.pipeline.stream_routes import StreamRoutes
from gateway.policy.rate_limits import Limits
from gateway.policy.routes import RoutePolicy
from gateway.policy.suites import CLASSIC, needs_keys
from gateway.sessions.classic import Sessions
from gateway.sessions.expiry import SessionExpiry
from gateway.sessions.hardened import HardenedSessions
from gateway.sessions.streams import GrantedStreams
from gateway.stores.instrumented import timed
from gateway.stores.urls import default_key_file, is_redis, store_from_url
from gateway.users.directory import AnyAddress, Directory, TomlDirectory
from gateway.users.removal import UserRemoval
from protocol.classic.exchange import TAG_KEY_BYTES, ServerExchange, SessionKeys
from protocol.classic.suites import Classic
from protocol.common.primitives import RsaPrivateKey
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.suites import HARDENED_SUITES

from .clock import Clock
from .errors import ConfigError, GatewayError
from .events import Events
from .options import SetupOptions, check_names
from .private_profile import hides
from .stores import Store

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .admin import Admin

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class Assembly:
    """The middleware, and the parts that work in the background."""

    settings: Settings
    middleware: Middleware
    store: Store
    tags: UserTags
    sessions: Sessions
    hardened: HardenedSessions
    granted: GrantedStreams
    session_expiry: SessionExpiry
    mail_queue: MailQueue
    second_check: SecondCheck
    key_pool: KeyPool
    reloads: Reloads
    audit: AuditLog | None
    admin: "Admin | None"

    async def lifespan(self) -> AsyncIterator[None]:
        """Start the background work, yield once, and end it."""
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
            stack.push_async_callback(self.second_check.close)
            stack.push_async_callback(self.mail_queue.close)
            stack.push_async_callback(self.mail_queue.finish)
            sweeper = asyncio.create_task(self._keep_sweeping())
            stack.push_async_callback(asyncio.wait, [sweeper])
            stack.callback(sweeper.cancel)
            yield

    async def end_session(self, session_id: str, ticket_id: str = "") -> None:
        """End a session and its ticket, by the ids that handlers see. Raises: StoreUnavailable."""
        if ticket_id:
            await self.store.end_chain(bytes.fromhex(ticket_id))
        await self.store.end(bytes.fromhex(session_id))

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_interval_s)
            try:
                await self.sweep()
            except GatewayError as error:
                _log.error("not swept: %s", error)

    async def sweep(self) -> None:
        """Forget what has expired. Raises: StoreUnavailable."""
        # The store may have lost its data.
        await self.tags.open()
        await self.hardened.sweep(self.settings.clock())
        await self.sessions.sweep()
        self.granted.sweep(self.settings.clock())
        await self.session_expiry.sweep(self.settings.clock())


def _metrics_of(events: Events) -> "CollectorRegistry":
    """The metrics that count ``events``."""
    # prometheus_client and what uses it are loaded only with an admin listener: a quick start.
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from gateway.monitoring.metrics import Metrics  # noqa: PLC0415

    registry = CollectorRegistry()
    events.subscribe(Metrics(registry))
    return registry


def assemble(**options: Unpack[SetupOptions]) -> Assembly:
    """All parts, from the options of ``certless.setup``. Raises: ConfigError, in one line."""
    check_names(options)
    chosen = settings_from(options)
    store = options.get("store", default_of("store"))
    watch, audit, admin = options.get("watch"), options.get("audit"), options.get("admin")
    directory, transport = people(options)
    second_check = SecondCheck(directory, _check_webhook(options, chosen.clock))
    backend = _store(store, options.get("ticket_store"), chosen.clock)
    keyring = _keyring(store, options.get("key_file"))

    events = Events(*([watch] if watch else []), hides=hides if chosen.private_profile else None)
    registry = None if admin is None else _metrics_of(events)
    audit_log = AuditLog(Path(audit), events, chosen.clock) if audit else None
    if audit_log:
        events.subscribe(audit_log)
    if events.watched:
        backend = timed(backend, events)
    session_expiry = SessionExpiry(backend, events, chosen.clock, chosen.sweep_interval_s * 1000)
    parts, needs_rsa = (backend, keyring, chosen.clock), needs_keys(chosen.suites)
    listener = None
    if admin is not None and registry is not None:
        from .admin import Admin  # noqa: PLC0415 (as in _metrics_of)

        listener = Admin(admin, registry, *parts, needs_keys=needs_rsa)
    key_pool = KeyPool(chosen.key_pool_size, events, chosen.key_queue_size)
    mail_queue = MailQueue(transport, events)
    tags = UserTags(backend, keyring)
    mails = CodeMails(chosen, backend, mail_queue)
    limits = Limits(chosen.rates, backend, tags.of_counter, chosen.clock)
    routes = RoutePolicy(chosen.prefix, chosen.public, chosen.require)
    dispatcher = Dispatcher(routes, limits, tags.of, events, is_private=chosen.private_profile)

    services = LoginServices(
        chosen, backend, keyring, tags, directory, second_check, mails, key_pool, limits, events
    )
    suite = Classic(chosen.dialect)
    sessions = Sessions(
        backend, keyring, chosen.clock, suite.name, chosen.session_lifetime_s * 1000, events
    )
    classic = None
    if CLASSIC in chosen.suites:
        exchange = ServerExchange(suite, _decoy(), secrets.token_bytes, chosen.window_ms)
        login = Login(services, exchange, sessions)
        classic = ClassicRoutes(chosen, exchange, sessions, login, dispatcher)

    accepted = tuple(name for name in chosen.suites if name in HARDENED_SUITES)
    server = HandshakeServer(chosen.realm, accepted)
    granted = GrantedStreams(backend, keyring)
    hardened = HardenedSessions(backend, keyring, tags, accepted, events, granted)
    hardened_routes = HardenedRoutes(
        chosen,
        HardenedLogin(services, server, hardened),
        Resumption(services, server, hardened),
        hardened,
        dispatcher,
        limits,
        events,
    )
    streams = StreamRoutes(chosen, hardened_routes, hardened, granted, dispatcher)
    sockets = SocketRoutes(chosen, hardened_routes, hardened, dispatcher, events)
    middleware = Middleware(
        chosen, routes, limits, hardened_routes, classic, streams, sockets, events
    )
    reloads = Reloads()
    reloads.add("users", UserRemoval(directory, backend, tags.of, events).reload)
    reloads.add("keys", keyring.reload)
    if audit_log:
        reloads.add("audit log", audit_log.reload)
    return Assembly(
        settings=chosen,
        middleware=middleware,
        store=backend,
        tags=tags,
        sessions=sessions,
        hardened=hardened,
        granted=granted,
        session_expiry=session_expiry,
        mail_queue=mail_queue,
        second_check=second_check,
        key_pool=key_pool,
        reloads=reloads,
        audit=audit_log,
        admin=listener,
    )


def people(options: SetupOptions) -> tuple[Directory, MailTransport]:
    """Who can log in, and how codes reach them. Raises: ConfigError."""
    users, mail, kinds = options["users"], options["mail"], None
    channels = options.get("channels", {})
    sender = options.get("mail_from", default_of("mail_from"))
    if not isinstance(mail, MailTransport):
        mail = transport_from_url(mail, sender, options.get("mail_helo"))
        kinds = frozenset({""})
    if channels:
        mail = channels_from(mail, channels, any_address=isinstance(users, AnyAddress))
        kinds = mail.kinds
    if not isinstance(users, Directory):
        users = TomlDirectory.from_file(Path(users), kinds)
    return users, mail


def _check_webhook(options: SetupOptions, clock: Clock) -> CheckWebhook | None:
    url, file = options.get("second_check"), options.get("second_check_secret")
    timeout_s = options.get("second_check_s", default_of("second_check_s"))
    OPTIONS["second_check_s"].check("second_check_s", timeout_s)
    if url is None:
        return None
    return check_webhook(url, None if file is None else Path(file), timeout_s, clock)


def _store(store: str | Store, ticket_store: str | None, clock: Clock) -> Store:
    if not isinstance(store, Store):
        return store_from_url(store, clock, ticket_store)
    if ticket_store is not None:
        raise ConfigError("a ticket store goes with the URL of a Redis, not with a Store")
    return store


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
    """The keys for a message without a session. It never opens, so all use the same keys."""
    pair = RsaPrivateKey.generate()
    return SessionKeys(pair, pair.public, secrets.token_bytes(TAG_KEY_BYTES))
