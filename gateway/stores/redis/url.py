"""The URLs of ``--store`` for Redis.

::

    redis://[USER:PASSWORD@]HOST[:PORT][/DB]                     one server
    redis+sentinel://[USER:PASSWORD@]HOST[:PORT],.../SERVICE[/DB] the master of the sentinels
    redis+cluster://[USER:PASSWORD@]HOST[:PORT],...              a Redis Cluster

``rediss`` instead of ``redis`` is TLS, also to the sentinels. Query: ``name`` of the store, the
same for all its gateways (default ``certless``); ``eviction=accepted``; ``ssl_ca_certs``,
``ssl_certfile``, ``ssl_keyfile`` as files; ``sentinel_username`` and ``sentinel_password``.
"""

import os
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.errors import ConfigError

DEFAULT_NAME = "certless"

_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL = ("sentinel_username", "sentinel_password")
_PORTS = {"single": 6379, "sentinel": 26379, "cluster": 6379}
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONNECT_S = 1.0
ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A parsed URL. ``options`` can contain passwords; ``where`` is the text for messages."""

    kind: str
    hosts: tuple[tuple[str, int], ...]
    service: str
    name: str
    accepts_eviction: bool
    tls: bool
    options: Mapping[str, Any] = field(repr=False)
    sentinel_options: Mapping[str, Any] = field(repr=False)

    @property
    def where(self) -> str:
        return ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )

    def without_passwords(self, text: str) -> str:
        for options in (self.options, self.sentinel_options):
            if password := options.get("password"):
                text = text.replace(password, "***")
        return text

    def connect(self, closing: AsyncExitStack, answer_s: float = ANSWER_S) -> Any:
        """A client of redis-py, which connects at first use and is closed with ``closing``.

        Raises: ConfigError, if a TLS file cannot be read.
        """
        for name in _TLS:
            if name in self.options and not os.access(self.options[name], os.R_OK):
                raise ConfigError(
                    f"{name} in the store's URL: {self.options[name]} cannot be read; the path "
                    "is absolute or relative to the folder where the gateway starts"
                )
        options: dict[str, Any] = {
            "socket_connect_timeout": _CONNECT_S,
            "socket_timeout": answer_s,
            "protocol": 2,
            # No retries: the command may have been run.
            "retry": Retry(NoBackoff(), 0),
            "ssl": self.tls,
        }
        if self.kind == "sentinel":
            of_sentinels = {**options, **self.sentinel_options}
            sentinels: Any = Sentinel(  # type: ignore[no-untyped-call]
                self.hosts, sentinel_kwargs=of_sentinels, **options, **self.options
            )
            closing.push_async_callback(sentinels.aclose)
            client: Any = sentinels.master_for(self.service)
        elif self.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in self.hosts]
            client = RedisCluster(startup_nodes=nodes, **options, **self.options)
        else:
            host, port = self.hosts[0]
            client = Redis(host=host, port=port, **options, **self.options)
        closing.push_async_callback(client.aclose)
        return client


def parse_redis_url(url: str) -> RedisUrl:
    """Parse ``url``. Raises: ConfigError, whose text contains no password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("the store's URL is not a URL: an address in [ without its ]") from None
    if parts.fragment or "@" in parts.path + parts.query:
        raise ConfigError("in a password in the store's URL, write # / ? @ as %23 %2F %3F %40")
    scheme, _, kind = parts.scheme.partition("+")
    kind = kind or "single"
    if scheme not in ("redis", "rediss") or kind not in _PORTS:
        raise ConfigError(
            "a store in Redis is redis://, redis+sentinel:// or redis+cluster://, "
            "or with rediss for TLS"
        )
    login, _, places = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    hosts = tuple(_place(place, _PORTS[kind]) for place in places.split(","))
    if kind == "single" and len(hosts) > 1:
        raise ConfigError("redis:// takes one host: for more use redis+sentinel or redis+cluster")
    path = [unquote(part) for part in parts.path.split("/") if part]
    service = path.pop(0) if kind == "sentinel" and path else ""
    if kind == "sentinel" and not service:
        raise ConfigError(
            "sentinels need a service: use redis+sentinel://HOST:PORT,HOST:PORT/SERVICE"
        )
    if path and (kind == "cluster" or len(path) > 1 or not _is_number(path[0])):
        raise ConfigError("the path of the store's URL must be the number of a database, or empty")
    query = _query(parts.query, scheme, kind)
    files = {name: query[name] for name in _TLS if name in query}
    options: dict[str, Any] = dict(files)
    if path:
        options["db"] = int(path[0])
    if password:
        options |= {"username": unquote(username) or None, "password": unquote(password)}
    of_sentinels = {
        name.removeprefix("sentinel_"): query[name] for name in _SENTINEL if name in query
    }
    return RedisUrl(
        kind,
        hosts,
        service,
        query.get("name", DEFAULT_NAME),
        query.get("eviction") == "accepted",
        scheme == "rediss",
        options,
        files | of_sentinels,
    )


def _place(place: str, default_port: int) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, port = place, str(default_port)
    host = host.strip("[]")
    if not host or not _is_number(port) or not 0 < int(port) < 65536:
        raise ConfigError("the store's URL must name a host: redis://HOST:PORT")
    return unquote(host), int(port)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


def _query(text: str, scheme: str, kind: str) -> dict[str, str]:
    query = dict(parse_qsl(text, keep_blank_values=True))
    known = {"name", "eviction", *(_TLS if scheme == "rediss" else ())}
    known |= set(_SENTINEL if kind == "sentinel" else ())
    for name in query:
        if name not in known:
            raise ConfigError(
                f"the store's URL has no option {name!r}: use {', '.join(sorted(known))}"
            )
    if not _NAME.fullmatch(query.get("name", DEFAULT_NAME)):
        raise ConfigError("name in the store's URL must be 1 to 64 of A-Z a-z 0-9 . _ -")
    if query.get("eviction", "accepted") != "accepted":
        raise ConfigError("eviction in the store's URL can only be accepted")
    return query
