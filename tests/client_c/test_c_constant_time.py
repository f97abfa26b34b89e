"""No branch and no address of the C client depends on a secret (tests/client_c/constant_time.c)."""

import subprocess

import pytest
from c_client import made
from processes import ROOT

FOUND = 9


def checked(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    suppressed = ROOT / "tests" / "client_c" / "constant_time.supp"
    command = ("valgrind", "-q", f"--error-exitcode={FOUND}", f"--suppressions={suppressed}")
    return subprocess.run(
        [*command, made("constant-time") / program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("program", ["constant_time", "constant_time_small"])
def test_secret_paths(program: str) -> None:
    """Login, resumption, proof, new key, message: with both kinds of arithmetic of BearSSL."""
    ran = checked(program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n", "")


def test_a_branch_on_a_secret_is_found() -> None:
    assert checked("constant_time", "control").returncode == FOUND
