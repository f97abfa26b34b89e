"""Each part of the benchmark runs, with tiny counts. Speed is not tested."""

import json
from pathlib import Path

import pytest
from measured import TEST_WITHIN_S, run

from bench.parts import PARTS
from bench.results import RESULTS, Result, Row

pytestmark = pytest.mark.timeout(TEST_WITHIN_S)


def figures(rows: dict[str, Row]) -> set[frozenset[str]]:
    return {frozenset(row.figures) for row in rows.values()}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_runs_and_has_the_figures_of_the_results(name: str, tmp_path: Path) -> None:
    output = run("bench", "--quick", "--results", str(tmp_path), name)
    measured = Result.read(tmp_path / f"{name}.json")
    kept = Result.read(RESULTS / f"{name}.json")
    assert not [row for row in measured.rows.values() if row.fault]
    assert figures(measured.rows) == figures(kept.rows)
    shown = {column.figure for column in PARTS[name].columns}
    assert shown <= {figure for row in figures(measured.rows) for figure in row}
    assert f"| {PARTS[name].title} |" in output


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(AssertionError, match="unknown part nothing: choose from proxy,"):
        run("bench", "--quick", "nothing")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    row = Row(note="a note")
    row.add("refused", rate=1.5)
    row.add(rate=2)
    result = Result({"row": row}, {"cores": 2})
    result.write(tmp_path / "x.json")
    assert Result.read(tmp_path / "x.json") == result
    assert json.loads((tmp_path / "x.json").read_text())["rows"]["row"]["fault"] == "refused"
