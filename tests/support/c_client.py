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


def image(name: str) -> list[str]:
    """The command that runs an image for a Cortex-M3 in QEMU."""
    file = made("machines") / "cortex-m3" / f"{name}.elf"
    board = ("-M", "mps2-an385", "-cpu", "cortex-m3", "-nographic", "-monitor", "none")
    console = ("-serial", "none", "-semihosting-config", "enable=on,target=native")
    # With -icount, the timer of the processor counts instructions.
    return ["qemu-system-arm", *board, *console, "-icount", "shift=0", "-kernel", str(file)]
