"""Reads the code for ``certless request`` from the terminal: a line, or a pasted mail."""

import asyncio
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from gateway.errors import ConfigError
from protocol.common.codes import Code
from protocol.common.typed_codes import NoCode

# The lines of pasted text arrive without a pause; a person does not type that fast.
_PAUSE_S = 0.1


def terminal() -> TextIO:
    """The terminal, if standard input is something else. Raises: ConfigError."""
    try:
        return Path("/dev/tty").open(encoding="utf-8")
    except OSError:
        raise ConfigError(
            "standard input is the body, and there is no terminal to type the code: log in once "
            "with --tickets FILE, and use the ticket"
        ) from None


async def ask_code(
    prompt: str, read: Callable[[str], Code | NoCode], source: TextIO = sys.stdin
) -> str:
    """The text that should contain a code; "" at the end of the input."""
    # The prompt goes to stderr: stdout is for the response.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return await asyncio.to_thread(_read_text, read, source)


def _read_text(read: Callable[[str], Code | NoCode], source: TextIO) -> str:
    text = line = source.readline()
    if source.isatty():
        # Read the whole paste: the shell would run the rest of a mail as commands.
        while line and select.select([source], [], [], _PAUSE_S)[0]:
            line = source.readline()
            text += line
    else:
        while line and _looks_like_a_mail(text) and read(text) is NoCode.ABSENT:
            line = source.readline()
            text += line
    return text


def _looks_like_a_mail(text: str) -> bool:
    """Whether the text is longer than a mistyped code."""
    return len(text.split()) > 3 and not text.isupper()
