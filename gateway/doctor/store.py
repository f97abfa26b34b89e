"""The store: a test record, and whether the key file opens the stored records."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import system_clock
from gateway.keys.keyring import VARIABLE, KeyRing
from gateway.sessions.management import Operators
from gateway.sessions.session import ID_BYTES
from gateway.stores import TAG_KEY_ID, Store
from gateway.stores.sqlite.store import SqliteStore
from gateway.stores.urls import default_key_file, is_redis, sqlite_path, store_from_url

from . import Finding, Service, disk, fix, ok, warn
from .tickets import examine_tickets, is_created

ABOUT = "store"
KEYS = "keys"
_SLOW_S = 0.05
_RECORD_LIFETIME_MS = 60_000
_NOWHERE = "no key file"


async def check_store(service: Service) -> AsyncIterator[Finding]:
    """Whether it stores and returns a record, and whether its keys fit."""
    url, key_file = service.option("store"), service.option("key_file")
    # Checks that both go together.
    store_from_url(url, ticket_store=service.option("ticket_store"))
    path = sqlite_path(url)
    if path is not None:
        found = _sqlite(path, key_file)
    elif is_redis(url):
        found = _redis(service)
    else:
        yield warn(ABOUT, "memory: a restart ends every session; sqlite:PATH and Redis keep them")
        return
    async for finding in found:
        yield finding


async def _redis(service: Service) -> AsyncIterator[Finding]:
    url, ticket_store = service.option("store"), service.option("ticket_store")
    if path := sqlite_path(ticket_store or ""):
        for finding in await asyncio.to_thread(
            lambda: list(disk.examine_place(path, "--ticket-store"))
        ):
            yield finding
    if ticket_store is not None and not await is_created(url, ticket_store):
        store = store_from_url(url)
    else:
        store = store_from_url(url, ticket_store=ticket_store)
    keys = await asyncio.to_thread(_keys, service.option("key_file"), None)
    if keys.name == _NOWHERE:
        yield fix(KEYS, f"gateways on one Redis share keys: set --key-file or {VARIABLE}")
    # Imported late: store_from_url has checked that redis-py is installed.
    from .redis import examine_redis  # noqa: PLC0415

    async for finding in _contract(store, "Redis", keys):
        yield finding
    async for finding in examine_redis(url, service.settings.window_ms / 1000):
        yield finding
    if ticket_store is not None:
        async for finding in examine_tickets(url, ticket_store):
            yield finding


async def _sqlite(path: Path, key_file: str | None) -> AsyncIterator[Finding]:
    for finding in await asyncio.to_thread(lambda: list(disk.examine_place(path))):
        yield finding
    keys = await asyncio.to_thread(_keys, key_file, default_key_file(f"sqlite:{path}"))
    if not await asyncio.to_thread(path.exists):
        if os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
            yield ok(ABOUT, f"{path} will be created at the first start")
        yield ok(KEYS, f"{keys.name} is valid") if keys.ring else _not_created_yet(keys)
        return
    wrong = await asyncio.to_thread(disk.examine_file, path)
    if wrong is not None:
        yield wrong
        return
    async for finding in _contract(SqliteStore(path), f"sqlite:{path}", keys):
        yield finding


@dataclass(frozen=True, slots=True)
class _Keys:
    """The place of the keys; ``ring`` is None if they have not been created yet."""

    name: str
    ring: KeyRing | None


def _keys(key_file: str | None, default: Path | None) -> _Keys:
    """The keys that ``serve`` would use; creates none. Raises: ConfigError."""
    path = Path(key_file) if key_file else None
    if KeyRing.from_environment():
        return _Keys(VARIABLE, KeyRing.chosen(path))
    path = path or default
    if path is None:
        return _Keys(_NOWHERE, None)
    return _Keys(str(path), KeyRing.from_file(path) if path.exists() else None)


async def _contract(store: Store, name: str, keys: _Keys) -> AsyncIterator[Finding]:
    """Store a record and take it out again; check the keys."""
    record_id, record = secrets.token_bytes(ID_BYTES), secrets.token_bytes(64)
    try:
        await store.open()
        await store.ping()
        began_s = time.monotonic()
        now_ms = system_clock()
        await store.add_exchange(record_id, record, now_ms + _RECORD_LIFETIME_MS)
        took_s = time.monotonic() - began_s
        if await store.take_exchange(record_id, now_ms) != record:
            yield fix(ABOUT, f"{name} does not return the record that was stored: restore it")
            return
        text = f"{name} stores a record in {took_s * 1000:.0f} ms"
        if took_s > _SLOW_S:
            yield warn(ABOUT, f"{text}, which delays every message: use a faster disk")
        else:
            yield ok(ABOUT, text)
        if keys.name != _NOWHERE:
            yield await _fit(store, keys)
    finally:
        await store.close()


async def _fit(store: Store, keys: _Keys) -> Finding:
    """Whether ``keys`` open the records of the store."""
    now_ms = system_clock()
    tag_key = await store.tag_key()
    stored = len(await store.sessions(now_ms)) + len(await store.chains(now_ms)) + bool(tag_key)
    if keys.ring is None and stored:
        return fix(
            KEYS,
            f"there is no {keys.name}, but {stored} records are sealed: restore it, else all users "
            "must log in again",
        )
    if keys.ring is None:
        return _not_created_yet(keys)
    operators = Operators(store, keys.ring, lambda: now_ms)
    belongs = not tag_key or keys.ring.open("tag key", TAG_KEY_ID, tag_key) is not None
    opened = len(await operators.sessions()) + len(await operators.tickets())
    opened += bool(tag_key) and belongs
    if not belongs or (stored and not opened):
        return fix(
            KEYS,
            f"{keys.name} opens {opened or 'none'} of {stored} records: it belongs to another "
            "store; set the right file",
        )
    if opened < stored:
        return warn(
            KEYS,
            f"{keys.name} opens {opened} of {stored} records: users of the others must log in "
            "again",
        )
    return ok(KEYS, f"{keys.name} opens all records of the store ({stored})")


def _not_created_yet(keys: _Keys) -> Finding:
    if not os.access(Path(keys.name).parent, os.W_OK | os.X_OK, effective_ids=True):
        return fix(KEYS, f"{keys.name} cannot be created in its folder: set another --key-file")
    return ok(KEYS, f"{keys.name} will be created at the first start; keep a copy of it")
