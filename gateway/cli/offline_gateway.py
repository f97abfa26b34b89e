"""The store, keys and users of a gateway, for operator commands.

A command opens the store itself, so the store must allow a second process (SQLite or Redis).
"""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.clock import system_clock
from gateway.config.arguments import add_argument
from gateway.config.file import read_config
from gateway.config.options import default_of
from gateway.errors import ConfigError, GatewayError
from gateway.keys.key_file import KeyFile
from gateway.keys.keyring import VARIABLE, KeyRing
from gateway.sessions.devices import DeviceOperators
from gateway.stores import Store
from gateway.stores.urls import default_key_file, sqlite_path, store_from_url, ticketed_store
from gateway.users.directory import Account, AnyAddress, Directory, TomlDirectory
from protocol.common.codes import normalise_username
from protocol.common.errors import RejectedMessage
from protocol.hardened.suites import ECDH_GCM

if TYPE_CHECKING:
    from gateway.stores.redis.ticketed import TicketedRedisStore


class NotFound(GatewayError):
    """There is no such code, session, ticket or device."""


class OfflineGateway:
    """The gateway that the arguments and the config file describe."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        options = read_config(Path(arguments.config)) if arguments.config else {}
        self._store = arguments.store or options.get("store")
        self._ticket_store = arguments.ticket_store or options.get("ticket_store")
        self._key_file = arguments.key_file or options.get("key_file")
        self._users = arguments.users or options.get("users")
        self._any_address = options.get("any_address") and not arguments.users
        self._options = options

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The store, opened. Raises: ConfigError, StoreUnavailable."""
        url = self._url()
        for option, place in (("--store", url), ("--ticket-store", self._ticket_store or "")):
            if path := sqlite_path(place):
                _must_exist(path, option)
        store = store_from_url(url, ticket_store=self._ticket_store)
        try:
            await store.open()
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def ticketed_store(self) -> AsyncIterator["TicketedRedisStore"]:
        """The store with its ticket store, also if its tickets cannot be used.

        Raises: ConfigError, StoreUnavailable.
        """
        if self._ticket_store is None:
            raise ConfigError(
                "say which ticket store: --config gateway.toml, or --store and --ticket-store"
            )
        if path := sqlite_path(self._ticket_store):
            _must_exist(path, "--ticket-store")
        store = ticketed_store(self._url(), self._ticket_store)
        try:
            await store.connect()
            yield store
        finally:
            await store.close()

    def key_file(self) -> KeyFile | None:
        """The key file; None if the keys come from the environment. Raises: ConfigError."""
        if KeyRing.from_environment():
            return None
        path = self._key_file or default_key_file(self._url())
        if path is None:
            raise ConfigError(f"set the keys of the gateway: --key-file FILE, or {VARIABLE}")
        _must_exist(Path(path), "--key-file")
        return KeyFile(Path(path))

    def keyring(self) -> KeyRing:
        """The keys. Raises: ConfigError."""
        file = self.key_file()
        return KeyRing.chosen(
            Path(self._key_file) if self._key_file else None, file.path if file else None
        )

    async def operate(self, work: Callable[[DeviceOperators], Awaitable[int]]) -> int:
        """The result of ``work`` on the store. Raises: ConfigError, StoreUnavailable."""
        keyring = self.keyring()
        async with self.store() as store:
            return await work(DeviceOperators(store, keyring, system_clock))

    def _url(self) -> str:
        if self._store is None:
            raise ConfigError("say which gateway: --config gateway.toml, or --store sqlite:PATH")
        url = str(self._store)
        if url == "memory:":
            raise ConfigError(
                "the store memory: is inside the gateway's process, and no command can open it: "
                "run serve with --store sqlite:PATH"
            )
        return url

    async def user(self, name: str, *, must_exist: bool = False) -> str:
        """The user ``name`` as handlers see it; unchanged if no users are configured."""
        account = await self._account(name)
        if account is not None:
            return account.name
        if must_exist and self._directory is not None:
            raise ConfigError(f"the gateway has no user {name!r}")
        return name

    async def ticket_user(self, name: str) -> str:
        """The user ``name``, if a ticket can open a session for them. Raises: ConfigError."""
        options = self._options
        if options.get("ticket_lifetime_s", default_of("ticket_lifetime_s")) == 0:
            raise ConfigError("the gateway accepts no tickets: ticket_lifetime_s is 0")
        if ECDH_GCM.name not in options.get("suites", default_of("suites")):
            raise ConfigError("the gateway does not accept the suite ecdh-gcm: see suites")
        account = await self._account(name)
        if options.get("second_check") or (account is not None and account.password_hash):
            raise ConfigError(
                f"user {name!r} needs more than a ticket to log in: use a user for devices, "
                "without a password and without a second check"
            )
        return await self.user(name, must_exist=True)

    def realm(self, given: str | None) -> str:
        """The realm of the gateway, or the one that was given."""
        return str(given or self._options.get("realm", default_of("realm")))

    async def _account(self, name: str) -> Account | None:
        """The account of a user; None if there is none, or no users are configured."""
        try:
            normalised = normalise_username(name)
            return await self._directory.find(normalised) if self._directory else None
        except RejectedMessage as error:
            raise ConfigError(f"user {name!r}: {error}") from None

    @cached_property
    def _directory(self) -> Directory | None:
        if self._any_address:
            return AnyAddress()
        return TomlDirectory.from_file(Path(self._users)) if self._users else None


async def account_in_file(arguments: argparse.Namespace) -> tuple[Path, Account]:
    """The users file, and the account there of the user ``arguments.name``. Raises: ConfigError."""
    options = read_config(Path(arguments.config)) if arguments.config else {}
    file = arguments.users or options.get("users")
    if file is None:
        raise ConfigError("say which file has the users: --users FILE, or --config gateway.toml")
    path = Path(file)
    directory = TomlDirectory.from_file(path)
    try:
        account = await directory.find(normalise_username(arguments.name))
    except RejectedMessage as error:
        raise ConfigError(f"user {arguments.name!r}: {error}") from None
    if account is None:
        raise ConfigError(f"users file {path} has no user {arguments.name!r}")
    return path, account


def _must_exist(path: Path, option: str) -> None:
    # A new file would belong to no gateway.
    if not path.exists():
        raise ConfigError(f"there is no {path}: is {option} the same as for the gateway?")


def add_gateway_options(command: argparse.ArgumentParser) -> None:
    """Add the options that say which gateway."""
    command.add_argument("--config", metavar="FILE", help="gateway.toml of the gateway")
    for name in ("store", "ticket_store", "key_file", "users"):
        add_argument(command, name)
