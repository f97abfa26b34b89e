"""Rights that are used up: of what may happen once, the second time is our own bug."""

from .errors import LocalProtocolError


class Once:
    """A right that is used up by its first use."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used = False

    def use(self, what: str) -> None:
        if self._used:
            raise LocalProtocolError(f"{what} used twice")
        self._used = True
