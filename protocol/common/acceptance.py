"""Two rules for what a peer sends: it is recent, and it is used once (PROTOCOL §1.9)."""

from .errors import LocalProtocolError

WINDOW_MS = 60_000


def within_window(timestamp_ms: int, now_ms: int, window_ms: int) -> bool:
    """Whether ``timestamp_ms`` is at most ``window_ms`` from ``now_ms``, edge included."""
    return abs(now_ms - timestamp_ms) <= window_ms


class Once:
    """A guard for an action that is allowed once. A second use is a bug of the caller."""

    _is_used = False

    def use(self, what: str) -> None:
        """Raises: LocalProtocolError, at the second use; ``what`` names the action."""
        if self._is_used:
            raise LocalProtocolError(f"{what} used twice")
        self._is_used = True
