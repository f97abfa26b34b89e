"""The users who can log in, and their mail addresses."""

import asyncio
import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from protocol.common.codes import normalise_username
from protocol.common.errors import RejectedMessage

from .addresses import kind_of, wire_address
from .passwords import Passwords, check_hash

# The usual form of an address (RFC 5321 §4.1.2 without quoted strings and address literals).
_ADDRESS = re.compile(
    r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


@dataclass(frozen=True, slots=True)
class Account:
    """A user: the name that handlers see, and the addresses that get the codes.

    An address of another kind than mail begins with the kind, like ``sms:+46701234567``.
    A device without a mailbox has no address; an operator issues its code.
    """

    name: str
    addresses: tuple[str, ...]
    password_hash: str | None = field(default=None, repr=False)


class Directory(ABC):
    """Derive from this class to look up users in another place."""

    @abstractmethod
    async def find(self, username: str) -> Account | None:
        """The account of a name that is normalised as in PROTOCOL §1.5.1, or None.

        Should take about the same time in both cases, because the client gets the same response.
        """

    async def named(self, typed: str) -> Account | None:
        """The account of a name as the user typed it. Raises: RejectedMessage.

        A login begins with this call; the code is sent to the addresses of its result.
        """
        return await self.find(normalise_username(typed))

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        """A second check of the login payload, for instance of ``payload["password"]``.

        Called when the code was right. False ends the login like any other rejection. The
        hardened suites first call it with an empty payload. If that returns False, they call it
        again with the payload that the client sends inside the seal (§2.4.7).
        """
        return True

    async def reload(self) -> Collection[str]:
        """Reload the files; return the names of users who were removed.

        Raises: ConfigError; nothing has changed then.
        """
        return ()


class AnyAddress(Directory):
    """Every owner of a mailbox can log in with its address.

    The account is the address in lower case, with its domain in ASCII. The code is sent to the
    local part as typed, because only the mail server knows whether case matters (RFC 5321 §2.4).
    Non-ASCII local parts are refused, because some of them fold to the mailbox of another user.
    """

    async def find(self, username: str) -> Account | None:
        address = wire_address(username)
        # "=?" begins an encoded word (RFC 2047), which a mail program can decode to another name.
        valid = _ADDRESS.fullmatch(address) and "=?" not in address
        return Account(address, (address,)) if valid else None

    async def named(self, typed: str) -> Account | None:
        account = await super().named(typed)
        address = wire_address(typed.strip(" "))
        # A non-ASCII letter that folds to an ASCII letter is not the same letter.
        if account is None or not _ADDRESS.fullmatch(address):
            return None
        return Account(account.name, (address,))


class TomlDirectory(Directory):
    """Users from a TOML file: ``[users."ann"] addresses = ["ann@example.org"]``.

    Users can log in with their name or any of their addresses. A user with a ``password`` (a hash
    of Argon2id) needs it as well as the code.
    """

    def __init__(self, accounts: list[Account], kinds: Collection[str] | None = None) -> None:
        """``kinds`` are the kinds of addresses that get codes, "" for mail; None means any."""
        self._path: Path | None = None
        self._kinds = kinds
        self._passwords = Passwords()
        self.accounts = tuple(accounts)
        self._accounts: dict[str, Account] = {}
        for account in accounts:
            for address in account.addresses:
                _check_kind(account, address, kinds)
            for name in (account.name, *account.addresses):
                other = self._accounts.setdefault(_normalised(name), account)
                if other is not account:
                    raise ConfigError(
                        f"{name!r} belongs to two users: {other.name}, {account.name}"
                    )

    @classmethod
    def from_file(cls, path: Path, kinds: Collection[str] | None = None) -> "TomlDirectory":
        """Raises: ConfigError, in one line."""
        directory = cls(_accounts_in(path), kinds)
        directory._path = path
        return directory

    async def reload(self) -> Collection[str]:
        if self._path is None:
            return ()
        # In a thread: thousands of users take a while.
        loaded = await asyncio.to_thread(TomlDirectory.from_file, self._path, self._kinds)
        before = {account.name for account in self.accounts}
        self.accounts, self._accounts = loaded.accounts, loaded._accounts
        return before - {account.name for account in self.accounts}

    async def find(self, username: str) -> Account | None:
        return self._accounts.get(wire_address(username))

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        """Whether the payload has the password of the account, if the account has one.

        A user without a password gets the same work for a password that they send.
        """
        expected, password = account.password_hash, payload.get("password")
        if not isinstance(password, str):
            return expected is None
        return await self._passwords.is_right(password, expected) or expected is None


def _check_kind(account: Account, address: str, kinds: Collection[str] | None) -> None:
    kind, _ = kind_of(address)
    if kinds is not None and kind not in kinds:
        raise ConfigError(
            f"user {account.name!r} has the address {address!r}, and there is no channel {kind!r}: "
            f"add --channel {kind}=webhook:URL"
        )


def _normalised(name: str) -> str:
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
        hint = f"create it, and {example}" if is_missing else "let the gateway's user read it"
        raise ConfigError(f"users file {path}: {error.strerror}; {hint}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"users file {path}: {error}") from None
    if not isinstance(users, dict) or not users:
        raise ConfigError(f"users file {path} has no users: {example}")
    accounts = []
    for name, entry in users.items():
        addresses = entry.get("addresses") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and (unknown := sorted(set(entry) - {"addresses", "password"})):
            raise ConfigError(
                f"users file {path}: user {name!r} has an unknown {unknown[0]!r}: {example}"
            )
        if not isinstance(addresses, list) or not all(
            isinstance(address, str) for address in addresses
        ):
            raise ConfigError(f"users file {path}: user {name!r} has no addresses: {example}")
        password_hash = entry.get("password")
        try:
            if password_hash is not None:
                check_hash(password_hash if isinstance(password_hash, str) else "")
        except ValueError as error:
            raise ConfigError(
                f"users file {path}: the password of user {name!r} cannot be used ({error}): "
                f"run `certless users set-password`"
            ) from None
        accounts.append(Account(name, tuple(addresses), password_hash))
    return accounts
