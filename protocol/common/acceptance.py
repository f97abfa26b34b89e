"""Two rules for what a peer sends: it is recent, and it is used once (PROTOCOL §1.9)."""

from typing import NoReturn

from .errors import LocalProtocolError

WINDOW_MS = 60_000


class Once:
    """A guard for an action that is allowed once. A second use is a bug of the caller."""

    _is_used = False

    def use(self, what: str) -> None:
        """Raises: LocalProtocolError, at the second use; ``what`` names the action."""
        if self._is_used:
            raise LocalProtocolError(f"{what} used twice")
        self._is_used = True


def used_twice(*_: object, **__: object) -> NoReturn:
    """What replaces a step that was taken. The step then holds no plaintext any more.

    Raises: LocalProtocolError.
    """
    raise LocalProtocolError("a step of a message was used twice")
