"""``vault.setup``: the vault in an aiohttp application behind the gateway."""

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from aiohttp import web

import certless
from protocol.hardened.suites import DEFAULT_REALM
from vault.core.expiry import FRAME_S

from .application import INTERVAL_S, SIZE
from .buckets import Buckets
from .call import Parts
from .expiring_accounts import Usernames
from .key_file import key_path, read_or_make
from .notices import Notify
from .reservations import IDS_PER_HOUR, Reservations
from .routes import add_block_routes, add_routes
from .server import BlockOptions, VaultServer
from .server_key import ServerKey
from .store.database import Database

DEFAULT_PREFIX = "/vault"
SERVER = web.AppKey("vault", VaultServer)


def now_ms() -> int:
    """The time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def setup(
    app: web.Application,
    *,
    database: str,
    notify: Notify,
    key_file: str | Path | None = None,
    prefix: str = DEFAULT_PREFIX,
    realm: str = DEFAULT_REALM,
    clock: Callable[[], int] = now_ms,
    frame_s: int = FRAME_S,
    pool: str | None = None,
    apply_interval_s: float = INTERVAL_S,
    apply_size: int = SIZE,
    ids_per_hour: int = IDS_PER_HOUR,
    usernames: Usernames | None = None,
) -> None:
    """Add the vault to ``app``; call ``certless.setup`` for the same ``app`` as well.

    ``database``  ``sqlite:PATH`` or ``postgresql://USER@HOST/NAME``
    ``notify``    ``await notify(username, notice)`` sends a Notice to all addresses of the user,
                  and raises if it cannot
    ``key_file``  the file of the server's key, which is made if it is missing; default: the path
                  of the SQLite database and ``.key``
    ``realm``     the realm of ``certless.setup``
    ``clock``     the time in milliseconds since 1970
    ``frame_s``   the length of a bucket in seconds: blocks live for one to two of them after their
                  last renewal. It can never change for a database
    ``pool``      ``redis://HOST:PORT/DB`` for the changes of blocks that wait to be applied;
                  default: a table of the database
    ``apply_interval_s``, ``apply_size``  apply the pool after this time, or with so many changes
    ``ids_per_hour``  how many ids of blocks a user can reserve in an hour
    ``usernames``     ``async for name in usernames()`` gives the names of all users, so that they
                      get a warning before their data expires; default: no warnings

    Every path below ``prefix`` must demand a hardened suite:
    ``certless.setup(app, ..., require={"/vault/*": "ecdh-gcm"})``. The vault refuses other sessions
    in any case. Raises: ConfigError.
    """
    store = Database(database)
    key = ServerKey(read_or_make(key_path(store.file, key_file)))
    buckets = Buckets(clock, frame_s)
    parts = Parts(store, key, clock, notify, partial(certless.end_session, app), buckets)
    options = BlockOptions(frame_s, pool, apply_interval_s, apply_size)
    server = VaultServer(parts, options, realm, usernames)

    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        async with server.running():
            yield

    app[SERVER] = server
    app.cleanup_ctx.append(lifespan)
    add_routes(app, prefix, realm, parts)
    add_block_routes(app, prefix, realm, server.blocks, Reservations(clock, ids_per_hour))
