"""How an option is declared: once, with its type, default, range and help.

``gateway.toml``, the command line, ``setup`` and the tables in docs/ all derive from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from gateway.errors import ConfigError
from gateway.policy.rates import NONE, read_rate


class Section(Enum):
    """A group of options: the page of docs/ that lists them, and the heading there."""

    SERVICE = ("options.md", "Service")
    USERS = ("options.md", "Users and mail")
    PROTOCOL = ("options.md", "Protocol")
    STORAGE = ("options.md", "Storage")
    MONITORING = ("options.md", "Monitoring")
    HOW_OFTEN = ("limits.md", "How often")
    HOW_MANY = ("limits.md", "How many")
    HOW_LONG = ("limits.md", "How long")
    HOW_LARGE = ("limits.md", "How large")

    def __init__(self, page: str, heading: str) -> None:
        self.page = page
        self.heading = heading


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option.

    ``help``           one sentence for ``--help`` and docs/, in Markdown, without a full stop
    ``more``           more for docs/
    ``flag``           the argument, if it is not the name with hyphens
    ``metavar``        what the argument takes, as ``--help`` shows it
    ``shown_default``  what ``--help`` and docs/ say instead of ``default``, in Markdown
    """

    FORM: ClassVar[str]

    section: Section
    help: str
    more: str = ""
    default: Any = None
    shown_default: str = ""
    flag: str = ""
    metavar: str = ""
    is_path: bool = False

    def has_type(self, value: object) -> bool:
        """Whether ``value``, from gateway.toml or a program, has the type of this option."""
        raise NotImplementedError

    def check(self, name: str, value: object) -> None:
        """Check the type and the range of ``value``. Raises: ConfigError."""
        if not self.has_type(value):
            raise ConfigError(f"{name} must be {self.FORM}")

    def argument(self) -> dict[str, Any]:
        """What ``argparse`` needs to know besides the flag and the help."""
        return {"metavar": self.metavar}

    def from_argument(self, name: str, given: Any) -> Any:
        """The value that ``argparse`` has read, as gateway.toml has it. Raises: ConfigError."""
        return given

    @property
    def range_text(self) -> str:
        """The range in words; "" without one."""
        return ""

    @property
    def default_text(self) -> str:
        """The default in Markdown."""
        return self.shown_default or ("none" if self.default is None else f"`{self.default}`")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOption(Option):
    """A string."""

    FORM: ClassVar[str] = "a string"

    def has_type(self, value: object) -> bool:
        return isinstance(value, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOption(TextOption):
    """A rate limit like ``10 per 15 minutes``."""

    metavar: str = "RATE"

    def check(self, name: str, value: object) -> None:
        try:
            read_rate(value if isinstance(value, str) else "")
        except ValueError:
            raise ConfigError(
                f"{name} must be one rate like '10 per 15 minutes', or '{NONE}'"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOption(Option):
    """A whole number from ``least`` to ``most``."""

    FORM: ClassVar[str] = "a whole number"

    least: int
    most: int
    metavar: str = "N"

    def has_type(self, value: object) -> bool:
        return type(value) is int  # True is no number

    def check(self, name: str, value: object) -> None:
        Option.check(self, name, value)
        if isinstance(value, int) and not self.least <= value <= self.most:
            raise ConfigError(f"{name} must be from {self.least} to {self.most}")

    def argument(self) -> dict[str, Any]:
        return {"metavar": self.metavar, "type": int}

    @property
    def range_text(self) -> str:
        return f"{self.least} to {self.most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOption(Option):
    """A list of strings; on the command line one argument each, or, if ``joined``, with commas."""

    FORM: ClassVar[str] = "a list of strings"

    joined: bool = False

    def has_type(self, value: object) -> bool:
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(isinstance(item, str) for item in value)
        )

    def argument(self) -> dict[str, Any]:
        return {"metavar": self.metavar, **({} if self.joined else {"action": "append"})}

    def from_argument(self, name: str, given: Any) -> Any:
        return [item.strip() for item in given.split(",")] if self.joined else given

    @property
    def default_text(self) -> str:
        return self.shown_default or (f"`{','.join(self.default)}`" if self.default else "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandsOption(Option):
    """A table of route patterns, each with a suite."""

    FORM: ClassVar[str] = 'a table like { "/admin/*" = "ecdh-gcm" }'

    shown_default: str = "none"

    def has_type(self, value: object) -> bool:
        return isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())

    def argument(self) -> dict[str, Any]:
        return {"metavar": self.metavar, "action": "append"}

    def from_argument(self, name: str, given: Any) -> Any:
        demands = {}
        for text in given:
            pattern, equals, suite = text.rpartition("=")
            if not equals:
                raise ConfigError(f"{name} {text!r} must be PATTERN=SUITE, e.g. /admin/*=ecdh-gcm")
            demands[pattern] = suite
        return demands


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsOption(DemandsOption):
    """A table of kinds of addresses, each with the URL of its channel."""

    FORM: ClassVar[str] = 'a table like { sms = "webhook:https://sms.example/send" }'

    def from_argument(self, name: str, given: Any) -> Any:
        channels = {}
        for text in given:
            kind, equals, url = text.partition("=")
            if not equals:
                raise ConfigError("a channel must be KIND=webhook:URL, e.g. sms=webhook:https://…")
            channels[kind] = url
        return channels


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOption(Option):
    """On or off, and off unless set."""

    FORM: ClassVar[str] = "true or false"

    default: Any = False
    shown_default: str = "`false`"

    def has_type(self, value: object) -> bool:
        return isinstance(value, bool)

    def argument(self) -> dict[str, Any]:
        return {"action": "store_true", "default": None}


def flag_of(name: str, option: Option) -> str:
    """The argument of the command line."""
    return option.flag or "--" + name.replace("_", "-")
