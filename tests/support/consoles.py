"""Commands of ``certless`` in this process."""

from dataclasses import dataclass

import pytest

from gateway.cli.main import main


@dataclass
class Ran:
    status: int
    out: str
    err: str


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    status = main(list(arguments))
    return Ran(status, *capsys.readouterr())
