"""The store, used as a gateway uses it, and whether the key file opens what it holds."""

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

ABOUT = "store"
KEYS = "keys"
_SLOW_S = 0.05
_RECORD_LIFETIME_MS = 60_000
_NOWHERE = "no key file"


async def check_store(service: Service) -> AsyncIterator[Finding]:
    """It opens, keeps a record and gives it back; and its keys fit."""
    url, key_file = service.option("store"), service.option("key_file")
    path = sqlite_path(url)
    if path is not None:
        found = _sqlite(path, key_file)
    elif is_redis(url):
        found = _redis(url, key_file, service.settings.window_ms / 1000)
    else:
        store_from_url(url)
        yield warn(ABOUT, "memory: a restart ends every session; sqlite:PATH or Redis keep them")
        return
    async for finding in found:
        yield finding


async def _redis(url: str, key_file: str | None, window_s: float) -> AsyncIterator[Finding]:
    store = store_from_url(url)
    keys = await asyncio.to_thread(_keys, key_file, None)
    if keys.name == _NOWHERE:
        yield fix(
            KEYS, f"gateways on one Redis share keys: name their --key-file, or set {VARIABLE}"
        )
    # Not before there is redis-py, of which the room of the store has spoken.
    from .redis import examine_redis  # noqa: PLC0415

    async for finding in _contract(store, "Redis", keys):
        yield finding
    async for finding in examine_redis(url, window_s):
        yield finding


async def _sqlite(path: Path, key_file: str | None) -> AsyncIterator[Finding]:
    for finding in await asyncio.to_thread(lambda: list(disk.examine_place(path))):
        yield finding
    keys = await asyncio.to_thread(_keys, key_file, default_key_file(f"sqlite:{path}"))
    if not await asyncio.to_thread(path.exists):
        if os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
            yield ok(ABOUT, f"{path} will be made on the first start")
        yield ok(KEYS, f"{keys.name} is sound") if keys.ring else _not_made_yet(keys)
        return
    wrong = await asyncio.to_thread(disk.examine_file, path)
    if wrong is not None:
        yield wrong
        return
    async for finding in _contract(SqliteStore(path), f"sqlite:{path}", keys):
        yield finding


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where the keys are; ``ring`` is None where they have not been made yet."""

    name: str
    ring: KeyRing | None


def _keys(key_file: str | None, default: Path | None) -> _Keys:
    """The keys as ``serve`` takes them, but that none are made. Raises: ConfigError."""
    path = Path(key_file) if key_file else None
    if KeyRing.from_environment():
        return _Keys(VARIABLE, KeyRing.chosen(path))
    path = path or default
    if path is None:
        return _Keys(_NOWHERE, None)
    return _Keys(str(path), KeyRing.from_file(path) if path.exists() else None)


async def _contract(store: Store, name: str, keys: _Keys) -> AsyncIterator[Finding]:
    """What every store must do, done once, with a record that is taken out again."""
    record_id, record = secrets.token_bytes(ID_BYTES), secrets.token_bytes(64)
    try:
        await store.open()
        await store.ping()
        began_s = time.monotonic()
        now_ms = system_clock()
        await store.add_exchange(record_id, record, now_ms + _RECORD_LIFETIME_MS)
        took_s = time.monotonic() - began_s
        if await store.take_exchange(record_id, now_ms) != record:
            yield fix(ABOUT, f"{name} does not give back what it was given: restore it")
            return
        text = f"{name} keeps a record in {took_s * 1000:.0f} ms"
        if took_s > _SLOW_S:
            yield warn(ABOUT, f"{text}, and every message waits for one: use a faster disk")
        else:
            yield ok(ABOUT, text)
        if keys.name != _NOWHERE:
            yield await _fit(store, keys)
    finally:
        await store.close()


async def _fit(store: Store, keys: _Keys) -> Finding:
    """Whether ``keys`` open what the store holds."""
    now_ms = system_clock()
    tag_key = await store.tag_key()
    kept = len(await store.sessions(now_ms)) + len(await store.chains(now_ms)) + bool(tag_key)
    if keys.ring is None and kept:
        return fix(
            KEYS,
            f"there is no {keys.name}, and {kept} records are sealed: restore it, else all log in "
            "anew",
        )
    if keys.ring is None:
        return _not_made_yet(keys)
    operators = Operators(store, keys.ring, lambda: now_ms)
    belongs = not tag_key or keys.ring.open("tag key", TAG_KEY_ID, tag_key) is not None
    opened = len(await operators.sessions()) + len(await operators.tickets())
    opened += bool(tag_key) and belongs
    if not belongs or (kept and not opened):
        return fix(
            KEYS,
            f"{keys.name} opens {opened or 'none'} of {kept} records: it belongs to another store; "
            "name the right one",
        )
    if opened < kept:
        return warn(
            KEYS, f"{keys.name} opens {opened} of {kept} records: users of the others log in anew"
        )
    return ok(KEYS, f"{keys.name} opens all that the store holds ({kept})")


def _not_made_yet(keys: _Keys) -> Finding:
    if not os.access(Path(keys.name).parent, os.W_OK | os.X_OK, effective_ids=True):
        return fix(KEYS, f"{keys.name} cannot be made in its folder: name another --key-file")
    return ok(KEYS, f"{keys.name} will be made on the first start; keep a copy of it")
