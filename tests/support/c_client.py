"""The C client of client_c/, built once for all processes of the tests."""

import fcntl
import subprocess
from functools import cache
from pathlib import Path

from processes import ROOT

SOURCES = ROOT / "client_c"


@cache
def made(target: str) -> Path:
    """The folder of all that is built, after ``make TARGET``."""
    folder = SOURCES / "build"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = subprocess.run(
            ["make", "--silent", "-C", SOURCES, target],
            check=False,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert ran.returncode == 0, ran.stderr
    return folder


def built() -> Path:
    """The folder with the programs: the examples, and ``test_NAME`` for tests/client_c/NAME.c."""
    return made("tests") / "sanitized"


def emulated(file: Path) -> list[str]:
    """The command that runs an image for a Cortex-M3 in QEMU."""
    board = ("-M", "mps2-an385", "-cpu", "cortex-m3", "-nographic", "-monitor", "none")
    semihosting = ("-semihosting-config", "enable=on,target=native")
    return ["qemu-system-arm", *board, *semihosting, "-kernel", str(file)]


def image(name: str) -> list[str]:
    """The command that runs an image of the tests for a Cortex-M3."""
    file = made("machines") / "cortex-m3" / f"{name}.elf"
    return [*emulated(file), "-serial", "none"]


def pump(folder: Path) -> Path:
    """The example for a Cortex-M3, with the ticket in ``folder``."""
    made("machines")
    file = folder / "pump.elf"
    variables = ("KIND=cortex-m3", f"TICKET={folder}", f"PUMP={file}")
    ran = subprocess.run(
        ["make", "--silent", "-C", SOURCES, "pump", *variables],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    return file
