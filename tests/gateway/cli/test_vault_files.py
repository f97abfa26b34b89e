"""``certless vault put|get|ls|edit|rm|mv|resolve|sync|doctor`` as a person uses them."""

import asyncio
import json
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from file_devices import Lie, Lies
from vault_machines import ASKED_S, Machine
from vaults import RunningVault, running

from vault.core.block_exchanges import CheckedBlocks, FoundBlocks, Receipts, StoredMeta

PASSWORD = "correct horse battery"
VIDEO = secrets.token_bytes(700_000)
on_sqlite = pytest.mark.parametrize("vault_url", ["sqlite"], indirect=True)


@dataclass
class Laptop:
    """A machine with an open vault, a second one, and a server that can lie."""

    first: Machine
    second: Machine
    lies: Lies
    folder: Path

    def file(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)


async def laptop_of(vaults: RunningVault, lies: Lies, folder: Path) -> Laptop:
    first, second = Machine(vaults, folder / "first"), Machine(vaults, folder / "second")
    await first.run("init", answers=(PASSWORD, PASSWORD), url=True)
    await second.run("unlock", answers=(PASSWORD,), url=True)
    return Laptop(first, second, lies, folder)


@pytest.fixture
async def laptop(
    vault_url: str, vault_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Laptop]:
    lies = Lies()
    lies.install(monkeypatch)
    async with running(vault_url, vault_key) as vaults:
        yield await laptop_of(vaults, lies, tmp_path)


def editor_that(code: str) -> str:
    """The command of an editor: a program that changes the file ``path``."""
    program = f"import os, sys, time, pathlib\npath = pathlib.Path(sys.argv[1])\n{code}"
    return shlex.join([sys.executable, "-c", program])


