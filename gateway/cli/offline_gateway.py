"""The gateway that a command of an operator is about: its store, its keys and its users.

The command works on the store, beside the gateway, so it must be one that another process can open.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.config.arguments import add_argument
from gateway.config.file import read_config
from gateway.errors import ConfigError
from gateway.keys.key_file import KeyFile
from gateway.keys.keyring import VARIABLE, KeyRing
from gateway.stores import Store
from gateway.stores.urls import default_key_file, sqlite_path, store_from_url
from gateway.users.directory import AnyAddress, Directory, TomlDirectory
from protocol.common.codes import normalise_username
from protocol.common.errors import RejectedMessage


class OfflineGateway:
    """The options that say which gateway it is, from arguments and the config file."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        options = read_config(Path(arguments.config)) if arguments.config else {}
        self._store = arguments.store or options.get("store")
        self._key_file = arguments.key_file or options.get("key_file")
        self._users = arguments.users or options.get("users")
        self._any_address = options.get("any_address") and not arguments.users

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The store, opened. Raises: ConfigError, StoreUnavailable."""
        url = self._url()
        if path := sqlite_path(url):
            _must_exist(path, "--store")
        store = store_from_url(url)
        try:
            await store.open()
            yield store
        finally:
            await store.close()

    def key_file(self) -> KeyFile | None:
        """The file of its keys; None where they come from the environment. Raises: ConfigError."""
        if KeyRing.from_environment():
            return None
        path = self._key_file or default_key_file(self._url())
        if path is None:
            raise ConfigError(f"name the gateway's keys: --key-file FILE, or {VARIABLE}")
        _must_exist(Path(path), "--key-file")
        return KeyFile(Path(path))

    def keyring(self) -> KeyRing:
        """Its keys. Raises: ConfigError."""
        file = self.key_file()
        return KeyRing.chosen(
            Path(self._key_file) if self._key_file else None, file.path if file else None
        )

    def _url(self) -> str:
        if self._store is None:
            raise ConfigError("say whose: --config gateway.toml, or --store sqlite:PATH")
        url = str(self._store)
        if url == "memory:":
            raise ConfigError(
                "a store of memory: is inside the gateway's process, where nobody else can reach "
                "it: serve with --store sqlite:PATH"
            )
        return url

    async def user(self, name: str, *, must_exist: bool = False) -> str:
        """``name`` as handlers see it; where nothing says who may log in, as it is written."""
        directory = self._directory()
        if directory is None:
            return name
        try:
            account = await directory.find(normalise_username(name))
        except RejectedMessage as error:
            raise ConfigError(f"user {name!r}: {error}") from None
        if account is not None:
            return account.name
        if must_exist:
            raise ConfigError(f"no user {name!r} may log in to this gateway")
        return name

    def _directory(self) -> Directory | None:
        if self._any_address:
            return AnyAddress()
        return TomlDirectory.from_file(Path(self._users)) if self._users else None


def _must_exist(path: Path, option: str) -> None:
    # It would be made anew, and be of no gateway.
    if not path.exists():
        raise ConfigError(f"there is no {path}: is {option} that of the gateway?")


def add_gateway_options(command: argparse.ArgumentParser) -> None:
    """What says which gateway it is, for ``argparse``."""
    command.add_argument("--config", metavar="FILE", help="the gateway's gateway.toml")
    for name in ("store", "key_file", "users"):
        add_argument(command, name)
