"""A command loads only what it uses, so it starts quickly."""

import json
import subprocess
import sys

import pytest
from processes import ROOT

from gateway.cli.main import parser_of

# What takes long to load, and is not for every command.
HEAVY = (
    "Crypto",
    "aiohttp",
    "aiosmtplib",
    "certless.client",
    "certless.connect",
    "gateway.adapters",
    "gateway.admin",
    "gateway.demo",
    "gateway.doctor",
    "gateway.service.supervisor",
    "prometheus_client",
    "redis",
    "tomlkit",
)
COMMANDS = ("serve", "doctor", "demo", "request", "connect", "code", "sessions", "users", "keys")


def loaded_by(command: str) -> set[str]:
    """Those of HEAVY that the parser of ``command`` loads in a new process."""
    program = (
        "import json, sys\n"
        "from gateway.cli.main import parser_of\n"
        f"parser_of({command!r})\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("serve", {"aiohttp", "aiosmtplib", "gateway.adapters"}),
        ("request", {"aiohttp", "certless.client"}),
        ("connect", {"aiohttp", "certless.client", "certless.connect"}),
        ("keys", set[str]()),
    ],
)
def test_a_command_loads_only_what_it_uses(command: str, needed: set[str]) -> None:
    assert loaded_by(command) == needed


def test_the_help_names_every_command() -> None:
    text = parser_of().format_help()
    for command in (*COMMANDS, "tickets"):
        assert command in text
        parsed = parser_of(command).format_help()
        assert command in parsed
