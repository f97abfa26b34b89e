"""What came from outside, in one line of text that drives no terminal.

Whatever is given to a logger of ours is written so: texts of visitors, mail servers, upstreams,
stores and exceptions. So nobody can end a line, begin another, or move a cursor. A backslash stays
as it is, so that what was escaped once does not change when it is escaped again.
"""

import logging
from collections.abc import Mapping

# What is longer tells nobody more, and fills disks.
_LONGEST = 1000
LOGGERS = ("certless", "certless.refused")


def on_one_line(text: str) -> str:
    """``text`` for people: what cannot be printed is escaped, and what is too long is cut."""
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return "".join(char if char.isprintable() else _escape(char) for char in cut)


def word(text: str, longest: int = 200) -> str:
    """``text`` as one field of a line: visible ASCII, and no space in it."""
    return "".join(char if "!" <= char <= "~" else _escape(char) for char in text[:longest])


def _escape(char: str) -> str:
    return r"\x20" if char == " " else char.encode("unicode_escape").decode("ascii")


def _escape_arguments(record: logging.LogRecord) -> bool:
    """A filter that keeps every record; the text of a message itself is always ours."""
    if isinstance(record.args, Mapping):
        record.args = {name: _written(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_written, record.args))
    return True


def _written(argument: object) -> object:
    is_number = argument is None or isinstance(argument, (int, float))
    return argument if is_number else on_one_line(str(argument))


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_escape_arguments)
