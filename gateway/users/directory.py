"""Who may log in, and where each can receive a code."""

import asyncio
import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from protocol.common.codes import normalise_username
from protocol.common.errors import RejectedMessage

from .addresses import wire_address

# The usual form of an address (RFC 5321 §4.1.2 without quoted strings and address literals).
_ADDRESS = re.compile(
    r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


@dataclass(frozen=True, slots=True)
class Account:
    """A user by the name that handlers see, and every address that gets his codes.

    A device that has no mailbox has no address; its code comes from an operator.
    """

    name: str
    addresses: tuple[str, ...]


class Directory(ABC):
    """The contract: derive from it to look users up elsewhere."""

    @abstractmethod
    async def find(self, username: str) -> Account | None:
        """The account of a name, normalised as in PROTOCOL §4.1, or None.

        Take about the same time either way: the answer to the visitor is the same.
        """

    async def named(self, typed: str) -> Account | None:
        """The account of a name as somebody typed it. Raises: RejectedMessage.

        A login begins with it, and so it decides where the code goes.
        """
        return await self.find(normalise_username(typed))

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        """A second check of the login payload, for instance of ``payload["password"]``.

        Called once the code has proven right. False ends the login like any other rejection. In
        the hardened suites it is asked with an empty payload first: where that is enough, nothing
        more is wanted; otherwise once again, with what the client sent under the seal (§15.7).
        """
        return True

    async def reload(self) -> Collection[str]:
        """Read anew what stands in files; the names of users who may not log in any more.

        Raises: ConfigError; then nothing has changed.
        """
        return ()


class AnyAddress(Directory):
    """Whoever can read a mailbox may log in under its address.

    An account is an address in small letters with its domain in ASCII. The code goes to the local
    part as it was typed: whether case matters in it, only its mail server knows (RFC 5321 §2.4).
    Local parts beyond ASCII are refused, for some of them fold to the mailbox of somebody else.
    """

    async def find(self, username: str) -> Account | None:
        address = wire_address(username)
        # "=?" begins an encoded word (RFC 2047), which some mail program may read as another name.
        valid = _ADDRESS.fullmatch(address) and "=?" not in address
        return Account(address, (address,)) if valid else None

    async def named(self, typed: str) -> Account | None:
        account = await super().named(typed)
        address = wire_address(typed.strip(" "))
        # What folds to ASCII without being ASCII is another letter than the one it folds to.
        if account is None or not _ADDRESS.fullmatch(address):
            return None
        return Account(account.name, (address,))


class TomlDirectory(Directory):
    """Users from a TOML file: ``[users."ann"] addresses = ["ann@example.org"]``.

    A user may name himself by his name or by any of his addresses.
    """

    def __init__(self, accounts: list[Account]) -> None:
        self._path: Path | None = None
        self.accounts = tuple(accounts)
        self._accounts: dict[str, Account] = {}
        for account in accounts:
            for name in (account.name, *account.addresses):
                other = self._accounts.setdefault(_normal(name), account)
                if other is not account:
                    raise ConfigError(
                        f"{name!r} belongs to two users: {other.name}, {account.name}"
                    )

    @classmethod
    def from_file(cls, path: Path) -> "TomlDirectory":
        """Raises: ConfigError, in one line."""
        directory = cls(_accounts_in(path))
        directory._path = path
        return directory

    async def reload(self) -> Collection[str]:
        if self._path is None:
            return ()
        # Thousands of users take a while.
        read = await asyncio.to_thread(TomlDirectory.from_file, self._path)
        before = {account.name for account in self.accounts}
        self.accounts, self._accounts = read.accounts, read._accounts
        return before - {account.name for account in self.accounts}

    async def find(self, username: str) -> Account | None:
        return self._accounts.get(wire_address(username))


def _normal(name: str) -> str:
    try:
        return wire_address(normalise_username(name))
    except RejectedMessage as error:
        raise ConfigError(f"user or address {name!r} cannot be used: {error}") from None


def _accounts_in(path: Path) -> list[Account]:
    """Raises: ConfigError."""
    example = 'write [users."ann"] and addresses = ["ann@example.org"]'
    try:
        users = tomllib.loads(path.read_text("utf-8")).get("users")
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        hint = f"make it, and {example}" if is_missing else "let the gateway's user read it"
        raise ConfigError(f"users file {path}: {error.strerror}; {hint}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"users file {path}: {error}") from None
    if not isinstance(users, dict) or not users:
        raise ConfigError(f"users file {path} names no users: {example}")
    accounts = []
    for name, entry in users.items():
        addresses = entry.get("addresses") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and (unknown := sorted(set(entry) - {"addresses"})):
            raise ConfigError(
                f"users file {path}: user {name!r} has an unknown {unknown[0]!r}: {example}"
            )
        if not isinstance(addresses, list) or not all(
            isinstance(address, str) for address in addresses
        ):
            raise ConfigError(f"users file {path}: user {name!r} has no addresses: {example}")
        accounts.append(Account(name, tuple(addresses)))
    return accounts
