"""The flame graphs of a message."""

from pathlib import Path

import pytest
from measured import TEST_WITHIN_S, run

pytestmark = pytest.mark.timeout(TEST_WITHIN_S)


def test_a_profile_names_the_functions_of_a_message(tmp_path: Path) -> None:
    run("bench.profile", "--quick", str(tmp_path))
    for name in ("serve", "in_process"):
        assert "gateway/" in (tmp_path / f"{name}.svg").read_text("utf-8")
