"""Every row of docs/sources.md is complete, and names code and tests that exist."""

import re
from collections.abc import Iterator

import documents
from processes import ROOT

CELLS = 5
_LINK = re.compile(r"\[[^\]]+\]\(\.\./([^)]+)\)(?:`(::|: )([^`]+)`)?")


def rows() -> Iterator[list[str]]:
    for line in documents.read("docs/sources.md").splitlines():
        if re.match(r"\| \d", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_no_cell_is_empty_and_the_numbers_are_in_order() -> None:
    numbers = []
    for cells in rows():
        assert len(cells) == CELLS, cells
        assert all(cells), cells
        numbers.append(int(cells[0]))
    assert numbers[:27] == list(range(1, 28))


def test_each_row_names_code_and_a_test_that_exist() -> None:
    for cells in rows():
        for cell in cells[3:]:
            named = _LINK.findall(cell)
            assert named, cells
            for path, kind, name in named:
                source = (ROOT / path).read_text()
                if kind == "::":
                    assert f"def {name}(" in source, (path, name)
                elif kind:
                    assert f"'{name}'" in source, (path, name)
        assert _LINK.search(cells[4]), cells
