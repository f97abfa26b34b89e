"""The Redis server of a store: its version, its network, its clock."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

from redis.exceptions import RedisError

from gateway.mail.smtp import LOOPBACK
from gateway.stores.redis.url import RedisUrl, parse_redis_url

from . import ANSWER_S, Finding, ok, warn
from .clock import compared_with

ABOUT = "store"
# INFO is asked by section. The key selects the server of a cluster.
_INFO = """
local sections = {}
for _, section in ipairs({'server', 'memory', 'replication'}) do
  table.insert(sections, redis.call('INFO', section))
end
return table.concat(sections, '\\n')
"""


async def examine_redis(url: str, window_s: float) -> AsyncIterator[Finding]:
    """Facts about the store's server. Only reads."""
    place = parse_redis_url(url)
    try:
        async with AsyncExitStack() as closing:
            client = place.connect(closing, ANSWER_S)
            text = await client.eval(_INFO, 1, f"{{certless:{place.name}}}:fence")
    except (RedisError, OSError) as error:
        yield warn(ABOUT, f"Redis does not answer INFO ({type(error).__name__}): check it yourself")
        return
    info = dict(re.findall(r"^(\w+):(.*?)\r?$", text.decode(), re.MULTILINE))
    for finding in (*_server(info), *_network(place)):
        yield finding
    yield compared_with("the clock of Redis", int(info["server_time_usec"]) / 1e6, window_s)


def _server(info: dict[str, str]) -> Iterator[Finding]:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    replicas = info.get("connected_slaves", "0")
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        yield warn(ABOUT, f"{name} deletes sessions when it is full (maxmemory-policy {policy})")
    yield ok(
        ABOUT,
        f"{name} {version}, {info.get('role')} with {replicas} replicas; a restart ends every "
        "session, also if it saves to disk",
    )


def _network(place: RedisUrl) -> Iterator[Finding]:
    if all(host in LOOPBACK for host, _ in place.hosts):
        return
    if not place.tls:
        yield warn(
            ABOUT,
            f"the connection to {place.where} is not encrypted: records are sealed, but others on "
            "that network can delete sessions; use rediss:// or a private network",
        )
    if "password" not in place.options:
        yield warn(
            ABOUT, f"{place.where} needs no password: anyone who reaches it can end sessions"
        )
