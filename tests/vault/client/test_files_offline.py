"""Files without a connection, after kills, and on two devices that do not know of each other."""

import secrets

import pytest
from file_devices import DAY_S, Devices

from certless.client import NoAnswer
from vault.client import NoSuchFile, NotHere, Unresolved, VaultRefused


async def test_changes_without_a_connection_are_sent_later(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("note", "one", kind="note")
    await first.files.put("old", b"old")
    await first.files.put("gone", b"gone")
    first.line.is_cut = True
    assert await first.files.text("note") == "one"
    big = secrets.token_bytes(500_000)
    assert (await first.files.put("big", big)).is_pending
    assert (await first.files.edit("note", 0, 3, "two")).is_pending
    await first.files.edit("note", 3, 3, " three")
    await first.files.rename("old", "new")
    await first.files.remove("gone")
    assert await first.files.get("big") == big
    assert await first.files.text("note") == "two three"
    assert {one.name for one in await first.files.list()} == {"big", "new", "note"}
    assert await second.files.text("note") == "one"
    with pytest.raises(NoAnswer):
        await first.files.sync()
    first.line.is_cut = False
    assert not (await first.files.file("note")).is_pending
    assert await second.files.text("note") == "two three"
    assert await second.files.get("big") == big
    assert [one.name for one in await second.files.list()] == ["big", "new", "note"]
    assert not list((first.folder / "kept").iterdir())


async def test_a_run_that_ends_without_a_connection_loses_nothing(devices: Devices) -> None:
    first = await devices.device()
    await first.files.put("note", "one", kind="note")
    first.line.is_cut = True
    await first.files.edit("note", 3, 3, " two")
    await first.files.put("other", b"x" * 40_000)
    # As if the program was killed: nothing is written at the end.
    first.files._folder.close()
    again = await devices.device(first.folder)
    assert await again.files.text("note") == "one two"
    assert await again.files.get("other") == b"x" * 40_000
    second = await devices.device()
    assert await second.files.text("note") == "one two"


async def test_two_offline_edits_of_one_note_both_survive(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("note", "base", kind="note")
    for device, text in ((first, "first"), (second, "second")):
        await device.files.text("note")
        device.line.is_cut = True
        await device.files.edit("note", 4, 4, f" {text}")
    first.line.is_cut = second.line.is_cut = False
    await first.files.sync()
    await second.files.sync()
    for device in (first, second):
        note = await device.files.file("note")
        assert len(note.versions) == 2
        texts = {await device.files.text("note", version=one.id) for one in note.versions}
        assert texts == {"base first", "base second"}
        assert sum(one.is_mine for one in note.versions) == 1
        with pytest.raises(Unresolved):
            await device.files.edit("note", 0, 0, "x")
    chosen = (await second.files.file("note")).versions[1]
    text = await second.files.text("note", version=chosen.id)
    await second.files.resolve("note", chosen.id)
    assert await first.files.text("note") == text
    assert len((await first.files.file("note")).versions) == 1


async def test_an_edit_survives_a_deletion(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("note", "base", kind="note")
    await second.files.text("note")
    second.line.is_cut = True
    await second.files.edit("note", 0, 0, "still ")
    await first.files.remove("note")
    second.line.is_cut = False
    await second.files.sync()
    assert await first.files.text("note") == "still base"


async def test_an_edit_of_blocks_that_were_retired_meanwhile(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    text = secrets.token_bytes(100_000)
    await first.files.put("file", text)
    assert await second.files.get("file") == text
    second.line.is_cut = True
    await second.files.edit("file", 0, 0, b"x")
    await first.files.put("file", b"other")
    devices.later(8 * DAY_S)
    await first.files.sync()
    second.line.is_cut = False
    file = await second.files.file("file")
    got = {await second.files.get("file", version=one.id) for one in file.versions}
    assert got == {b"x" + text, b"other"}
    # The blocks that came back are not deleted by records of another device.
    devices.later(8 * DAY_S)
    await first.files.sync()
    third = await devices.device()
    file = await third.files.file("file")
    got = {await third.files.get("file", version=one.id) for one in file.versions}
    assert got == {b"x" + text, b"other"}


async def test_an_edit_within_the_grace_keeps_the_blocks_of_the_other(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    text = secrets.token_bytes(100_000)
    await first.files.put("file", text)
    assert await second.files.get("file") == text
    second.line.is_cut = True
    await second.files.edit("file", 0, 0, b"x")
    # The other device retires blocks that this edit uses, but 7 days have not passed.
    await first.files.put("file", b"other")
    second.line.is_cut = False
    await second.files.sync()
    devices.later(8 * DAY_S)
    await first.files.sync()
    await second.files.sync()
    third = await devices.device()
    file = await third.files.file("file")
    got = {await third.files.get("file", version=one.id) for one in file.versions}
    assert got == {b"x" + text, b"other"}


async def test_what_this_machine_does_not_have(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("file", secrets.token_bytes(50_000))
    await second.files.list()
    second.line.is_cut = True
    with pytest.raises(NoAnswer):
        await second.files.get("file")
    with pytest.raises(NotHere):
        await second.files.edit("file", 0, 0, b"x")
    third = await devices.device()
    third.line.is_cut = True
    with pytest.raises(NoAnswer):
        await third.files.list()
    with pytest.raises(NoSuchFile):
        await second.files.get("none")


async def test_a_lost_answer_is_neither_lost_nor_written_twice(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("start", b"")

    def lost(body: bytes, right: bytes) -> bytes:
        del devices.lies.told["PUT /meta"]
        raise ConnectionResetError

    devices.lies.told["PUT /meta"] = lost
    # The server has stored the meta, and answers with an error. So the outcome is open.
    with pytest.raises(VaultRefused):
        await device.files.put("note", "text", kind="note")
    note = await device.files.file("note")
    assert len(note.versions) == 1
    assert await device.files.text("note") == "text"
    await device.files.edit("note", 0, 0, "a ")
    assert await device.files.text("note") == "a text"
