"""What a Redis tells of itself: what it is, who may read along, what its clock says."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

from redis.exceptions import RedisError

from gateway.mail.smtp import LOOPBACK
from gateway.stores.redis.url import RedisUrl, parse_redis_url

from . import ANSWER_S, Finding, ok, warn
from .clock import beside

ABOUT = "store"
# Sections that are not of the default ones are asked for by name; a key says which server of a
# cluster it is about.
_TELL = """
local told = {}
for _, section in ipairs({'server', 'memory', 'replication'}) do
  table.insert(told, redis.call('INFO', section))
end
return table.concat(told, '\\n')
"""


async def examine_redis(url: str, window_s: float) -> AsyncIterator[Finding]:
    """Facts of the server that the store is on. Asked only, and nothing is changed."""
    place = parse_redis_url(url)
    try:
        async with AsyncExitStack() as closing:
            client = place.connect(closing, ANSWER_S)
            text = await client.eval(_TELL, 1, f"{{certless:{place.name}}}:fence")
    except (RedisError, OSError) as error:
        yield warn(ABOUT, f"Redis does not tell of itself ({type(error).__name__}): look, by hand")
        return
    told = dict(re.findall(r"^(\w+):(.*?)\r?$", text.decode(), re.MULTILINE))
    for finding in (*_server(told), *_network(place)):
        yield finding
    yield beside("that of Redis", int(told["server_time_usec"]) / 1e6, window_s)


def _server(told: dict[str, str]) -> Iterator[Finding]:
    name = "Valkey" if "valkey_version" in told else "Redis"
    version = told.get("valkey_version") or told.get("redis_version")
    replicas = told.get("connected_slaves", "0")
    policy = told.get("maxmemory_policy")
    if policy != "noeviction":
        yield warn(
            ABOUT, f"{name} throws sessions away when it is full (maxmemory-policy {policy})"
        )
    yield ok(
        ABOUT,
        f"{name} {version}, {told.get('role')} with {replicas} replicas; its restart ends every "
        "session, whatever it saves",
    )


def _network(place: RedisUrl) -> Iterator[Finding]:
    if all(host in LOOPBACK for host, _ in place.hosts):
        return
    if not place.tls:
        yield warn(
            ABOUT,
            f"{place.where} is reached in plain: records are sealed, but who is on that network "
            "can end or lose sessions; rediss://, or a network that nobody else is in",
        )
    if "password" not in place.options:
        yield warn(ABOUT, f"{place.where} asks for no password: who reaches it can end sessions")
