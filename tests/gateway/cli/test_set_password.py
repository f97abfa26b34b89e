"""``users set-password``: the hash is written, and nothing else in the file changes."""

import asyncio
import os
import pty
import stat
import sys
from io import StringIO
from pathlib import Path

import pytest
from consoles import Ran, run_command
from processes import program

from gateway.users.directory import TomlDirectory

USERS = """\
# The users of the shop.
title = "kept"

[users."fan-7"]   # a device
addresses = []

[users."Ann Of"]
addresses = [
    "ann@example.org",  # at home
    'sms:+46701234567',
]

[users.bob]
addresses = ["bob@example.org"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.toml"
    path.write_text(USERS)
    path.chmod(0o640)
    return path


def certless(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    *arguments: str,
) -> Ran:
    monkeypatch.setattr(sys, "stdin", StringIO(typed))
    return run_command(capsys, "users", "set-password", *arguments)


def test_only_the_line_with_the_hash_is_new(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("ann of", "--users", str(path))
    ran = certless(capsys, monkeypatch, "s3cret words\n", *arguments)
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.startswith("The password of Ann Of is set.")
    new = [line for line in path.read_text().splitlines() if line not in USERS.splitlines()]
    assert len(new) == 1
    assert new[0].startswith('password = "$argon2id$v=19$m=65536,t=3,p=4$')
    assert path.read_text().replace(new[0] + "\n", "", 1) == USERS
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in path.parent.iterdir()] == ["users.toml"]

    # Again, by an address: the old hash is replaced.
    arguments = ("ANN@example.org", "--users", str(path))
    assert certless(capsys, monkeypatch, "other words\n", *arguments).status == 0
    assert path.read_text().count("password =") == 1
    assert new[0] not in path.read_text()
    directory = TomlDirectory.from_file(path)
    account = directory.accounts[1]
    assert asyncio.run(directory.check(account, {"password": "other words"}))


def test_the_file_of_a_link_and_of_a_config(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = path.parent / "etc"
    folder.mkdir()
    (folder / "people.toml").symlink_to(path)
    (folder / "gateway.toml").write_text('users = "people.toml"')
    arguments = ("bob", "--config", str(folder / "gateway.toml"))
    assert certless(capsys, monkeypatch, "s3cret\n", *arguments).status == 0
    assert (folder / "people.toml").is_symlink()
    assert "password" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "typed", "text"),
    [
        (("eve", "--users", "users.toml"), "x\n", "users file users.toml has no user 'eve'"),
        (("bob", "--users", "users.toml"), "\n", "the password is empty; nothing was changed"),
        (("bob",), "x\n", "say which file has the users"),
        (("bob", "--users", "gone.toml"), "x\n", "users file gone.toml: No such file"),
    ],
)
def test_errors_change_nothing(
    arguments: tuple[str, ...],
    typed: str,
    text: str,
    path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(path.parent)
    ran = certless(capsys, monkeypatch, typed, *arguments)
    assert ran.status == 2
    assert ran.err.startswith(f"certless: {text}")
    assert path.read_text() == USERS


@pytest.mark.parametrize(("again", "status"), [("s3cret", 0), ("s3cre", 2)])
async def test_on_a_terminal_it_is_typed_twice_and_not_shown(
    again: str, status: int, path: Path
) -> None:
    ours, theirs = pty.openpty()
    command = ("-m", "gateway", "users", "set-password", "bob", "--users", str(path))
    try:
        async with program(
            *(sys.executable, *command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            shown = b""
            for prompt, typed in ((b"New password of bob: ", "s3cret"), (b"Again: ", again)):
                while not shown.endswith(prompt):
                    shown += await asyncio.wait_for(asyncio.to_thread(os.read, ours, 1024), 30)
                os.write(ours, typed.encode() + b"\n")
            assert await asyncio.wait_for(process.wait(), 30) == status
            shown += os.read(ours, 1024)
    finally:
        os.close(ours)
    assert again.encode() not in shown
    assert (path.stat().st_size > len(USERS)) is (status == 0)  # noqa: ASYNC240
