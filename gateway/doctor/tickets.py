"""The ticket store beside Redis: whether it exists, and whether its tickets can be used."""

from collections.abc import AsyncIterator

from gateway.stores.urls import sqlite_path, ticketed_store

from . import Finding, ok

ABOUT = "tickets"


async def examine_tickets(url: str, ticket_store: str) -> AsyncIterator[Finding]:
    """Facts about the ticket store. Creates nothing. Raises: ConfigError, StoreUnavailable."""
    if not await is_created(url, ticket_store):
        yield ok(ABOUT, "the ticket store will be created at the first start")
        return
    store = ticketed_store(url, ticket_store)
    try:
        await store.open()
        yield ok(ABOUT, "the ticket store is the one that Redis knows, and its tickets can be used")
    finally:
        await store.close()


async def is_created(url: str, ticket_store: str) -> bool:
    """Whether there is such a ticket store. Raises: ConfigError, StoreUnavailable."""
    path = sqlite_path(ticket_store)
    store = ticketed_store(url, ticket_store)
    try:
        return (path is None or path.exists()) and await store.has_tickets()
    finally:
        await store.close()
