"""Files and notes in the vault, against the real server: one device and two."""

import os
import secrets
from collections.abc import AsyncIterator

import pytest
from file_devices import PASSWORD, Devices, all_done

from vault.client import FolderInUse, Malformed, NoSuchFile, Unresolved, VaultLocked
from vault.core.account import AccountKey

MB = 1_000_000


async def test_a_note_and_a_file_are_read_on_another_device(devices: Devices) -> None:
    first = await devices.device()
    assert await first.files.list() == ()
    video = secrets.token_bytes(700_000)
    note = await first.files.put("recipes", "flour, eggs", kind="note")
    assert (note.kind, note.size, note.is_pending, len(note.versions)) == ("note", 11, False, 1)
    await first.files.put("video.mp4", video)
    second = await devices.device()
    assert [one.name for one in await second.files.list()] == ["recipes", "video.mp4"]
    assert await second.files.text("recipes") == "flour, eggs"
    assert await second.files.get("video.mp4") == video
    part = [piece async for piece in second.files.stream("video.mp4", 16_000, 40_000)]
    assert b"".join(part) == video[16_000:40_000]
    assert await first.files.words() == await second.files.words() != ""


async def test_a_file_is_edited_renamed_and_removed(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("a", b"one two three")
    await first.files.edit("a", 4, 7, "2")
    assert await second.files.text("a") == "one 2 three"
    await second.files.edit("a", 0, 0, b"zero ")
    await second.files.rename("a", "b")
    assert await first.files.text("b") == "zero one 2 three"
    await first.files.remove("b")
    assert await second.files.list() == ()
    for refused in (first.files.get("a"), first.files.edit("a", 0, 0, b"x")):
        with pytest.raises(NoSuchFile):
            await refused
    with pytest.raises(NoSuchFile):
        await first.files.remove("a")
    for name in ("", "\xe9" * 128):
        with pytest.raises(Malformed):
            await first.files.put(name, b"x")
    empty = await first.files.put("empty", b"")
    assert empty.size == 0
    assert await second.files.get("empty") == b""


@pytest.mark.parametrize("size", [10 * MB, 300_000])
async def test_a_byte_in_the_middle_sends_at_most_4_blocks(devices: Devices, size: int) -> None:
    device = await devices.device()
    data = secrets.token_bytes(size)
    await device.files.put("file", data)
    device.line.sent.clear()
    await device.files.edit("file", size // 2, size // 2, b"x")
    assert 0 < device.line.blocks_put() <= 4
    other = await devices.device()
    expected = data[: size // 2] + b"x" + data[size // 2 :]
    assert await other.files.get("file") == expected


async def test_a_change_syncs_only_what_changed(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    for number in range(60):
        await first.files.put(f"note {number}", "text", kind="note")
    await second.files.list()
    second.line.sent.clear()
    await first.files.put("note 7", "other text", kind="note")
    assert await second.files.text("note 7") == "other text"
    gets = [body for path, body in second.line.sent if path.endswith("/blocks/get")]
    # One block of the directory, and the note.
    assert sum(body.count(b"token") for body in gets) == 2


async def test_two_devices_that_change_different_files_at_once(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("start", b"")
    names = [f"{device}-{number}" for device in "ab" for number in range(4)]
    await all_done(
        *(
            (first if name[0] == "a" else second).files.put(name, name, kind="note")
            for name in names
        )
    )
    for device in (first, second):
        assert [one.name for one in await device.files.list()] == [*names, "start"]
        for name in names:
            assert await device.files.text(name) == name


async def test_one_device_that_changes_many_files_at_once(devices: Devices) -> None:
    device = await devices.device()
    for name in "abcd":
        await device.files.put(name, secrets.token_bytes(200_000))
    before = {name: await device.files.get(name) for name in "abcd"}
    await all_done(
        *(device.files.edit(name, 100_000, 100_000, name) for name in "abcd"),
        *(device.files.put(f"new {number}", bytes(50_000)) for number in range(4)),
    )
    for name in "abcd":
        expected = before[name][:100_000] + name.encode() + before[name][100_000:]
        assert await device.files.get(name) == expected
    assert len(await device.files.list()) == 8


async def test_two_devices_that_change_one_note_at_once_keep_both(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("note", "base", kind="note")
    await second.files.list()
    # Both have read the same index before one of them writes.
    results = await all_done(
        first.files.put("note", "by the first"), second.files.put("note", "by the second")
    )
    assert max(len(result.versions) for result in results) <= 2
    note = await first.files.file("note")
    texts = {await first.files.text("note", version=one.id) for one in note.versions}
    if len(note.versions) == 2:
        assert texts == {"by the first", "by the second"}
        with pytest.raises(Unresolved):
            await second.files.put("note", "x")
        with pytest.raises(Unresolved):
            await second.files.edit("note", 0, 0, "x")
        await second.files.resolve("note", note.versions[1].id)
    assert len((await first.files.file("note")).versions) == 1


async def test_the_same_name_on_two_devices(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("start", b"")
    await second.files.list()
    await all_done(first.files.put("new", b"first"), second.files.put("new", b"second"))
    found = await first.files.file("new")
    assert 1 <= len(found.versions) <= 2
    if len(found.versions) == 2:
        mine = next(one for one in found.versions if one.is_mine)
        await first.files.resolve("new", mine.id)
        assert await second.files.get("new") == b"first"
        assert len((await second.files.file("new")).versions) == 1
    with pytest.raises(NoSuchFile):
        await first.files.get("new", version=bytes(16))


async def test_changes_by_other_devices_are_told_once(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("a", b"1")
    await first.files.put("b", b"1")
    assert await first.files.changes() == ()
    told = [(change.name, change.what) for change in await second.files.changes()]
    assert sorted(told) == [("a", "added"), ("b", "added")]
    await first.files.put("a", b"2")
    await first.files.remove("b")
    await second.files.put("own", b"1")
    second.files.close()
    # Another run of the second device.
    again = await devices.device(second.folder)
    told = [(change.name, change.what) for change in await again.files.changes()]
    assert sorted(told) == [("a", "changed"), ("b", "removed")]
    assert await again.files.changes() == ()


async def test_data_of_unknown_length_and_progress(devices: Devices) -> None:
    device = await devices.device()
    whole = secrets.token_bytes(200_000)
    seen: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(whole), 7_000):
            yield whole[at : at + 7_000]

    await device.files.put("file", pieces(), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(whole)
    got: list[int] = []
    read = [piece async for piece in device.files.stream("file", progress=got.append)]
    assert b"".join(read) == whole
    assert got[-1] == len(whole)


async def test_a_failing_source_changes_nothing(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("file", b"before")

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        await device.files.put("file", pieces())
    assert await device.files.get("file") == b"before"


async def test_a_locked_vault_and_a_folder_in_use(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("file", b"secret")
    with pytest.raises(FolderInUse):
        device.vault.files(device.folder).open()
    device = await devices.device()
    device.vault.lock()
    for call in (device.files.list(), device.files.put("a", b"")):
        with pytest.raises(VaultLocked):
            await call
    await device.vault.unlock(PASSWORD)

    async def locking() -> AsyncIterator[bytes]:
        yield bytes(50_000)
        device.vault.lock()
        yield bytes(50_000)

    with pytest.raises(VaultLocked):
        await device.files.put("file", locking())
    await device.vault.unlock(PASSWORD)
    assert await device.files.get("file") == b"secret"


async def test_a_long_upload_keeps_the_vault_open(devices: Devices) -> None:
    device = await devices.device()
    uses = 0
    use = device.files._index.use

    def counted() -> AccountKey:
        nonlocal uses
        uses += 1
        return use()

    device.files._index.use = counted
    await device.files.put("file", bytes(500_000))
    assert uses > 500_000 // 16_384


async def test_ids_are_reserved_in_few_requests(devices: Devices) -> None:
    device = await devices.device()
    device.line.sent.clear()
    await device.files.put("file", bytes(16_000_000))
    reserves = [path for path, _ in device.line.sent if path.endswith("/reserve")]
    # 980 blocks: 10, 20, 40, 80, and then 100 at once.
    assert len(reserves) <= 16
    for number in range(5):
        device.line.sent.clear()
        await device.files.put(f"note {number}", "text", kind="note")
        assert not any("reserve" in path for path, _ in device.line.sent)


async def test_nothing_readable_is_on_the_disk_of_the_client(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("SECRET-NAME", b"SECRET-CONTENT", kind="note")
    device.line.is_cut = True
    await device.files.put("SECRET-NAME-2", b"SECRET-CONTENT-2", kind="note")
    names = [path for path in device.folder.rglob("*") if path.is_file()]
    assert len(names) > 3
    for path in names:
        assert b"SECRET" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        assert os.fsencode(path.name).find(b"SECRET") < 0
