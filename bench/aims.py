"""The aims of speed, and their verdicts: each is the ratio of two rows of one part.

A ratio is taken in each round, because the rounds of compared rows are interleaved. Its median
counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from bench.results import Result, Row, Spread

INVALID = "invalid"
MISSING = "not measured"
COMPARED = "compared"


@dataclass(frozen=True, slots=True)
class Aim:
    """``figure`` of ``row`` divided by that of ``to`` (or alone) is at least, or at most, a bound.

    Without a row, the worst row of the part counts. Without a bound it is a comparison.
    """

    name: str
    part: str
    row: str | None
    to: str | None = None
    figure: str = "rate"
    least: float | None = None
    most: float | None = None
    unit: str = ""


AIMS = (
    Aim(
        "`serve` to a plain aiohttp reverse proxy",
        "proxy",
        "`serve`, `ecdh-gcm`",
        "plain aiohttp reverse proxy",
        least=0.55,
    ),
    Aim("in process to plain aiohttp", "in_process", "`ecdh-gcm`", "plain aiohttp", least=0.42),
    Aim("ASGI to Starlette alone", "asgi", "`ecdh-gcm`", "Starlette alone", least=0.6),
    Aim("ASGI to hpke-http", "asgi", "`ecdh-gcm`", "hpke-http", least=2.2),
    Aim("Redis to memory", "stores", "Redis", "memory", least=0.75),
    Aim("SQLite to memory", "stores", "SQLite", "memory", least=0.92),
    Aim("classic to Node with PEM import", "classic", "classic", "Node, PEM import", least=2.2),
    Aim("classic to Node with kept keys", "classic", "classic", "Node, kept keys", least=0.75),
    Aim(
        "logins in `ecdh-gcm` to plain aiohttp's requests",
        "logins",
        "`ecdh-gcm`",
        "plain aiohttp, requests",
        least=0.058,
    ),
    Aim(
        "2 workers to 1, SQLite, load elsewhere",
        "workers",
        "SQLite, workers 2",
        "SQLite, workers 1",
        "elsewhere",
        least=1.8,
    ),
    Aim(
        "2 workers to 1, Redis, load elsewhere",
        "workers",
        "Redis, workers 2",
        "Redis, workers 1",
        "elsewhere",
        least=1.8,
    ),
    Aim(
        "100 MiB down to plain aiohttp",
        "streams",
        "sealed: 100 MiB down",
        "plain: 100 MiB down",
        least=0.5,
    ),
    Aim(
        "100 MiB up to plain aiohttp",
        "streams",
        "sealed: 100 MiB up",
        "plain: 100 MiB up",
        least=0.5,
    ),
    Aim(
        "1 GiB down through `connect` to plain proxies",
        "connect",
        "`connect`: 1024 MiB down",
        "plain: 1024 MiB down",
        least=0.5,
    ),
    Aim(
        "1 GiB up through `connect` to plain proxies",
        "connect",
        "`connect`: 1024 MiB up",
        "plain: 1024 MiB up",
        least=0.5,
    ),
    Aim(
        "CPU time of a message, 100,000 sessions to 1,000, SQLite",
        "growth",
        "SQLite, 100,000 sessions",
        "SQLite, 1,000 sessions",
        "total_us",
        most=1.1,
    ),
    Aim(
        "CPU time of a message, 100,000 sessions to 1,000, Redis",
        "growth",
        "Redis, 100,000 sessions",
        "Redis, 1,000 sessions",
        "total_us",
        most=1.1,
    ),
    Aim(
        "longest block of the loop by one request",
        "stalls",
        None,
        None,
        "held_ms",
        most=100,
        unit=" ms",
    ),
    Aim("longest task of a page with 200 MB", "page", None, None, "task_ms", most=50, unit=" ms"),
    Aim(
        "unlock of a vault on an insecure origin",
        "vault",
        "an unlock on a page: whole",
        None,
        "ms",
        most=1000,
        unit=" ms",
    ),
    Aim(
        "page held by an unlock",
        "vault",
        "an unlock on a page: whole",
        None,
        "held_ms",
        most=50,
        unit=" ms",
    ),
    Aim(
        "unlocks of a vault to logins in `ecdh-gcm`",
        "vault",
        "unlocks by password",
        "logins, `ecdh-gcm`",
    ),
    Aim("`rsa-gcm` to plain aiohttp", "in_process", "`rsa-gcm`", "plain aiohttp"),
    Aim("hpke-http to Starlette alone", "asgi", "hpke-http", "Starlette alone"),
    Aim(
        "logins in classic to plain aiohttp's requests",
        "logins",
        "classic",
        "plain aiohttp, requests",
    ),
    Aim(
        "events to plain aiohttp",
        "streams",
        "sealed: events of 100 bytes",
        "plain: events of 100 bytes",
    ),
    Aim(
        "echoes by WebSocket to plain aiohttp",
        "streams",
        "sealed: echoes of 1 KiB by WebSocket",
        "plain: echoes of 1 KiB by WebSocket",
    ),
    Aim(
        "requests through `connect` to plain proxies",
        "connect",
        "`connect`: requests",
        "plain: requests",
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for an aim. Without a value, ``word`` says why.

    ``by_cpu`` is the ratio of the CPU times of a message, which depends less on other programs.
    """

    aim: Aim
    word: str
    value: Spread | None = None
    by_cpu: float | None = None

    def number(self, value: float) -> str:
        digits = 0 if self.aim.unit else 3 if value < 0.1 else 2
        return f"{value:.{digits}f}{self.aim.unit}"

    @property
    def bound(self) -> str:
        aim = self.aim
        if aim.least is not None:
            return f"at least {aim.least:g}"
        return "" if aim.most is None else f"at most {aim.most:g}{aim.unit}"

    def line(self) -> str:
        """One line, for the terminal."""
        name = self.aim.name.replace("`", "")
        if self.value is None:
            return f"{self.word}: {name}"
        middle, low, high = map(self.number, self.value)
        bound = f", aim: {self.bound}" if self.bound else ""
        cpu = "" if self.by_cpu is None else f"; by CPU time {self.number(self.by_cpu)}"
        return f"{self.word}: {name}: {middle} (rounds: {low} to {high}{cpu}){bound}"


