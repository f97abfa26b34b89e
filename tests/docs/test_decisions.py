"""spec/decisions/: every record has the same form and is listed in the index."""

import re

import pytest
from documents import NAMES, read

INDEX = "spec/decisions/README.md"
RECORDS = [name for name in NAMES if re.match(r"spec/decisions/\d{4}-[\w-]+\.md$", name)]
# Records can have other parts, but these come in this order.
ORDER = ("Decided", "Looked at as well", "What it costs")


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_what_was_decided_and_why(name: str) -> None:
    title, text = read(name).split("\n\n", 1)
    number = int(name.rpartition("/")[2][:4])
    assert re.fullmatch(rf"# {number}\. \S.*", title)
    parts = re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE)
    assert parts[0] == "Decided."
    assert any(part.startswith("Why") for part in parts)
    found = [start for part in parts for start in ORDER if part.startswith(start)]
    assert found == sorted(found, key=ORDER.index)


def test_the_index_lists_every_record_by_its_title() -> None:
    listed = [line for line in read(INDEX).splitlines() if line.startswith("* ")]
    records = [
        f"* [{read(name).splitlines()[0].removeprefix('# ')}]({name.rpartition('/')[2]})"
        for name in RECORDS
    ]
    assert listed == records, f"add a line to {INDEX}"
