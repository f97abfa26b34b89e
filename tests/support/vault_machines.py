"""A computer on which a person calls ``certless vault``: each command is a process."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import dataclass, field
from pathlib import Path

from vaults import RunningVault

ASKED_S = 60
ANN = "ann@example.org"
RECOVERY = re.compile(r"^    ([0-9A-Z-]{44})$", re.MULTILINE)


@dataclass
class Machine:
    """One computer of Ann, with a state of its own."""

    vaults: RunningVault
    folder: Path
    codes: list[str] = field(default_factory=list)

    async def run(
        self,
        *arguments: str,
        answers: tuple[str, ...] = (),
        url: bool = False,
        stdin: str | bytes | None = None,
        editor: str | None = None,
    ) -> str:
        """What the command printed, after it ended well."""
        status, text = await self.ended(
            *arguments, answers=answers, url=url, stdin=stdin, editor=editor
        )
        assert status == 0, text
        return text

    async def ended(
        self,
        *arguments: str,
        answers: tuple[str, ...] = (),
        url: bool = False,
        stdin: str | bytes | None = None,
        editor: str | None = None,
    ) -> tuple[int, str]:
        """The status, and what was printed.

        ``answers`` are typed at the prompts for passwords and confirmations. The code of the mail
        and the recovery code are typed by themselves. ``editor`` is the command of ``edit``.
        """
        whole = ["--state", str(self.folder)]
        if url:
            whole += ["--url", self.vaults.gateway.url, "--login", ANN]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "certless", "vault", *whole, *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            # Without a terminal, a password is read from the standard input.
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONWARNINGS": "ignore",
                **({"VISUAL": editor} if editor else {}),
            },
        )
        assert process.stdin is not None
        assert process.stdout is not None
        if stdin is not None:
            process.stdin.write(stdin.encode() if isinstance(stdin, str) else stdin)
            process.stdin.close()
        left, text, unread = list(answers), "", ""
        async with asyncio.timeout(ASKED_S):
            while data := await process.stdout.read(4096):
                text += data.decode(errors="replace")
                unread += data.decode(errors="replace")
                if not unread.endswith(": "):
                    continue
                if unread.endswith("Paste the code: "):
                    typed = await self.vaults.gateway.mails.code()
                elif unread.endswith("Type the recovery code: "):
                    self.codes += RECOVERY.findall(unread)
                    typed = self.codes[-1]
                else:
                    typed = left.pop(0)
                unread = ""
                process.stdin.write(f"{typed}\n".encode())
            status = await process.wait()
        assert left == [], text
        return status, text
