"""What stands in the way of a gateway that is set up like this, found before a visitor finds it.

Each room is a check: it yields one Finding a fact, in the words of who looks after the gateway.
A check changes nothing that lasts, sends no mail, and tells no password.
"""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from gateway.config.options import default_of
from gateway.config.settings import Settings, settings_from
from gateway.errors import GatewayError

# One answer that a check waits for; and all that a check may take.
ANSWER_S = 4.0
CHECK_S = 10.0


class Mark(StrEnum):
    """``WARN`` is for a person to decide; ``FIX`` keeps the gateway from working, or being safe."""

    OK = "ok"
    WARN = "warn"
    FIX = "fix"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is about, in one word, and what is so or what to do."""

    mark: Mark
    about: str
    text: str


def ok(about: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(Mark.OK, about, text)


def warn(about: str, text: str) -> Finding:
    """Somebody should know, and may leave it so."""
    return Finding(Mark.WARN, about, text)


def fix(about: str, text: str) -> Finding:
    """Somebody has to do what ``text`` says."""
    return Finding(Mark.FIX, about, text)


@dataclass(frozen=True, slots=True)
class Service:
    """What is examined: the options of ``serve`` by name, and the file that they came from."""

    options: dict[str, Any]
    config: Path | None = None

    @property
    def settings(self) -> Settings:
        """Those of the gateway. Raises: ConfigError."""
        return settings_from(self.options, self.options.get("dialects"))

    def option(self, name: str) -> Any:
        """The value of an option, or its default."""
        return self.options.get(name, default_of(name))


Check: TypeAlias = Callable[[Service], AsyncIterator[Finding]]


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checks; ``is_stuck`` where a check did not end."""

    findings: tuple[Finding, ...]
    is_stuck: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to fix."""
        return all(finding.mark is not Mark.FIX for finding in self.findings)


async def examine(
    service: Service, checks: Iterable[tuple[str, Check]], check_s: float = CHECK_S
) -> Report:
    """What ``checks``, each with its name, find. One that fails or hangs does not stop the others.

    They run at the same time, so ``check_s`` is the time of each and of all.
    """
    found: list[tuple[str, list[Finding], asyncio.Task[None]]] = []
    for about, check in checks:
        findings: list[Finding] = []
        task = asyncio.create_task(_collect(about, check(service), findings))
        found.append((about, findings, task))
    # A file system that hangs holds a thread that nobody can cancel, so it is not waited for.
    await asyncio.wait([task for *_, task in found], timeout=check_s)
    is_stuck = False
    for about, findings, task in found:
        if not task.done():
            is_stuck = True
            task.cancel()
            findings.append(fix(about, f"did not end in {check_s:.0f} s: see what it waits for"))
    said: dict[str, Finding] = {}
    for _, findings, _ in found:
        for finding in findings:
            said.setdefault(finding.text, finding)
    return Report(tuple(said.values()), is_stuck)


async def _collect(about: str, check: AsyncIterator[Finding], findings: list[Finding]) -> None:
    try:
        async for finding in check:
            findings.append(finding)
    except GatewayError as error:
        findings.append(fix(about, str(error)))
    except Exception as error:  # what else it meets must not hide what the others find
        # The text of any other exception may hold what it worked on.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        findings.append(fix(about, f"this check broke ({type(error).__name__} at {place})"))
