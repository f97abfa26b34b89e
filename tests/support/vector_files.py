"""The files of spec/vectors, read and written. Their format is in spec/vectors/README.md."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from processes import ROOT

from protocol.common.errors import RemoteProtocolError

VECTORS = ROOT / "spec" / "vectors"
KEYS_FILE = VECTORS / "keys.json"
LINE_CHARS = 100

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One test. ``expect`` is "ok" or the code of an error; ``output`` belongs to "ok"."""

    name: str
    kind: str
    input: Json
    expect: str = "ok"
    output: Json | None = None
    dialect: str | Json | None = None
    suite: str | None = None
    comment: str = ""

    @property
    def group(self) -> Json:
        """The common members of the tests of one group, besides parts of their input."""
        group: Json = {"kind": self.kind}
        if self.dialect is not None:
            group["dialect"] = self.dialect
        if self.suite is not None:
            group["suite"] = self.suite
        return group

    def to_json(self, shared: Json) -> Json:
        own = {
            name: value
            for name, value in self.input.items()
            if name not in shared or json.dumps(value) != json.dumps(shared[name])
        }
        test: Json = {"name": self.name}
        if self.comment:
            test["comment"] = self.comment
        test |= {"input": own, "expect": self.expect}
        if self.output is not None:
            test["output"] = self.output
        return test


@dataclass(frozen=True)
class Subject:
    """One file: its subject and its cases."""

    comment: str
    cases: Iterable[Case]


def noted(case: Case, comment: str) -> Case:
    return replace(case, comment=comment)


def _shared(cases: list[Case]) -> Json:
    """The members that every input has, if more than half have the same value."""
    shared = {}
    for name in cases[0].input:
        if all(name in case.input for case in cases):
            # Compared as text, because True equals 1 in Python.
            counts = Counter(json.dumps(case.input[name]) for case in cases)
            (value, count), *_ = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if 2 * count > len(cases) > 1:
                shared[name] = json.loads(value)
    return shared


def text_of(subject: Subject) -> str:
    """The text of a file: groups and tests in alphabetical order, and always the same bytes."""
    grouped: dict[str, list[Case]] = defaultdict(list)
    number = 0
    for case in sorted(subject.cases, key=lambda case: case.name):
        grouped[json.dumps(case.group)].append(case)
        number += 1
    groups = []
    for _, cases in sorted(grouped.items()):
        shared = _shared(cases)
        tests = [case.to_json(shared) for case in cases]
        groups.append({**cases[0].group, "shared": shared, "tests": tests})
    return pretty({"comment": subject.comment, "number_of_tests": number, "groups": groups})


def pretty(value: Json) -> str:
    return _laid_out(value, 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    """JSON with a list or object on one line if it fits, otherwise one item a line."""
    # In ASCII, because half of a surrogate pair has no UTF-8.
    line = json.dumps(value, allow_nan=False)
    if depth + len(line) <= LINE_CHARS or not isinstance(value, dict | list):
        return line
    inner = depth + 1
    if isinstance(value, list):
        items = [_laid_out(item, inner) for item in value]
    else:
        items = [f"{json.dumps(name)}: {_laid_out(item, inner)}" for name, item in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    separator = ",\n" + " " * inner
    return f"{opening}\n{' ' * inner}{separator.join(items)}\n{' ' * depth}{closing}"


def write(subjects: Mapping[str, Subject]) -> None:
    for name, subject in subjects.items():
        (VECTORS / f"{name}.json").write_text(text_of(subject))


def stale(subjects: Mapping[str, Subject]) -> list[str]:
    """The files that differ from the output of their generator."""
    return [
        name
        for name, subject in subjects.items()
        if (VECTORS / f"{name}.json").read_text() != text_of(subject)
    ]


def read(name: str) -> dict[str, Json]:
    """The tests of one file by name, each with its whole input and the members of its group."""
    found: dict[str, Json] = {}
    for group in json.loads((VECTORS / f"{name}.json").read_text())["groups"]:
        common = {key: value for key, value in group.items() if key not in ("shared", "tests")}
        for test in group["tests"]:
            assert test["name"] not in found, test["name"]
            found[test["name"]] = {**common, **test, "input": group["shared"] | test["input"]}
    return found


def read_all(names: Iterable[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in names:
        tests = read(name)
        assert not found.keys() & tests.keys(), name
        found |= tests
    return found


def result_of(run: Callable[[], Json]) -> tuple[str, Json | None]:
    """The ``expect`` and ``output`` of a test that was run."""
    try:
        return "ok", run()
    except RemoteProtocolError as error:
        return error.code, None


def names_of_files() -> list[str]:
    return sorted(path.stem for path in VECTORS.glob("*.json") if path != KEYS_FILE)
