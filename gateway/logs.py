"""Write texts from outside on one line, without control characters for a terminal.

Our loggers escape every argument: texts of clients, mail servers, upstreams, stores and exceptions.
So no such text can end a log line, begin another, or move the cursor. A backslash is not escaped,
so a text that is escaped twice is the same as one that is escaped once.
"""

import logging
import re
from collections.abc import Mapping

# A longer text only fills the disk.
_LONGEST = 1000
_VISIBLE = re.compile("[!-~]*")
LOGGERS = ("certless", "certless.refused", "certless.vault")


def on_one_line(text: str) -> str:
    """``text`` for people: unprintable characters are escaped, and a long text is cut."""
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else _escape(char) for char in cut)


def word(text: str, longest: int = 200) -> str:
    """``text`` as one field of a line: visible ASCII without spaces."""
    cut = text[:longest]
    if _VISIBLE.fullmatch(cut):
        return cut
    return "".join(char if "!" <= char <= "~" else _escape(char) for char in cut)


def _escape(char: str) -> str:
    return r"\x20" if char == " " else char.encode("unicode_escape").decode("ascii")


def _escape_arguments(record: logging.LogRecord) -> bool:
    """A logging filter that keeps every record. Only the arguments come from outside."""
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
