"""The memory and the instructions of the C client on a Cortex-M3 in QEMU."""

import re
import subprocess

import pytest
from c_client import SOURCES, image

# Other machines are built first, if nobody has.
pytestmark = pytest.mark.timeout(300)

# Of a client and the stack together, besides the buffers of the caller.
MOST_BYTES = 4096


@pytest.fixture(scope="module")
def costs() -> dict[str, tuple[int, int]]:
    """Bytes of stack and instructions of each step; the size of a client."""
    ran = subprocess.run(image("costs"), check=False, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = map(str.split, ran.stdout.splitlines())
    return {name: (int(count), int(instructions)) for name, count, instructions in lines}


def near(said: float, found: float) -> bool:
    """Another compiler makes other code."""
    return abs(said - found) <= found / 5


def test_client_and_stack_fit_into_4_kib(costs: dict[str, tuple[int, int]]) -> None:
    found = {name: count for name, (count, _) in costs.items()}
    client = found.pop("client")
    assert set(found) == {"login", "resumption", "confirmation", "message"}
    assert all(500 < stack <= MOST_BYTES - client for stack in found.values()), found
    readme = (SOURCES / "README.md").read_text()
    for name, stack in {**found, "client": client}.items():
        match = re.search(rf"^\| .*\b{name}\b.* \| (\d+) \|$", readme, re.MULTILINE)
        assert match is not None, name
        assert near(int(match[1]), stack), (name, stack)


def test_the_instructions_are_those_of_the_readme(costs: dict[str, tuple[int, int]]) -> None:
    """In thousands, in the column of Cortex-M3."""
    readme = (SOURCES / "README.md").read_text().partition("## Instructions")[2]
    for name in ("login", "resumption", "message"):
        match = re.search(rf"^\| .*\b{name}\b[^|]* \| [\d,]+ \| ([\d,]+) \|", readme, re.MULTILINE)
        assert match is not None, name
        found = costs[name][1] / 1000
        assert near(int(match[1].replace(",", "")), found), (name, found)
