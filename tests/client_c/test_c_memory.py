"""The memory that the C client needs on a Cortex-M3, by a painted stack in QEMU."""

import re
import subprocess

import pytest
from c_client import SOURCES, image

# Other machines are built first, if nobody has.
pytestmark = pytest.mark.timeout(300)

# Of a client and the stack together, besides the buffers of the caller.
MOST_BYTES = 4096


def test_client_and_stack_fit_into_4_kib() -> None:
    ran = subprocess.run(image("stack"), check=False, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = {name: int(count) for name, count in map(str.split, ran.stdout.splitlines())}
    client = found.pop("client")
    assert set(found) == {"login", "resumption", "confirmation", "message"}
    assert all(500 < stack <= MOST_BYTES - client for stack in found.values()), found
    # The figures of the README are at most 20 % away: another compiler makes other frames.
    readme = (SOURCES / "README.md").read_text()
    for name, stack in {**found, "client": client}.items():
        match = re.search(rf"^\| .*\b{name}\b.* \| (\d+) \|$", readme, re.MULTILINE)
        assert match is not None, name
        assert abs(int(match[1]) - stack) <= stack // 5, (name, stack)
