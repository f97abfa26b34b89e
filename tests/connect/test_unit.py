"""The systemd unit of ``connect`` for one user: systemd and the command line accept it.

No unit is started here, because a running systemd is no part of the tests.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from processes import ROOT

from gateway.cli.main import parser_of

UNIT = (ROOT / "deploy/certless-connect.service").read_text("utf-8")
pytestmark = pytest.mark.timeout(90)


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    stub = shutil.which("true")
    assert stub
    unit = tmp_path / "certless-connect.service"
    # systemd asks whether the program is there.
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={stub}", UNIT, flags=re.MULTILINE))
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_unit_runs_connect_and_keeps_its_address_private() -> None:
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", UNIT, re.MULTILINE)
    options = parser_of().parse_args(shlex.split(command))
    assert (options.command, options.sites) == ("connect", ["http://shop.example"])
    # A port of its own each time would be another site for the browser.
    assert options.port
    assert "StandardOutput=truncate:%t/certless-connect" in UNIT
    assert "UMask=0077" in UNIT
