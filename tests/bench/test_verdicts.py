"""Verdicts on results, and the pages made from them."""

from dataclasses import replace

import pytest
from documents import read

from bench.aims import AIMS, INVALID, MISSING, Aim, verdict, verdicts
from bench.pages import PAGES, block_names, filled, part_table
from bench.parts import PARTS
from bench.results import RESULTS, Result, Row, read_results

AIM = Aim("one to two", "part", "one", "two", least=0.5)


def result(**rates: list[float]) -> Result:
    machine: dict[str, str | float] = {
        "date": "2026-01-01",
        "cores": 2,
        "python": "3",
        "openssl": "4",
        "load": 0.0,
    }
    return Result({name: Row({"rate": values}) for name, values in rates.items()}, machine)


@pytest.mark.parametrize(
    ("one", "line"),
    [
        ([60.0, 50.0, 40.0], "met: one to two: 0.50 (rounds: 0.40 to 0.60), aim: at least 0.5"),
        ([60.0, 49.0, 40.0], "missed: one to two: 0.49 (rounds: 0.40 to 0.60), aim: at least 0.5"),
    ],
)
def test_the_median_of_the_ratios_of_the_rounds_counts(one: list[float], line: str) -> None:
    assert verdict(AIM, result(one=one, two=[100.0] * 3)).line() == line


def test_each_round_is_compared_with_its_own_round() -> None:
    """The second round was slow for both. The ratio of the medians would be 1."""
    measured = result(one=[30.0, 3.0, 10.0], two=[100.0, 10.0, 5.0])
    assert verdict(AIM, measured).line().startswith("missed: one to two: 0.30 (rounds: 0.30 to 2")


def test_the_ratio_of_cpu_times_is_shown_beside_that_of_rates() -> None:
    measured = result(one=[10.0], two=[20.0])
    for name, us in (("one", 300.0), ("two", 100.0)):
        measured.rows[name].add(cpu_us=us)
    assert "; by CPU time 0.33)" in verdict(AIM, measured).line()


def test_a_bound_above() -> None:
    aim = Aim("blocked", "part", None, figure="rate", most=100, unit=" ms")
    assert verdict(aim, result(one=[7.0], two=[100.0])).word == "met"
    missed = verdict(aim, result(one=[101.0], two=[9.0])).line()
    assert missed == "missed: blocked: 101 ms (rounds: 101 ms to 101 ms), aim: at most 100 ms"


def test_without_a_bound_it_is_a_comparison() -> None:
    assert verdict(replace(AIM, least=None), result(one=[1.0], two=[2.0])).word == "compared"


def test_an_invalid_row_has_no_verdict() -> None:
    measured = result(one=[60.0], two=[100.0])
    measured.rows["two"].add("3 refused")
    assert verdict(AIM, measured).line() == f"{INVALID} (two: 3 refused): one to two"
    assert "| two | invalid: 3 refused |" in part_table("proxy", measured)


def test_what_was_not_measured() -> None:
    assert verdict(AIM, None).word == verdict(AIM, result(one=[1.0])).word == MISSING


def test_each_aim_is_about_rows_that_exist() -> None:
    found = verdicts(read_results(RESULTS))
    assert [one.aim for one in found] == list(AIMS)
    assert [one.line() for one in found if one.value is None] == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_made_from_the_results(name: str) -> None:
    assert filled(read(name), read_results(RESULTS)) == read(name), "run python -m bench.pages"


def test_every_part_has_results_and_a_table() -> None:
    assert set(read_results(RESULTS)) == set(PARTS)
    assert sorted(block_names(read("bench/README.md"))) == sorted(["aims", *PARTS])
    assert block_names(read("docs/sizing.md")) == ["processor", "shop", "sessions"]
    assert block_names(read("docs/vault.md")) == ["vault", "blocks"]
    assert block_names(read("README.md")) == ["summary"]
