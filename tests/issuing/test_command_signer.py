"""A program as the signer: real programs that sign, fail, hang, write too much, or lie."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from gateways import running
from signing_requests import new_key, request_for
from test_signer import REQUIRE, application, ask

import issuing
from issuing.errors import Busy
from issuing.requests import parse_request

# Signs by OpenSSL, as an operator's program would, and notes the user.
SIGN = """
set -e
printf %s "$CERTLESS_USER" > user
env | cut -d= -f1 | sort > environment
cat > request.pem
exec openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -copy_extensions copy
"""
FOREIGN = "cat ca.pem"
BAD = {
    "a status": "cat > /dev/null; exit 3",
    "no output": "cat > /dev/null",
    "no PEM": "echo certificate",
    "too much": "head -c 100000 /dev/zero",
    "another key": FOREIGN,
    "hangs": "exec sleep 600",
    "hangs with closed output": "exec >&-; exec sleep 600",
    "an error text": "echo secret-of-the-signer >&2; exit 1",
}


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-subj", "/CN=Operator", "-keyout", "ca.key", "-out", "ca.pem"]
    subprocess.run(["openssl", "req", *made, *files], capture_output=True, timeout=60, check=True)
    return tmp_path


def shell(script: str, **options: Any) -> issuing.CommandSigner:
    # The signer starts no shell itself. This one is the program of the test.
    return issuing.CommandSigner(["/bin/sh", "-c", script], **options)


async def test_a_program_signs_and_gets_the_user_and_little_else(
    ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_GATEWAY", "x")
    request = request_for(new_key())
    async with running(application(shell(SIGN)), require=REQUIRE) as at:
        status, chain = await ask(at, request)
    assert status == 200, chain
    assert (ca / "request.pem").read_bytes() == request
    assert (ca / "user").read_text() == "ann@example.org"
    assert set((ca / "environment").read_text().split()) <= {"CERTLESS_USER", "PATH", "PWD", "_"}


async def test_every_failure_has_the_same_answer(ca: Path) -> None:
    request, bodies = request_for(new_key()), set()
    for script in BAD.values():
        async with running(application(shell(script, timeout_s=0.5)), require=REQUIRE) as at:
            status, body = await ask(at, request)
        assert status == 502
        bodies.add(body)
    missing = issuing.CommandSigner([str(ca / "missing")])
    async with running(application(missing), require=REQUIRE) as at:
        bodies.add((await ask(at, request))[1])
    assert [json.loads(body)["error"] for body in bodies] == ["not_signed"]


async def test_a_program_that_hangs_is_killed_with_its_children(ca: Path) -> None:
    script = "sleep 600 & echo $! > child; sleep 600"
    with pytest.raises(issuing.NotSigned, match="longer than"):
        await shell(script, timeout_s=1).sign(parse_request(request_for(new_key())), "ann")
    child = int((ca / "child").read_text())
    # SIGKILL was sent before ``sign`` returned. init or this test may not have reaped it yet.
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_a_program_that_does_not_read_the_request_can_sign(ca: Path) -> None:
    request = parse_request(request_for(new_key()))
    assert await shell("cat ca.pem").sign(request, "ann") == (ca / "ca.pem").read_bytes()


async def test_only_some_programs_run_at_once(ca: Path) -> None:
    os.mkfifo(ca / "gate")
    signer = shell("cat > /dev/null; cat gate", at_once=1)
    request = parse_request(request_for(new_key()))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(signer.sign(request, "ann"))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await signer.sign(request, "bob")
        await asyncio.to_thread((ca / "gate").write_text, "opened")
    assert first.result() == b"opened"
    with pytest.raises(issuing.NotSigned):
        await shell("exit 1", at_once=1).sign(request, "bob")


@pytest.mark.parametrize("command", ["sign --all", [], ()])
def test_a_command_is_a_list(command: Any) -> None:
    with pytest.raises(ValueError, match="must be a list"):
        issuing.CommandSigner(command)
