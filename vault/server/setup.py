"""``vault.setup``: the vault in an aiohttp application behind the gateway."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from aiohttp import web

import certless
from certless import ConfigError
from protocol.hardened.suites import DEFAULT_REALM

from .call import Parts
from .errors import Unavailable
from .key_file import read_or_make
from .notices import Notify
from .routes import add_routes
from .server_key import ServerKey
from .store.database import Database

DEFAULT_PREFIX = "/vault"
_SWEEP_INTERVAL_S = 3600


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def setup(
    app: web.Application,
    *,
    database: str,
    notify: Notify,
    key_file: str | Path | None = None,
    prefix: str = DEFAULT_PREFIX,
    realm: str = DEFAULT_REALM,
    clock: Callable[[], int] = _now_ms,
) -> None:
    """Add the vault to ``app``; call ``certless.setup`` for the same ``app`` as well.

    ``database``  ``sqlite:PATH`` or ``postgresql://USER@HOST/NAME``
    ``notify``    ``await notify(username, notice)`` sends a Notice to all addresses of the user,
                  and raises if it cannot
    ``key_file``  the file of the server's key, which is made if it is missing; default: the path
                  of the SQLite database and ``.key``
    ``realm``     the realm of ``certless.setup``
    ``clock``     the time in milliseconds since 1970

    Every path below ``prefix`` must demand a hardened suite:
    ``certless.setup(app, ..., require={"/vault/*": "ecdh-gcm"})``. The vault refuses other sessions
    in any case. Raises: ConfigError.
    """
    store = Database(database)
    key = ServerKey(read_or_make(_key_path(store, key_file)))
    parts = Parts(store, key, clock, notify, partial(certless.end_session, app))

    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        await store.open(key.id)
        sweeper = asyncio.create_task(_keep_sweeping(parts))
        yield
        sweeper.cancel()
        await asyncio.wait([sweeper])
        await store.close()

    app.cleanup_ctx.append(lifespan)
    add_routes(app, prefix, realm, parts)


def _key_path(store: Database, key_file: str | Path | None) -> Path:
    if key_file is not None:
        return Path(key_file)
    if store.file is None:
        raise ConfigError(
            "servers on one PostgreSQL share the vault's key: name its file with key_file"
        )
    return store.file.with_name(f"{store.file.name}.key")


async def _keep_sweeping(parts: Parts) -> None:
    while True:
        with contextlib.suppress(Unavailable):
            async with parts.database.transaction() as transaction:
                await transaction.sweep(parts.clock())
        await asyncio.sleep(_SWEEP_INTERVAL_S)
