"""Store URLs (``memory:``, ``sqlite:PATH``, ``redis://...``) and their default key files."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import ConfigError
from gateway.stores.memory.store import MemoryStore
from gateway.stores.sqlite.store import SqliteStore

from . import Store

if TYPE_CHECKING:
    from gateway.stores.redis.ticketed import TicketedRedisStore

# A Redis URL can contain a password, so no error here repeats a URL.
_REDIS = ("redis:", "rediss:", "redis+", "rediss+")


def store_from_url(
    url: str, clock: Callable[[], int] | None = None, ticket_store: str | None = None
) -> Store:
    """The store, not opened; ``clock`` is the clock of its user.

    ``ticket_store`` is the URL of the ticket store beside Redis. Raises: ConfigError.
    """
    if ticket_store is not None:
        return ticketed_store(url, ticket_store, clock)
    if url == "memory:":
        return MemoryStore()
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(path)
    if is_redis(url):
        if find_spec("redis") is None:
            raise ConfigError("a store in Redis needs redis-py: pip install 'certless[redis]'")
        from gateway.stores.redis.store import RedisStore  # noqa: PLC0415
        from gateway.stores.redis.url import parse_redis_url  # noqa: PLC0415

        return RedisStore(parse_redis_url(url), *([clock] if clock else []))
    raise ConfigError("the store must be memory:, sqlite:PATH or redis://HOST:PORT")


def ticketed_store(
    url: str, ticket_store: str, clock: Callable[[], int] | None = None
) -> "TicketedRedisStore":
    """A store in Redis with its ticket store, not opened. Raises: ConfigError."""
    if not is_redis(url):
        raise ConfigError(
            "a ticket store goes with a store in Redis: set --store redis://HOST, or remove "
            "--ticket-store, because sqlite:PATH keeps its tickets itself"
        )
    if not all(map(find_spec, ("redis", "sqlalchemy", "aiosqlite", "asyncpg"))):
        raise ConfigError("a ticket store needs more packages: pip install 'certless[tickets]'")
    from gateway.stores.redis.ticketed import TicketedRedisStore  # noqa: PLC0415
    from gateway.stores.redis.url import parse_redis_url  # noqa: PLC0415
    from gateway.stores.tickets.database import Database  # noqa: PLC0415
    from gateway.stores.tickets.store import TicketStore  # noqa: PLC0415

    tickets = TicketStore(Database(ticket_store))
    return TicketedRedisStore(parse_redis_url(url), tickets, *([clock] if clock else []))


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite store; None for another store."""
    scheme, _, rest = url.partition(":")
    return Path(rest) if scheme == "sqlite" and rest else None


def is_redis(url: str) -> bool:
    return url.startswith(_REDIS)


def default_key_file(url: str) -> Path | None:
    """The default key file of a store; None if it has no default."""
    path = sqlite_path(url)
    return None if path is None else Path(f"{path}.key")
