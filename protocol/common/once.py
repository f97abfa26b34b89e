"""A guard for actions that are allowed once; a second use is a bug of the caller."""

from .errors import LocalProtocolError


class Once:
    """Allows one use."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used = False

    def use(self, what: str) -> None:
        """Raises: LocalProtocolError, at the second use; ``what`` names the action."""
        if self._used:
            raise LocalProtocolError(f"{what} used twice")
        self._used = True
