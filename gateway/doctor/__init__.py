"""Diagnosis: finds the problems of a gateway's configuration and environment.

Each module is a check, which yields one Finding for each fact. A check makes no lasting change,
sends no mail and shows no password.
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

# Time limits of one response, and of one check.
ANSWER_S = 4.0
CHECK_S = 10.0


class Mark(StrEnum):
    """``WARN``: the operator decides. ``FIX``: the gateway does not work, or is not safe."""

    OK = "ok"
    WARN = "warn"
    FIX = "fix"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: its topic in one word, and a fact or what to do."""

    mark: Mark
    about: str
    text: str


def ok(about: str, text: str) -> Finding:
    """A fact that needs no action."""
    return Finding(Mark.OK, about, text)


def warn(about: str, text: str) -> Finding:
    """A fact that the operator should know."""
    return Finding(Mark.WARN, about, text)


def fix(about: str, text: str) -> Finding:
    """A problem; ``text`` says what to do."""
    return Finding(Mark.FIX, about, text)


@dataclass(frozen=True, slots=True)
class Service:
    """The examined gateway: the options of ``serve`` by name, and their file."""

    options: dict[str, Any]
    config: Path | None = None

    @property
    def settings(self) -> Settings:
        """The settings of the gateway. Raises: ConfigError."""
        return settings_from(self.options, self.options.get("dialects"))

    def option(self, name: str) -> Any:
        """The value of an option, or its default."""
        return self.options.get(name, default_of(name))


Check: TypeAlias = Callable[[Service], AsyncIterator[Finding]]


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checks; ``is_stuck`` if a check did not end."""

    findings: tuple[Finding, ...]
    is_stuck: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to fix."""
        return all(finding.mark is not Mark.FIX for finding in self.findings)


async def examine(
    service: Service, checks: Iterable[tuple[str, Check]], check_s: float = CHECK_S
) -> Report:
    """Run ``checks``, each with its name. A check that fails or hangs does not stop the others.

    They run at the same time: ``check_s`` limits each check and all of them together.
    """
    found: list[tuple[str, list[Finding], asyncio.Task[None]]] = []
    for about, check in checks:
        findings: list[Finding] = []
        task = asyncio.create_task(_collect(about, check(service), findings))
        found.append((about, findings, task))
    # A file system that hangs blocks a thread that cannot be cancelled, so do not wait for it.
    await asyncio.wait([task for *_, task in found], timeout=check_s)
    is_stuck = False
    for about, findings, task in found:
        if not task.done():
            is_stuck = True
            task.cancel()
            findings.append(
                fix(about, f"the check did not end in {check_s:.0f} s: see what it waits for")
            )
    unique: dict[str, Finding] = {}
    for _, findings, _ in found:
        for finding in findings:
            unique.setdefault(finding.text, finding)
    return Report(tuple(unique.values()), is_stuck)


async def _collect(about: str, check: AsyncIterator[Finding], findings: list[Finding]) -> None:
    try:
        async for finding in check:
            findings.append(finding)
    except GatewayError as error:
        findings.append(fix(about, str(error)))
    except Exception as error:  # any other error must not hide the findings of the other checks
        # The text of an unknown exception can contain secrets.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        findings.append(fix(about, f"this check failed ({type(error).__name__} at {place})"))
