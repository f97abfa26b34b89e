"""The Redis server of a store: runs scripts, and detects data loss by a fence (STORAGE §3).

Every key of a store begins with ``{certless:NAME}``, so all keys are in one slot of a Redis Cluster
and one script can use them. The generation follows: it changes after each event that can have lost
data in Redis, so older data is never used again.

A script is never sent again by itself. If its response is lost, it can have been run: a claim was
made, or an attempt was counted. The request then fails.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from gateway.errors import ConfigError, StoreUnavailable
from gateway.stores import Store

from .batches import Batches
from .scripts import ABOUT, RAISE_FENCE, SCRIPTS, Script
from .url import RedisUrl

# A key lives this much longer than its record, for gateways with different clocks and the sweep.
_SLACK_MS = 3_600_000
_AT_ONCE = 64
# While Redis answers, a request waits this long for its turn: all devices of a plant can come at
# the same moment. A refusal would waste the work that was done, and they would all come again.
_QUEUE_S = 10.0
_LEAST_VERSION = 7
_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
_NO_ANSWERS = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)
_log = logging.getLogger("certless")


class Fenced(Exception):
    """The generation is outdated, because the server has a new history; nothing was done."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class RedisServer(Store):
    """The server at ``url``, and the scripts of its store."""

    def __init__(self, url: RedisUrl, clock: Callable[[], int] = _now_ms) -> None:
        self._url = url
        self._clock = clock
        self._closing = AsyncExitStack()
        self._client: Any = None
        self._evalsha: Callable[..., Awaitable[Any]] | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._unanswered_s = float("-inf")  # when Redis last did not answer
        self._generation = ""
        self._old_generations: set[str] = set()

    async def open(self) -> None:
        """Connect and check the server. Raises: ConfigError, StoreUnavailable."""
        self._client = self._url.connect(self._closing)
        # A pipeline of a cluster would ask each time which node has the slot.
        is_cluster = self._url.kind == "cluster"
        self._evalsha = self._client.evalsha if is_cluster else Batches(self._client).evalsha
        try:
            await self._check_server()
            await self._raise_fence()
            await self._check_tickets()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._closing.aclose()

    async def ping(self) -> None:
        await self._run("ping")

    async def _check_server(self) -> None:
        about = (await self._send(ABOUT, ())).decode()
        info = dict(re.findall(r"^(\w+):(.*?)\r?$", about, re.MULTILINE))
        version, policy = info.get("redis_version", ""), info.get("maxmemory_policy")
        if int(version.partition(".")[0] or 0) < _LEAST_VERSION:
            raise ConfigError(
                f"Redis at {self._url.where} has version {version or 'unknown'}: "
                f"use {_LEAST_VERSION}.0 or later, or Valkey"
            )
        if policy != "noeviction" and not self._url.accepts_eviction:
            raise ConfigError(
                f"Redis at {self._url.where} deletes sessions when it is full "
                f"(maxmemory-policy {policy}): set it to noeviction, or add ?eviction=accepted"
            )

    async def _check_tickets(self) -> None:
        """Check that no ticket store belongs to these gateways. Raises: ConfigError."""
        if (await self._run("ticket_fence"))[1] is not None:
            raise ConfigError(
                f"the gateways of Redis at {self._url.where} keep tickets in a ticket store: set "
                "the same --ticket-store; without one, add another ?name= to --store, and "
                "everybody must log in again"
            )

    # --- the fence ---

    @property
    def _fence_key(self) -> str:
        return f"{{certless:{self._url.name}}}:fence"

    async def _raise_fence(self) -> None:
        """Switch to the generation of the server's history; creates one if needed."""
        known = self._generation
        generations = secrets.token_hex(8), *self._old_generations
        found = (await self._send(RAISE_FENCE, (), *generations)).decode()
        # Only the first of several requests that notice it logs it.
        is_news = known and known == self._generation != found
        if is_news:
            self._old_generations.add(known)
        self._generation = found
        if is_news:
            _log.warning(
                "Redis at %s was restarted, replaced or emptied: all earlier sessions and logins "
                "have ended, and all tickets that are not in a ticket store",
                self._url.where,
            )

    async def _run(self, name: str, keys: Sequence[tuple[str, bytes]] = (), *args: object) -> Any:
        """Run a script; each key is a kind and an id. Raises: StoreUnavailable."""
        for _ in range(3):
            generation = self._generation
            named = [self._key(generation, kind, key) for kind, key in keys]
            try:
                return await self._send(SCRIPTS[name], named, generation, *args)
            except Fenced:
                # The first request that notices it; the others find the new generation.
                if self._generation == generation:
                    await self._raise_fence()
        raise self._unavailable("its history keeps changing: is it one server?")

    def _key(self, generation: str, kind: str, key: bytes) -> str:
        return f"{{certless:{self._url.name}}}:{generation}:{kind}:{key.hex()}"

    def _ttl_ms(self, expires_ms: int) -> int:
        """The lifetime of a key whose record expires at ``expires_ms``."""
        return max(0, expires_ms - self._clock()) + _SLACK_MS

    # --- one script ---

    async def _send(
        self, script: Script, keys: Sequence[str], *args: object, client: Any = None
    ) -> Any:
        """Run ``script``. Raises: Fenced, StoreUnavailable."""
        arguments = (1 + len(keys), self._fence_key, *keys, *args)
        evalsha = self._evalsha if client is None else client.evalsha
        assert evalsha is not None  # noqa: S101  # ``open`` has set it
        await self._turn()
        try:
            try:
                return await evalsha(script.sha, *arguments)
            except NoScriptError:
                return await (client or self._client).eval(script.text, *arguments)
        except _FAILURES as error:
            raise await self._failure(error) from None
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        """Raises: StoreUnavailable, if others take all turns for too long."""
        if not self._turns.locked():
            # This does not wait, and needs no timer.
            await self._turns.acquire()
            return
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(_QUEUE_S):
                await self._turns.acquire()
        except TimeoutError:
            raise self._unavailable("too many requests are waiting for it") from None
        if self._unanswered_s >= began_s:
            # Otherwise a server that hangs would take the time of its answer from each in turn.
            self._turns.release()
            raise self._unavailable("it did not answer the requests before this one")

    async def _failure(self, error: Exception) -> Exception:
        if isinstance(error, _NO_ANSWERS):
            self._unanswered_s = time.monotonic()
        if isinstance(error, ResponseError) and str(error).startswith("FENCED"):
            return Fenced()
        if isinstance(error, ReadOnlyError) and self._url.kind == "single":
            # Another server is the master now, maybe with the same name: resolve it again.
            await self._client.connection_pool.disconnect(inuse_connections=False)
        if isinstance(error, MasterNotFoundError):
            return self._unavailable(
                f"no sentinel knows a master for {self._url.service!r}; do they run, and are name, "
                "user and password in --store right?"
            )
        # A server can quote what it did not understand.
        text = self._url.without_passwords(" ".join(str(error).split())) or type(error).__name__
        if isinstance(error, AuthenticationError):
            text += "; are user and password in --store right?"
        # Not its subclasses.
        elif type(error) is RedisConnectionError:
            text += "; does it run, and is --store right?"
        return self._unavailable(text)

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"Redis at {self._url.where}: {reason}")
