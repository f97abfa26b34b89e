"""Results of measurements: rows with one value of each figure for each round, kept as JSON."""

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

from cryptography.hazmat.backends.openssl import backend

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"


class Spread(NamedTuple):
    """The median of the rounds, and the lowest and the highest round."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Self:
        return cls(median(values), min(values), max(values))


@dataclass(slots=True)
class Row:
    """One row. With a ``fault`` it is invalid. ``note`` describes it."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    fault: str = ""
    note: str = ""

    def add(self, fault: str = "", /, **figures: float) -> None:
        """The result of one round."""
        self.fault = self.fault or fault
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def spread(self, figure: str) -> Spread:
        return Spread.of(self.figures[figure])


Rows = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of one part, and the machine that measured them."""

    rows: Rows
    machine: Mapping[str, str | float]

    @classmethod
    def read(cls, path: Path) -> Self:
        values = json.loads(path.read_text("utf-8"))
        rows = {name: Row(**row) for name, row in values["rows"].items()}
        return cls(rows, values["machine"])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


Results = dict[str, Result]


def read_results(folder: Path) -> Results:
    """All results in ``folder``, by the name of their part."""
    return {path.stem: Result.read(path) for path in sorted(folder.glob("*.json"))}


def machine() -> dict[str, str | float]:
    """This machine now. The load is the average of the last minute, from before the measurement."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text().split()[1],
        "load": round(os.getloadavg()[0], 2),
    }


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. ``quick`` shows only that a measurement works."""

    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full


def progress(text: str) -> None:
    """One line for the person who waits."""
    print(text, file=sys.stderr, flush=True)
