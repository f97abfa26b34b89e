"""The options on the command line: arguments of ``argparse``, made from the declarations."""

import argparse
from collections.abc import Collection
from typing import Any, Protocol

from .option import Option, Section, flag_of
from .options import OPTIONS

CONFIG_HELP = "gateway.toml: a file with these options, and with dialects of its own"
# At most one of these says who can log in.
_WHO = ("users", "any_address")


class Arguments(Protocol):
    """A parser or a group of one."""

    def add_argument(self, *flags: str, **details: Any) -> argparse.Action: ...


def add_arguments(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """All options except those of ``without``, in groups, and ``--config``."""
    parser.add_argument("--config", metavar="FILE", help=CONFIG_HELP)
    for section in Section:
        group = parser.add_argument_group(section.heading)
        for name, option in OPTIONS.items():
            if option.section is section and name not in (*_WHO, *without):
                add_argument(group, name)
        if section is Section.USERS:
            who = group.add_mutually_exclusive_group()
            for name in _WHO:
                add_argument(who, name)


def add_argument(parser: Arguments, name: str, help_text: str = "") -> None:
    """The option ``name``; ``help_text`` for a command to which it means something else."""
    option = OPTIONS[name]
    text = help_text or _help(option)
    parser.add_argument(
        flag_of(name, option), dest=name, help=text.replace("%", "%%"), **option.argument()
    )


def _help(option: Option) -> str:
    default = option.default_text
    notes = [] if default in ("none", "`false`") else [f"default {default}"]
    if default.startswith("must be set"):
        notes = [default]
    if option.range_text:
        notes.append(option.range_text)
    text = f"{option.help} ({', '.join(notes)})" if notes else option.help
    return text.replace("`", "")


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options among ``arguments`` that were given, as in gateway.toml. Raises: ConfigError."""
    return {
        name: option.from_argument(name, given)
        for name, option in OPTIONS.items()
        if (given := getattr(arguments, name)) is not None
    }