def _ratios(rows: Mapping[str, Row], aim: Aim) -> list[float]:
    if aim.row is None:
        return max((row.figures[aim.figure] for row in rows.values()), key=max)
    values = rows[aim.row].figures[aim.figure]
    if aim.to is None:
        return values
    others = rows[aim.to].figures[aim.figure]
    return [value / other for value, other in zip(values, others, strict=True)]


def _by_cpu(rows: Mapping[str, Row], aim: Aim) -> float | None:
    if aim.row is None or aim.to is None or aim.figure != "rate":
        return None
    own, other = (rows[name].figures.get("cpu_us") for name in (aim.row, aim.to))
    if not own or not other or not all(own):
        return None
    return median(theirs / ours for ours, theirs in zip(own, other, strict=True))


def verdict(aim: Aim, result: Result | None) -> Verdict:
    """Whether ``result``, that of the aim's part, reaches it."""
    if result is None:
        return Verdict(aim, MISSING)
    names = list(result.rows) if aim.row is None else [aim.row, *([aim.to] if aim.to else [])]
    if not set(names) <= set(result.rows):
        return Verdict(aim, MISSING)
    faults = [f"{name}: {result.rows[name].fault}" for name in names if result.rows[name].fault]
    if faults:
        return Verdict(aim, f"{INVALID} ({'; '.join(faults)})")
    value = Spread.of(_ratios(result.rows, aim))
    by_cpu = _by_cpu(result.rows, aim)
    if aim.least is None and aim.most is None:
        return Verdict(aim, COMPARED, value, by_cpu)
    met = value.middle >= (aim.least or 0) and (aim.most is None or value.middle <= aim.most)
    return Verdict(aim, "met" if met else "missed", value, by_cpu)


def verdicts(results: Mapping[str, Result]) -> list[Verdict]:
    """All verdicts, in the order of ``AIMS``."""
    return [verdict(aim, results.get(aim.part)) for aim in AIMS]
