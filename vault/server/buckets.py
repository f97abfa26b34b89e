"""The present bucket of the server (VAULT §22)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from vault.core.expiry import FRAME_S, bucket_of, most_jitter_s


@dataclass(slots=True)
class Buckets:
    """The buckets of a clock, in milliseconds since 1970.

    ``floor`` is the bucket of the last sweep. If the clock has gone back, the present bucket is the
    floor, so that a new block does not expire when the clock is right again.
    """

    clock: Callable[[], int]
    frame_s: int = FRAME_S
    floor: int = 0

    def of_clock(self) -> int:
        """The bucket that the clock names."""
        return bucket_of(self._now_s(), self.frame_s)

    def present(self) -> int:
        """The bucket of accounts, permits and archives, which have no jitter."""
        return max(self.floor, self.of_clock())

    def drawn(self) -> int:
        """The bucket of one block that is put or renewed now."""
        jitter_s = secrets.randbelow(most_jitter_s(self.frame_s) + 1)
        return max(self.floor, bucket_of(self._now_s(), self.frame_s, jitter_s))

    def _now_s(self) -> int:
        return self.clock() // 1000
