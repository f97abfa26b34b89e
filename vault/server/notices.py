"""The mails to a user about their account."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Event: TypeAlias = Literal["created", "guessed", "reset", "deleted", "expires"]

_SUBJECTS: dict[Event, str] = {
    "created": "A vault was created for you",
    "guessed": "Wrong passwords for your vault",
    "reset": "A reset of your vault was requested",
    "deleted": "Your vault was deleted",
    "expires": "Open your vault to keep its data",
}
_TEXTS: dict[Event, str] = {
    "created": (
        "A vault was created in a login under your name. If you had a vault before, and its reset "
        "was due, the new vault has replaced it.\n"
        "\n"
        "If that was not you, end your other sessions, and ask for a reset of the vault.\n"
    ),
    "guessed": (
        "In a login under your name, 5 passwords in a row were tried for your vault. At least 4 of "
        "them were wrong. Now the vault accepts no password for some time.\n"
        "\n"
        "If that was not you, end your other sessions. Your recovery code and your devices still "
        "open the vault.\n"
    ),
    "reset": (
        "A reset of your vault was requested in a login under your name.\n"
        "In {hours} hours, a new, empty vault can replace it. Its data is lost then.\n"
        "\n"
        "If that was you, wait, and create a new vault after that time.\n"
        "If that was not you, open your vault, cancel the reset, and end your other sessions.\n"
    ),
    "deleted": (
        "Your vault and all its data were deleted. The request was signed by your vault.\n"
        "If that was not you, a person or a program has one of your vault's secrets.\n"
    ),
    "expires": (
        "You have not opened your vault for a long time. In {days} days, its data expires, and is "
        "deleted later.\n"
        "\n"
        "To keep it, open your vault before that time.\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What all addresses of a user must learn.

    ``hours`` is the time until a reset is due, or until the data expires.
    """

    event: Event
    hours: int = 0

    @property
    def subject(self) -> str:
        return _SUBJECTS[self.event]

    @property
    def text(self) -> str:
        """The body of a mail."""
        return _TEXTS[self.event].format(hours=self.hours, days=self.hours // 24)


# Sends a notice to all addresses of the user with this name. It raises if it cannot.
Notify: TypeAlias = Callable[[str, Notice], Awaitable[None]]