def in_place_of_blocks(change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> Lie:
    """A lie about the blocks that a client reads."""
    return lambda _, right: FoundBlocks(change(FoundBlocks.parse(right).blocks)).serialize()


def no_receipts(_: bytes, right: bytes) -> bytes:
    """Wrong receipts for blocks that were sent."""
    return Receipts((bytes(32),) * len(Receipts.parse(right).receipts)).serialize()


def wrong_digests(length: int) -> Lie:
    """Wrong digests for blocks that are checked; with the length 0 the server has no block."""
    return lambda _, right: CheckedBlocks(
        (bytes(length),) * len(CheckedBlocks.parse(right).digests)
    ).serialize()


async def test_two_machines_and_no_change_is_lost(
    vault_url: str, vault_pool: str | None, vault_key: Path, tmp_path: Path
) -> None:
    """The story, on each database and with each pool."""
    async with running(vault_url, vault_key, blocks={"pool": vault_pool}) as vaults:
        laptop = await laptop_of(vaults, Lies(), tmp_path)
        first, second = laptop.first, laptop.second
        await first.run("put", laptop.file("video.mp4", VIDEO))
        await first.run("put", "-", "--as", "recipes", "--note", stdin="flour\n")
        assert await first.run("ls") == "recipes\nvideo.mp4\n"

        assert "added recipes\nadded video.mp4\n" in await second.run("sync")
        target = tmp_path / "copy.mp4"
        await second.run("get", "video.mp4", str(target))
        assert target.read_bytes() == VIDEO
        assert target.stat().st_mode & 0o777 == 0o600

        # The first machine's editor is open while the second machine stores its change.
        started, goes_on = tmp_path / "started", tmp_path / "goes on"
        slow = editor_that(
            f"pathlib.Path({str(started)!r}).touch()\n"
            f"while not os.path.exists({str(goes_on)!r}): time.sleep(0.02)\n"
            "path.write_text('flour, eggs\\n')"
        )
        async with asyncio.timeout(ASKED_S), asyncio.TaskGroup() as tasks:
            editing = tasks.create_task(first.run("edit", "recipes", editor=slow))
            while not started.exists():  # noqa: ASYNC110  (another process makes it)
                await asyncio.sleep(0.02)
            quick = editor_that("path.write_text('flour, milk\\n')")
            assert "Another device" not in await second.run("edit", "recipes", editor=quick)
            goes_on.touch()
        assert "Another device has changed recipes meanwhile" in editing.result()

        (recipes, _) = json.loads(await second.run("ls", "--json"))
        versions = [one["id"] for one in recipes["versions"]]
        texts = [await second.run("get", "recipes", "-", "--version", one[:8]) for one in versions]
        assert sorted(texts) == ["flour, eggs\n", "flour, milk\n"]
        assert "several versions of recipes" in await second.run("sync")
        for refused in (("put", "-", "--as", "recipes"), ("edit", "recipes")):
            status, text = await first.ended(*refused, stdin="x", editor=quick)
            assert (status, "recipes has several versions" in text) == (2, True)
        await first.run("resolve", "recipes", versions[texts.index("flour, eggs\n")][:8])
        assert await second.run("get", "recipes", "-") == "flour, eggs\n"

        await second.run("mv", "video.mp4", "films/video.mp4")
        await first.run("rm", "recipes")
        assert await second.run("ls") == "films/video.mp4\n"
        words = {
            next(line for line in (await one.run("doctor")).splitlines() if " words " in line)
            for one in (first, second)
        }
        assert len(words) == 1
        # What waits in the pool is in the database after this.
        await vaults.server.application.apply()
        await second.run("get", "films/video.mp4", str(target), "--force")
        assert target.read_bytes() == VIDEO


@on_sqlite
async def test_get_overwrites_nothing_and_stays_in_the_folder(laptop: Laptop) -> None:
    first, target = laptop.first, laptop.folder / "here"
    await first.run("put", "-", "--as", "a/../..", stdin="x")
    status, text = await first.ended("get", "a/../..")
    assert (status, "no file can have this name here" in text) == (2, True)
    target.write_text("mine")
    status, text = await first.ended("get", "a/../..", str(target))
    assert (status, target.read_text()) == (2, "mine")
    assert "--force" in text
    await first.run("get", "a/../..", str(target), "--force")
    assert target.read_text() == "x"
    status, text = await first.ended("get", "no such file", str(laptop.folder / "new"))
    assert (status, text) == (
        1,
        "certless: there is no such file in the vault: list the files\n",
    )
    await first.run("put", laptop.file("name", b"y"))
    await first.run("get", "name", str(laptop.folder / "first"))
    assert (laptop.folder / "first" / "name").read_bytes() == b"y"
    # An interrupted download leaves nothing.
    laptop.lies.told["POST /blocks/get"] = in_place_of_blocks(
        lambda blocks: tuple(block[:-1] + b"?" for block in blocks)
    )
    gone = laptop.folder / "gone"
    gone.mkdir()
    assert (await laptop.second.ended("get", "name", str(gone / "name")))[0] == 3
    assert list(gone.iterdir()) == []


@on_sqlite
async def test_put_refuses_before_it_sends(laptop: Laptop) -> None:
    here = laptop.file("here", b"x")
    for arguments, told in (
        ((here, str(laptop.folder)), "is a folder"),
        ((here, str(laptop.folder / "gone")), "cannot read"),
        (("-",), "--as NAME"),
        ((here, here, "--as", "x"), "for one FILE"),
    ):
        status, text = await laptop.first.ended("put", *arguments)
        assert (status, told in text, text.count("\n")) == (2, True, 1)
    assert await laptop.first.run("ls") == ""


@on_sqlite
async def test_a_text_is_not_lost_with_the_editor(laptop: Laptop) -> None:
    first = laptop.first
    status, text = await first.ended("edit", "note", editor=editor_that("sys.exit(1)"))
    assert (status, "the editor ended with status 1" in text) == (2, True)
    status, text = await first.ended("edit", "note", editor="/no/such/editor")
    assert (status, "set EDITOR" in text) == (2, True)
    assert "Nothing was changed" in await first.run("edit", "note", editor="true")
    assert await first.run("ls") == ""
    writes = editor_that("print(oct(path.stat().st_mode)); path.write_text('much work')")
    assert "0o100600" in await first.run("edit", "note.md", editor=writes)
    laptop.lies.told["POST /blocks/put"] = no_receipts
    status, text = await first.ended("edit", "note.md", editor=editor_that("path.write_text('2')"))
    assert status == 3
    (kept,) = (line for line in text.splitlines() if "was not stored" in line)
    path = Path(kept.rpartition(" ")[2])
    assert (await asyncio.to_thread(path.read_text), path.suffix) == ("2", ".md")
    await asyncio.to_thread(shutil.rmtree, path.parent)


@on_sqlite
async def test_a_lying_server_raises_an_alarm_by_name(laptop: Laptop) -> None:
    first, second, told = laptop.first, laptop.second, laptop.lies.told
    await first.run("put", laptop.file("video", VIDEO))
    metas: list[bytes] = []

    def keep_meta(_: bytes, right: bytes) -> bytes:
        metas.append(StoredMeta.parse(right).meta or b"")
        return right

    told["GET /meta"] = keep_meta
    await second.run("ls")
    await first.run("put", "-", "--as", "note", stdin="x")
    await second.run("ls")
    target = laptop.folder / "target"

    async def alarms(name: str, machine: Machine, *arguments: str) -> None:
        status, text = await machine.ended(*arguments)
        assert (status, f"alarm ({name}): " in text) == (3, True), text
        told.clear()

    told["GET /meta"] = lambda _, __: StoredMeta(metas[0]).serialize()
    await alarms("rolled_back", second, "sync")
    told["GET /meta"] = lambda _, __: StoredMeta(None).serialize()
    await alarms("rolled_back", second, "ls")
    told["GET /meta"] = lambda _, __: StoredMeta(metas[-1][:-1] + b"?").serialize()
    await alarms("forged", second, "ls")
    told["POST /blocks/get"] = in_place_of_blocks(lambda blocks: blocks[::-1])
    await alarms("swapped", second, "get", "video", str(target))
    told["POST /blocks/get"] = in_place_of_blocks(lambda blocks: (b"",) * len(blocks))
    await alarms("missing", second, "get", "video", str(target))
    told["POST /blocks/get"] = in_place_of_blocks(lambda blocks: (*blocks[:-1], b""))
    await alarms("missing", second, "get", "video", str(target))
    told["POST /blocks/put"] = no_receipts
    await alarms("forged", first, "put", laptop.file("other", b"y"))
    assert not target.exists()
    assert await second.run("ls") == "note\nvideo\n"

    # A server that shows each machine its own changes only.
    shared = await first.vaults.meta()
    await first.run("put", "-", "--as", "of first", stdin="1")
    await first.vaults.put_back(shared)
    await second.run("put", "-", "--as", "of second", stdin="2")
    await alarms("forked", first, "sync")


@on_sqlite
async def test_doctor_finds_what_is_not_there(laptop: Laptop) -> None:
    first, told = laptop.first, laptop.lies.told
    await first.run("put", laptop.file("small", bytes(40_000)))
    text = await first.run("doctor")
    assert "ok    blocks" in text
    assert "ok    expiry    The data is safe until at least 20" in text
    assert "has proven it for 0" not in text
    assert "all files were read" in await first.run("doctor", "--read")

    # This server has thrown the data away, and cannot answer under a new nonce.
    told["POST /blocks/check"] = wrong_digests(32)
    status, text = await first.ended("doctor")
    assert (status, "fix   swapped   small is damaged" in text) == (1, True)
    told["POST /blocks/check"] = wrong_digests(0)
    status, text = await first.ended("doctor")
    assert (status, "fix   missing   small is damaged" in text) == (1, True)
    told.clear()
    # This one says that it has the blocks, and does not give them.
    told["POST /blocks/get"] = in_place_of_blocks(lambda blocks: (b"",) * len(blocks))
    status, text = await laptop.second.ended("doctor", "--read")
    assert (status, "missing" in text) == (3, True)


@on_sqlite
async def test_a_new_key_keeps_the_files_and_a_signed_out_machine_has_none(laptop: Laptop) -> None:
    first, other = laptop.first, "staple of horses"
    await first.run("put", laptop.file("small", b"tea"))
    await laptop.second.run("ls")
    text = await first.run("devices", "--revoke", answers=(other, other))
    assert "certless vault sync" in text
    await first.run("sync")
    assert await first.run("get", "small", "-") == "tea"
    status, _ = await laptop.second.ended("get", "small", "-", answers=(PASSWORD,))
    assert status == 1
    assert await laptop.second.run("get", "small", "-", answers=(other,)) != ""
    await first.run("lock")
    assert [path.name for path in first.folder.iterdir()] == ["ticket.lock"]


@on_sqlite
async def test_progress_is_only_for_a_terminal(laptop: Laptop) -> None:
    arguments = ("--state", str(laptop.first.folder), "put", laptop.file("video", VIDEO))
    for quiet in ((), ("-q",)):
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "certless", "vault", *arguments, *quiet), stderr=theirs
        )
        os.close(theirs)
        shown = b""
        async with asyncio.timeout(ASKED_S):
            while piece := await asyncio.to_thread(_read, ours):
                shown += piece
            assert await process.wait() == 0
        os.close(ours)
        assert (b"sent 0.7 MiB of 0.7 MiB" in shown) == (quiet == ())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        # The other end is closed.
        return b""
