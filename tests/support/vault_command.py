"""A command of ``certless vault`` whose user answers at once, and which dies at a chosen step.

A step is before each request, after each response, before each change of a file in the folder of
the command, and before each answer of the user.
"""

import io
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deadly_steps import Steps
from mailboxes import CODE_LINE, parse_mail, text_of
from quick_argon2id import quick

import vault.client  # loaded before the fork
import vault.core.password
from certless.client.transport import Transport

RECOVERY_CODE = re.compile(r"^    ([0-9A-Z-]{44})$", re.MULTILINE)
TEMPORARY_KEY = re.compile(r"^([0-9A-Z-]{34})$", re.MULTILINE)
MAIL_WITHIN_S = 20.0
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def taken_code(mails: Path, username: str, within_s: float = MAIL_WITHIN_S) -> str:
    """The code of the oldest mail to this user, which is then deleted; "" if there comes none."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for path in sorted(mails.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
            mail = parse_mail(path.read_bytes())
            if mail["To"] == username:
                path.unlink()
                for code in CODE_LINE.findall(text_of(mail)):
                    return str(code)
        time.sleep(0.002)
    return ""


class Terminal(io.TextIOBase):
    """The standard input and output of the command, and the user in front of it."""

    def __init__(
        self,
        steps: Steps,
        answers: dict[str, str],
        printed: Path,
        code: Callable[[], str],
    ) -> None:
        self._steps = steps
        self._answers = answers
        # What was printed is known after a kill, too.
        self._printed = printed.open("a", buffering=1)
        self._shown = ""
        self._code = code

    def write(self, text: str) -> int:
        self._printed.write(text)
        self._printed.flush()
        self._shown += text
        return len(text)

    def readline(self, _: int | None = -1) -> str:  # type: ignore[override]
        question = self._shown.rpartition("\n")[2]
        self._steps()
        if question.endswith("Paste the code: "):
            typed = self._code()
        elif question.endswith("Type the recovery code: "):
            typed = RECOVERY_CODE.findall(self._shown)[-1]
        else:
            typed = self._answers[question]
        self.write("\n")
        # Without an answer, it is the end of the input.
        return f"{typed}\n" if typed else ""


def _count_requests(steps: Steps) -> None:
    exchange = Transport._exchange

    async def counted(self: Transport, *given: Any) -> bytes:
        steps()
        answer = await exchange(self, *given)
        steps()
        return answer

    Transport._exchange = counted  # type: ignore[assignment,method-assign]


def _count_files(steps: Steps, folder: str) -> None:
    def hook(name: str, given: tuple[Any, ...]) -> None:
        is_change = name in ("os.rename", "os.remove") or (name == "open" and given[2] & _WRITES)
        if is_change and str(given[0]).startswith(folder):
            steps()

    sys.addaudithook(hook)


def command(
    arguments: tuple[str, ...],
    folder: str,
    answers: dict[str, str],
    mails: Path,
    username: str,
    mail_within_s: float,
    kill_at: int,
) -> None:
    """Run the command. ``FOLDER.printed`` gets what it prints, at the end with its steps."""
    # Without a terminal, it reads passwords from the standard input.
    os.setsid()
    warnings.simplefilter("ignore")
    steps = Steps(kill_at)
    code = partial(taken_code, mails, username, mail_within_s)
    terminal: Any = Terminal(steps, answers, Path(f"{folder}.printed"), code)
    sys.stdin = sys.stdout = sys.stderr = terminal
    vault.core.password.argon2id = quick  # type: ignore[attr-defined]
    _count_requests(steps)
    _count_files(steps, folder)
    from gateway.cli.main import main

    status = main(["vault", "--state", folder, *arguments])
    terminal.write(f"\nsteps: {steps.count}\n")
    sys.exit(status)
