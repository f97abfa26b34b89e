"""Runs a module of the benchmark for a test."""

import subprocess
import sys

from processes import ROOT

# Several servers start, and tests can share the machine with others.
_WITHIN_S = 240
TEST_WITHIN_S = _WITHIN_S + 30


def run(*command: str) -> str:
    """The output of a module. Raises: AssertionError, if its status is not 0."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        cwd=ROOT,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
