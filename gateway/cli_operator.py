"""``certless code``, ``sessions`` and ``tickets``: what an operator does beside a running gateway.

They work on the gateway's store, so it must be one that another process can open.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from protocol.codes import normalise_username
from protocol.errors import RejectedMessage

from .cli_request import on_one_line
from .config import system_clock
from .config_file import read_config
from .directory import AnyAddress, Directory, TomlDirectory
from .errors import ConfigError, GatewayError
from .keyring import KeyRing
from .operators import GoodTicket, OpenSession, Operators
from .stores.sqlite import SqliteStore


class NothingThere(GatewayError):
    """What was named is not there."""


class _Gateway:
    """The options that say which gateway it is, from arguments and the config file."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        options = read_config(Path(arguments.config)) if arguments.config else {}
        self._store = arguments.store or options.get("store")
        self._key_file = arguments.key_file or options.get("key_file")
        self._users = arguments.users or options.get("users")
        self._any_address = options.get("any_address") and not arguments.users

    async def run(self, work: Callable[[Operators], Awaitable[int]]) -> int:
        """``work`` on the store. Raises: ConfigError, StoreUnavailable."""
        path = self._store_path()
        key_file = Path(self._key_file or f"{path}.key")
        # Either would be made anew, and be of no gateway.
        for named, option in ((path, "--store"), (key_file, "--key-file")):
            if not named.exists():
                raise ConfigError(f"there is no {named}: is {option} that of the gateway?")
        store = SqliteStore(path)
        operators = Operators(store, KeyRing.from_file(key_file), system_clock)
        try:
            await store.open()
            return await work(operators)
        finally:
            await store.close()

    def _store_path(self) -> Path:
        if self._store is None:
            raise ConfigError("say whose: --config gateway.toml, or --store sqlite:PATH")
        scheme, _, path = self._store.partition(":")
        if scheme == "memory":
            raise ConfigError(
                "a store of memory: is inside the gateway's process, where nobody else can reach "
                "it: serve with --store sqlite:PATH"
            )
        if scheme != "sqlite" or not path:
            raise ConfigError(f"store {self._store!r} must be sqlite:PATH")
        return Path(path)

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


def add_operator(commands: Any) -> None:
    """The commands and their options, for ``argparse``."""
    code = commands.add_parser("code", help="codes by hand, for devices without a mailbox")
    actions = code.add_subparsers(metavar="issue|revoke", required=True)
    issue = actions.add_parser("issue", help="print a code in place of the next mail")
    issue.add_argument("name", metavar="NAME", help="user name")
    issue.set_defaults(run=_issue_code)
    revoke = actions.add_parser("revoke", help="take back the code that waits")
    revoke.add_argument("name", metavar="NAME", help="user name")
    revoke.set_defaults(run=_revoke_code)

    sessions = commands.add_parser("sessions", help="who is logged in, and end it")
    actions = sessions.add_subparsers(metavar="list|end", required=True)
    shown = actions.add_parser("list", help="every open session")
    shown.set_defaults(run=_list_sessions)
    end = actions.add_parser("end", help="end a session and the ticket that goes on from it")
    which = end.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?", help="as `sessions list` shows it")
    which.add_argument(
        "--user", metavar="NAME", help="all that a user has: sessions, tickets, codes"
    )
    end.set_defaults(run=_end_session)

    tickets = commands.add_parser("tickets", help="who can come back without a code, and revoke it")
    actions = tickets.add_subparsers(metavar="list|revoke", required=True)
    good = actions.add_parser("list", help="every good ticket")
    good.set_defaults(run=_list_tickets)
    lost = actions.add_parser(
        "revoke", help="revoke a ticket and end the session that it came with"
    )
    lost.add_argument("id", metavar="ID", help="as `tickets list` shows it")
    lost.set_defaults(run=_revoke_ticket)

    for command in (issue, revoke, shown, end, good, lost):
        command.add_argument("--config", metavar="FILE", help="the gateway's gateway.toml")
        command.add_argument("--store", metavar="URL", help="the gateway's: sqlite:PATH")
        command.add_argument("--key-file", metavar="FILE", help="the gateway's; default PATH.key")
        command.add_argument("--users", metavar="FILE", help="the gateway's users")


async def _issue_code(arguments: argparse.Namespace) -> int:
    gateway = _Gateway(arguments)
    user = await gateway.user(arguments.name, must_exist=True)

    async def work(operators: Operators) -> int:
        code = await operators.issue_code(user)
        # The one place where it is ever written; what is for people goes beside it.
        sys.stdout.write(code.text + "\n")
        _tell(
            f"For the next login of {user}: it works once, for 10 minutes, and stands 5 attempts."
        )
        return 0

    return await gateway.run(work)


async def _revoke_code(arguments: argparse.Namespace) -> int:
    gateway = _Gateway(arguments)
    user = await gateway.user(arguments.name)

    async def work(operators: Operators) -> int:
        if not await operators.revoke_code(user):
            raise NothingThere(f"no code waits for {user}")
        _tell(f"The code for {user} is revoked.")
        return 0

    return await gateway.run(work)


async def _list_sessions(arguments: argparse.Namespace) -> int:
    async def work(operators: Operators) -> int:
        sys.stdout.write(
            _table(_row(session, session.user) for session in await operators.sessions())
        )
        return 0

    return await _Gateway(arguments).run(work)


async def _end_session(arguments: argparse.Namespace) -> int:
    gateway = _Gateway(arguments)

    async def work(operators: Operators) -> int:
        if arguments.user is None:
            if not await operators.end_session(arguments.id):
                raise NothingThere(f"no session {arguments.id} is open: see `sessions list`")
            _tell("The session is ended.")
            return 0
        user = await gateway.user(arguments.user)
        count = await operators.end_user(user)
        _tell(f"Ended {count} sessions of {user}, and all tickets and codes.")
        return 0

    return await gateway.run(work)


async def _list_tickets(arguments: argparse.Namespace) -> int:
    async def work(operators: Operators) -> int:
        sys.stdout.write(
            _table(_row(ticket, ticket.username) for ticket in await operators.tickets())
        )
        return 0

    return await _Gateway(arguments).run(work)


async def _revoke_ticket(arguments: argparse.Namespace) -> int:
    async def work(operators: Operators) -> int:
        if not await operators.revoke_ticket(arguments.id):
            raise NothingThere(f"no ticket {arguments.id} is good: see `tickets list`")
        _tell("The ticket is revoked, and its session is ended.")
        return 0

    return await _Gateway(arguments).run(work)


def _row(shown: OpenSession | GoodTicket, user: str) -> tuple[str, ...]:
    since = _time(shown.opened_ms) if shown.opened_ms is not None else "-"
    return shown.id, shown.suite, since, _time(shown.expires_ms), on_one_line(user)


def _table(shown: Iterable[tuple[str, ...]]) -> str:
    rows = [("ID", "SUITE", "SINCE", "UNTIL", "USER"), *shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def _tell(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(on_one_line(text) + "\n")
