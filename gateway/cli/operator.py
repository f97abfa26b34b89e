"""``certless sessions``, ``tickets`` and ``users``: commands for operators.

They open the gateway's store, which must allow a second process (SQLite or Redis).
"""

import argparse
import asyncio
import getpass
import sys
from typing import Any

from gateway.config.arguments import add_argument
from gateway.errors import ConfigError
from gateway.logs import on_one_line
from gateway.sessions.management import GoodTicket, OpenSession, Operators
from gateway.users.passwords import hash_password
from gateway.users.users_file import set_password_hash

from . import ticket_store
from .listing import print_note, print_table, time_text
from .offline_gateway import NotFound, OfflineGateway, account_in_file, add_gateway_options

_HEAD = ("ID", "SUITE", "SINCE", "UNTIL", "USER")


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    sessions = commands.add_parser("sessions", help="list and end sessions")
    actions = sessions.add_subparsers(metavar="list|end", required=True)
    shown = actions.add_parser("list", help="list the open sessions")
    shown.set_defaults(run=_list_sessions)
    end = actions.add_parser("end", help="end a session and revoke its ticket")
    which = end.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "id", metavar="ID", nargs="?", help="ID of the session, from `sessions list`"
    )
    which.add_argument(
        "--user", metavar="NAME", help="end all sessions, tickets and codes of a user"
    )
    end.set_defaults(run=_end_session)

    tickets = commands.add_parser(
        "tickets", help="list and revoke tickets, which open sessions without a code"
    )
    actions = tickets.add_subparsers(metavar="list|revoke|accept|forget", required=True)
    tickets_list = actions.add_parser("list", help="list the valid tickets")
    tickets_list.set_defaults(run=_list_tickets)
    ticket_revoke = actions.add_parser("revoke", help="revoke a ticket and end its session")
    ticket_revoke.add_argument("id", metavar="ID", help="ID of the ticket, from `tickets list`")
    ticket_revoke.set_defaults(run=_revoke_ticket)
    ticket_store.add(actions)

    users = commands.add_parser("users", help="passwords of users, and their tags in logs")
    actions = users.add_subparsers(metavar="tag|set-password", required=True)
    tag = actions.add_parser("tag", help="print the tag of a user in metrics and logs")
    tag.add_argument("name", metavar="NAME", help="user name")
    tag.set_defaults(run=_show_tag)

    set_password = actions.add_parser(
        "set-password", help="ask for a password, and write its hash to the users file"
    )
    set_password.add_argument("name", metavar="NAME", help="user name")
    set_password.add_argument("--config", metavar="FILE", help="gateway.toml of the gateway")
    add_argument(set_password, "users")
    set_password.set_defaults(run=_set_password)

    for command in (shown, end, tickets_list, ticket_revoke, tag):
        add_gateway_options(command)


async def _list_sessions(arguments: argparse.Namespace) -> int:
    async def work(operators: Operators) -> int:
        print_table(_HEAD, (_row(session, session.user) for session in await operators.sessions()))
        return 0

    return await OfflineGateway(arguments).operate(work)


async def _end_session(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)

    async def work(operators: Operators) -> int:
        if arguments.user is None:
            if not await operators.end_session(arguments.id):
                raise NotFound(f"there is no session {arguments.id}: see `sessions list`")
            print_note("The session has ended.")
            return 0
        user = await gateway.user(arguments.user)
        count = await operators.end_user(user)
        print_note(f"Ended {count} sessions of {user}, and revoked all tickets and codes.")
        return 0

    return await gateway.operate(work)


async def _list_tickets(arguments: argparse.Namespace) -> int:
    async def work(operators: Operators) -> int:
        print_table(_HEAD, (_row(ticket, ticket.username) for ticket in await operators.tickets()))
        return 0

    return await OfflineGateway(arguments).operate(work)


async def _revoke_ticket(arguments: argparse.Namespace) -> int:
    async def work(operators: Operators) -> int:
        if not await operators.revoke_ticket(arguments.id):
            raise NotFound(f"there is no valid ticket {arguments.id}: see `tickets list`")
        print_note("The ticket is revoked, and its session has ended.")
        return 0

    return await OfflineGateway(arguments).operate(work)


async def _show_tag(arguments: argparse.Namespace) -> int:
    gateway = OfflineGateway(arguments)
    user = await gateway.user(arguments.name)

    async def work(operators: Operators) -> int:
        sys.stdout.write((await operators.tag_of(user)).hex() + "\n")
        return 0

    return await gateway.operate(work)


async def _set_password(arguments: argparse.Namespace) -> int:
    path, account = await account_in_file(arguments)
    password_hash = await asyncio.to_thread(lambda: hash_password(_new_password(account.name)))
    set_password_hash(path, account.name, password_hash)
    print_note(f"The password of {account.name} is set. A gateway that runs reads it after SIGHUP.")
    return 0


def _new_password(name: str) -> str:
    """The password from the terminal, typed twice; or the first line of another input."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().removesuffix("\n")
    else:
        password = getpass.getpass(f"New password of {on_one_line(name)}: ")
        if password != getpass.getpass("Again: "):
            raise ConfigError("the two passwords differ; nothing was changed")
    if not password:
        raise ConfigError("the password is empty; nothing was changed")
    return password


def _row(shown: OpenSession | GoodTicket, user: str) -> tuple[str, ...]:
    since = time_text(shown.opened_ms) if shown.opened_ms is not None else "-"
    return shown.id, shown.suite, since, time_text(shown.expires_ms), on_one_line(user)
