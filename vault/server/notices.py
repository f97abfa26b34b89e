"""The mails to a user about their account."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Notice:
    """What all addresses of a user must learn. ``hours`` is the time until a reset is due."""

    event: Literal["reset", "deleted"]
    hours: int = 0

    @property
    def subject(self) -> str:
        if self.event == "deleted":
            return "Your vault was deleted"
        return "A reset of your vault was requested"

    @property
    def text(self) -> str:
        """The body of a mail."""
        if self.event == "deleted":
            return (
                "Your vault and all its data were deleted. The request was signed by your vault.\n"
                "If that was not you, a person or a program has one of your vault's secrets.\n"
            )
        return (
            "Somebody who was logged in as you asked to reset your vault.\n"
            f"In {self.hours} hours, they can replace it by an empty one, and its data is lost.\n"
            "\n"
            "If that was you, wait, and create a new vault after that time.\n"
            "If that was not you, open your vault, cancel the reset, and end your other sessions.\n"
        )


# Sends a notice to all addresses of the user with this name. It raises if it cannot.
Notify: TypeAlias = Callable[[str, Notice], Awaitable[None]]
