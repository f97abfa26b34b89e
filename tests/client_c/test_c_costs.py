"""Code, memory and instructions of the C client, for five processors."""

import re

import pytest
from c_client import SOURCES, made

# Other machines are built first, if nobody has.
pytestmark = pytest.mark.timeout(300)

# The aims of the client: its own code, its code with the cryptography, and a client with its stack.
MOST_OWN_BYTES, MOST_CODE_BYTES, MOST_RAM_BYTES = 24 * 1024, 40 * 1024, 4096
STEPS = ("login", "resumption", "confirmation", "message")
Costs = dict[str, list[int]]


def table(text: str) -> tuple[list[str], Costs]:
    """The processors, and a list of figures for each row."""
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    head, _, *rows = ([cell.strip() for cell in line.split("|")] for line in lines)
    return head[1:], {name: list(map(int, figures)) for name, *figures in rows}


@pytest.fixture(scope="module")
def measured() -> tuple[list[str], Costs]:
    return table((made("costs") / "costs.md").read_text())


def test_the_client_is_as_small_as_it_should_be(measured: tuple[list[str], Costs]) -> None:
    processors, costs = measured
    assert len(processors) == 5
    for number, processor in enumerate(processors):
        found = {row: figures[number] for row, figures in costs.items()}
        assert found["code of Certless, bytes"] <= MOST_OWN_BYTES, processor
        assert found["code together, bytes"] <= MOST_CODE_BYTES, processor
        for step in STEPS:
            stack = found[f"stack of a {step}, bytes"]
            assert 500 < stack <= MOST_RAM_BYTES - found["RAM of a client, bytes"], processor


def test_the_table_of_the_readme_is_what_make_costs_says(
    measured: tuple[list[str], Costs],
) -> None:
    """Another version of the compiler makes other code, so a fifth more or less is the same."""
    text = (SOURCES / "README.md").read_text().partition("## Code, memory and instructions")[2]
    processors, said = table(text.partition("How each figure is made")[0])
    assert processors == measured[0]
    assert list(said) == list(measured[1])
    assert len(said) == 4 + len(STEPS) + 3
    for row, figures in measured[1].items():
        for number, found in enumerate(figures):
            assert abs(said[row][number] - found) <= found / 5, (row, processors[number], found)
