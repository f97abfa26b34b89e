"""What a person types or pastes where ``certless request`` asks for a code: a line, or a mail."""

import asyncio
import select
import sys
from collections.abc import Callable

from protocol.common.codes import Code
from protocol.common.typed_codes import NoCode

# The lines of what is pasted come one behind the other; a person does not type that fast.
_PAUSE_S = 0.1


async def ask_code(prompt: str, read: Callable[[str], Code | NoCode]) -> str:
    """The text that a code may be in, "" at the end of the input."""
    # The prompt goes to stderr: stdout is the answer's.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return await asyncio.to_thread(_take, read)


def _take(read: Callable[[str], Code | NoCode]) -> str:
    text = line = sys.stdin.readline()
    if sys.stdin.isatty():
        # All of it: whoever is left with the rest of a mail is a shell, which would run it.
        while line and select.select([sys.stdin], [], [], _PAUSE_S)[0]:
            line = sys.stdin.readline()
            text += line
    else:
        while line and _is_of_a_mail(text) and read(text) is NoCode.ABSENT:
            line = sys.stdin.readline()
            text += line
    return text


def _is_of_a_mail(text: str) -> bool:
    """Whether it is more than a code that was mistyped."""
    return len(text.split()) > 3 and not text.isupper()
