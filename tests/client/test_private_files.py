"""Files that only their owner can read: kills, and several programs at once."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from certless.client.private_files import delete_private, read_private, write_private

# Dies after the content was written, and before the file has its name.
KILLED = """
import os, signal, sys
from pathlib import Path
from certless.client.private_files import write_private
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_private(Path(sys.argv[1]), sys.argv[2].encode())
"""


def killed_write(path: Path, content: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, path, content], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_killed_programs_leave_nothing_after_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_private(path, b"first")
    for content in ("a secret that is longer", "another"):
        killed_write(path, content)
        assert read_private(path) == b"first"
    write_private(path, b"last")
    assert read_private(path) == b"last"
    assert names(tmp_path) == ["state.json"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_deletion_leaves_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "ticket"
    write_private(path, b"first")
    killed_write(path, "second")
    delete_private(path)
    delete_private(path)
    assert names(tmp_path) == []


def test_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "cookies"
    contents = [bytes([number]) * (1000 + number) for number in range(32)]
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda content: write_private(path, content), contents, timeout=60))
    assert read_private(path) in contents
    assert names(tmp_path) == ["cookies"]


def test_a_write_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cookies"
    write_private(path, b"first")

    def full(_: int) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"^$"):
            write_private(path, b"second")
    assert (read_private(path), names(tmp_path)) == (b"first", ["cookies"])


def test_no_link_of_another_user_is_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "ticket", tmp_path / "other"
    other.write_text("mine")
    (tmp_path / ".ticket.part").symlink_to(other)
    with pytest.raises(OSError, match="symbolic link"):
        write_private(path, b"secret")
    assert other.read_text() == "mine"
