"""``certless tickets accept`` and ``forget``: what an operator decides about a ticket store.

A gateway uses no ticket if the ticket store can be an older copy (STORAGE §4). It cannot find out
by itself, so a person must.
"""

import argparse
from typing import Any

from gateway.errors import ConfigError
from gateway.stores.tickets.fence import TicketsClosed

from .listing import print_note
from .offline_gateway import OfflineGateway, add_gateway_options


def add(actions: Any) -> None:
    """Add the two actions to those of ``tickets``."""
    accept = actions.add_parser(
        "accept", help="use the tickets again: no backup of the ticket store was restored"
    )
    accept.set_defaults(run=_accept)
    forget = actions.add_parser(
        "forget", help="delete all tickets of the ticket store: every device needs a new code"
    )
    forget.set_defaults(run=_forget)
    for command in (accept, forget):
        add_gateway_options(command)


async def _accept(arguments: argparse.Namespace) -> int:
    async with OfflineGateway(arguments).ticketed_store() as store:
        try:
            was_closed = await store.accept_tickets()
        except TicketsClosed as error:
            raise ConfigError(str(error)) from None
    print_note(
        "The tickets are used again." if was_closed else "The tickets are in use: all is well."
    )
    return 0


async def _forget(arguments: argparse.Namespace) -> int:
    async with OfflineGateway(arguments).ticketed_store() as store:
        await store.forget_tickets()
    print_note(
        "All tickets are deleted. Open sessions continue; then every device needs a new code."
    )
    return 0
