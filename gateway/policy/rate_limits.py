"""Rate limits: for one user, for one client address, and for all together.

A request is counted before anything is computed and before the user is looked up, so a known and
an unknown name get the same response. The counters are in the store, so processes that share a
store share them. A window begins with the first request that it counts. A full window stays full
until its end. This module remembers full windows, so a flood does not reach the store.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from limits import RateLimitItem
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from gateway.clock import Clock
from gateway.errors import RateLimited, StoreUnavailable
from gateway.stores import Counter, Store
from protocol.classic.freshness import TAG_BYTES

from .client_address import block_of
from .rates import RATES, read_rate

# The number of full windows that are remembered. For others the store is asked again.
_MOST_FULL = 10_000

_TEXTS = {
    "logins": "too many logins at this moment",
    "logins_per_user": "too many logins of this user",
    "logins_per_address": "too many logins from this address",
    "guesses_per_address": "too many codes tried from this address",
    "resumptions_per_address": "too many tickets used from this address",
    "messages_per_session": "too many messages in this session",
    "messages_ahead": "too many messages ahead of the time: set the clock right",
}
# A client whose clock was changed sends one or two such messages before it corrects its time.
_AHEAD = read_rate("100 per hour")


class CountersInStore(Storage):
    """A storage for the library ``limits``, with our stores and our clock."""

    STORAGE_SCHEME = None

    def __init__(self, store: Store, hide: Callable[[str], bytes], clock: Clock) -> None:
        """``hide`` turns a key into 16 bytes. The store sees only those."""
        super().__init__()
        self._store = store
        self._hide = hide
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailable

    async def _count(self, key: str, amount: int, lifetime_s: int) -> Counter:
        return await self._store.count(self._hide(key), amount, lifetime_s * 1000, self._clock())

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return (await self._count(key, amount, expiry)).value

    async def get(self, key: str) -> int:
        return (await self._count(key, 0, 0)).value

    async def get_expiry(self, key: str) -> float:
        return (await self._count(key, 0, 0)).expires_ms / 1000

    async def check(self) -> bool:
        await self._store.ping()
        return True

    async def reset(self) -> int | None:
        raise NotImplementedError("windows expire")

    async def clear(self, key: str) -> None:
        raise NotImplementedError("windows expire")


@dataclass(frozen=True, slots=True)
class _Counted:
    """A user, an address or a session that one limit counts."""

    limit: str
    rate: RateLimitItem
    subject: str

    def is_within(self, now_ms: int, ends_ms: int) -> bool:
        """Whether now is in the window that ends then. Not if the clock was set back before it."""
        return 0 <= ends_ms - now_ms <= self.rate.get_expiry() * 1000


class Limits:
    """Counts requests. Each method counts once. Raises: RateLimited, StoreUnavailable."""

    def __init__(
        self,
        rates: Mapping[str, str],
        store: Store,
        hide: Callable[[str], bytes],
        clock: Clock,
    ) -> None:
        """``rates`` by the names of ``RATES``; ``hide`` as in ``CountersInStore``."""
        self._clock = clock
        self._rates = {name: read_rate(rates[name]) for name in RATES}
        self._rates["messages_ahead"] = _AHEAD
        self.counts_messages = self._rates["messages_per_session"] is not None
        self._limiter = FixedWindowRateLimiter(CountersInStore(store, hide, clock))
        self._full: OrderedDict[_Counted, int] = OrderedDict()

    def refuse_logins_from(self, address: str) -> None:
        """Refuse before the request is read, if no user name could pass. Counts nothing."""
        self._refuse_full(
            *self._counted("logins", ""), *self._counted("logins_per_address", block_of(address))
        )

    async def login(self, address: str, user_tag: bytes, device_tag: bytes = b"") -> None:
        """Count a request for a login, for the user with ``user_tag``.

        The logins of each device are counted alone, so a plant can log in many of them at once.
        """
        alone = [
            *self._counted("logins_per_address", block_of(address)),
            *self._counted("logins_per_user", (user_tag + device_tag).hex()),
        ]
        everybody = self._counted("logins", "")
        self._refuse_full(*everybody, *alone)
        # A request that its own limits refuse must not use up the limit of all.
        await self._count(*alone)
        await self._count(*everybody)

    async def guess(self, address: str) -> None:
        """Count an attempt of a code, in any login."""
        await self._count(*self._counted("guesses_per_address", block_of(address)))

    async def resumption(self, address: str) -> None:
        """Count a use of a ticket."""
        await self._count(*self._counted("resumptions_per_address", block_of(address)))

    async def message(self, session_id: str) -> None:
        """Count a message that was claimed, so it is authentic and no replay."""
        await self._count(*self._counted("messages_per_session", session_id))

    async def message_ahead(self, session_id: str) -> None:
        """Count an authentic message from the future. Its salt must be kept until its time."""
        await self._count(*self._counted("messages_ahead", session_id))

    def _counted(self, limit: str, subject: str) -> list[_Counted]:
        """Empty if this limit is off."""
        rate = self._rates[limit]
        return [] if rate is None else [_Counted(limit, rate, subject)]

    async def _count(self, *counted: _Counted) -> None:
        if not counted:
            return
        self._refuse_full(*counted)
        ends_ms = await asyncio.gather(*(self._hit(one) for one in counted))
        _refuse(self._clock(), zip(ends_ms, counted, strict=True))

    async def _hit(self, one: _Counted) -> int | None:
        """The end of the window if it was full already, else None."""
        if await self._limiter.hit(one.rate, one.limit, one.subject):
            return None
        ends_s, _ = await self._limiter.get_window_stats(one.rate, one.limit, one.subject)
        self._full[one] = ends_ms = round(ends_s * 1000)
        if len(self._full) > _MOST_FULL:
            self._full.popitem(last=False)
        return ends_ms

    def _refuse_full(self, *counted: _Counted) -> None:
        now_ms = self._clock()
        known = ((self._full.get(one, -1), one) for one in counted)
        _refuse(
            now_ms, ((ends_ms, one) for ends_ms, one in known if one.is_within(now_ms, ends_ms))
        )


def _refuse(now_ms: int, ends: Iterable[tuple[int | None, _Counted]]) -> None:
    """Raises: RateLimited, for the full window that ends last."""
    full = [(ends_ms, one) for ends_ms, one in ends if ends_ms is not None]
    if full:
        ends_ms, one = max(full, key=lambda entry: entry[0])
        # A tag of a device can follow the tag of the user.
        tags = bytes.fromhex(one.subject) if one.limit == "logins_per_user" else b""
        user_tag = tags[:TAG_BYTES]
        raise RateLimited(_TEXTS[one.limit], (ends_ms - now_ms) // 1000 + 1, one.limit, user_tag)
