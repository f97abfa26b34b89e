"""Freshness of the hardened suites: the claim of a message, and the counter's window.

Rules without state (PROTOCOL §2.6.4). With ``clock`` a message is claimed by its salt, and its time
is checked afterwards. With ``counter`` it is claimed by its number: each number once, and none that
is 1024 or more below the highest so far. Source: RFC 6479, with an integer in place of a ring.
"""

from dataclasses import dataclass

from protocol.common.errors import LocalProtocolError

from .suites import Freshness

COUNTER_WINDOW = 1024
MAX_FRESH_VALUE = 2**53 - 1
WINDOW_RECORD_BYTES = 8 + COUNTER_WINDOW // 8

_SEEN_MASK = (1 << COUNTER_WINDOW) - 1


@dataclass(frozen=True, slots=True)
class FreshnessClaim:
    """What a store must claim, in one atomic and durable step, before a message counts.

    ``clock``    Claim ``salt`` (16 bytes) if it was not claimed in this session before. Forget it
                 only when the store's clock is past ``expires_ms``.
    ``counter``  Replace the session's window by ``ReplayWindow.claim(value)``, if that is not
                 None. ``salt`` and ``expires_ms`` have no meaning.
    """

    fresh: Freshness
    value: int
    salt: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class ReplayWindow:
    """The numbers that were seen: ``top`` is the highest, bit i of ``seen`` is ``top - i``.

    A new window has seen only 0, so the first message has the number 1.
    """

    top: int = 0
    seen: int = 1

    def claim(self, value: int) -> "ReplayWindow | None":
        """The window with ``value`` in it, or None if it was seen or is too old."""
        if value > self.top:
            ahead = value - self.top
            # A number far ahead must not cause a shift by that many bits.
            seen = self.seen << ahead & _SEEN_MASK if ahead < COUNTER_WINDOW else 0
            return ReplayWindow(value, seen | 1)
        bit = 1 << min(self.top - value, COUNTER_WINDOW)
        if bit > _SEEN_MASK or self.seen & bit:
            return None
        return ReplayWindow(self.top, self.seen | bit)

    def serialize(self) -> bytes:
        """136 bytes, for a store."""
        return self.top.to_bytes(8) + self.seen.to_bytes(COUNTER_WINDOW // 8)

    @classmethod
    def parse(cls, data: bytes) -> "ReplayWindow":
        """Reads the bytes of ``serialize``. Raises: LocalProtocolError."""
        if len(data) != WINDOW_RECORD_BYTES:
            raise LocalProtocolError("a stored window has another length")
        return cls(int.from_bytes(data[:8]), int.from_bytes(data[8:]))
