"""The work of an operator on the store of a vault, beside its servers or without them."""

from pathlib import Path

from protocol.hardened.suites import DEFAULT_REALM

from .buckets import Buckets
from .call import Parts
from .key_file import key_path, read_or_make
from .notices import Notice
from .server import BlockOptions, VaultServer
from .server_key import ServerKey
from .setup import now_ms
from .store.database import Database


async def sweep(
    *,
    database: str,
    key_file: str | Path | None,
    frame_s: int,
    pool: str | None,
    is_confirmed: bool,
    rewrite: bool,
) -> None:
    """Apply the pool, and archive and delete what has expired.

    ``is_confirmed`` says that the time is right, and ``rewrite`` writes the tables again in the
    order of their keys. Raises: ConfigError, ClockJumped, Unavailable.
    """

    async def nothing(*_: str | Notice) -> None:
        """Servers send the mails, and this program ends no session."""

    store = Database(database)
    key = ServerKey(read_or_make(key_path(store.file, key_file)))
    parts = Parts(store, key, now_ms, nothing, nothing, Buckets(now_ms, frame_s))
    server = VaultServer(parts, BlockOptions(frame_s, pool), DEFAULT_REALM, None)
    async with server.opened():
        await server.sweep.sweep(is_confirmed=is_confirmed)
        if rewrite:
            await store.rewrite()
