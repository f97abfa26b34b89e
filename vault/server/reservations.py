"""How many ids of blocks a user can reserve in an hour (VAULT §18.2). It is in memory only."""

from collections import Counter
from collections.abc import Callable

from .errors import TooMany

IDS_PER_HOUR = 200_000
_HOUR_MS = 3_600_000


class Reservations:
    """The ids that each account has reserved in the present hour of the clock."""

    def __init__(self, clock: Callable[[], int], most: int = IDS_PER_HOUR) -> None:
        self._clock = clock
        self._most = most
        self._hour = 0
        self._counts: Counter[bytes] = Counter()

    def count(self, account: bytes, ids: int) -> None:
        """Count ``ids`` more. Raises: TooMany, if these are too many; then nothing is counted."""
        hour = self._clock() // _HOUR_MS
        if hour != self._hour:
            self._hour = hour
            self._counts.clear()
        if self._counts[account] + ids > self._most:
            raise TooMany(f"at most {self._most} ids of blocks in an hour: try again later")
        self._counts[account] += ids
