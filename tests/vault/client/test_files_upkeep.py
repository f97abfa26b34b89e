"""Retiring, renewing, and writing again after a rekey; and one GiB in small memory."""

import secrets

import pytest
from file_devices import DAY_S, PASSWORD, Devices, typed_back

from vault.client import Alarm, VaultRefused
from vault.core.expiry import FRAME_S

OTHER = "another password"


async def test_retired_blocks_are_deleted_after_7_days(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("file", secrets.token_bytes(500_000))
    before = await devices.blocks()
    await device.files.remove("file")
    await device.files.sync()
    devices.later(6 * DAY_S)
    await device.files.sync()
    assert await devices.blocks() >= before
    devices.later(DAY_S)
    await device.files.sync()
    # 31 blocks and a node, and a block of the directory.
    assert await devices.blocks() <= before - 32
    await device.files.put("other", b"x")
    assert [record.id for record in device.files._index.snapshot.meta.retired]
    assert len(device.files._index.snapshot.meta.retired) <= 3


async def test_more_retired_blocks_than_the_meta_has_space_for(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("file", secrets.token_bytes(8_000_000))
    await device.files.put("small", b"stays")
    before = await devices.blocks()
    await device.files.remove("file")
    kinds = [entry.kind for entry in device.files._index.snapshot.entries.values()]
    assert sorted(kinds) == ["cover", "file", "retired"]
    devices.later(8 * DAY_S)
    await device.files.sync()
    assert await devices.blocks() < before - 480
    kinds = [entry.kind for entry in device.files._index.snapshot.entries.values()]
    assert sorted(kinds) == ["cover", "file"]
    devices.later(8 * DAY_S)
    await device.files.sync()
    assert await devices.blocks() < 25
    assert await device.files.get("small") == b"stays"


async def test_all_blocks_are_renewed_in_each_bucket(devices: Devices) -> None:
    device = await devices.device()
    data = secrets.token_bytes(500_000)
    await device.files.put("file", data)
    await device.files.put("note", "text", kind="note")
    await device.files.edit("note", 0, 0, "a ")
    await device.files.sync()
    first = device.files.safe_until_s
    assert first is not None
    assert first > devices.now_s() + FRAME_S
    device.line.sent.clear()
    await device.files.sync()
    assert not any("renew" in path for path, _ in device.line.sent)
    for _ in range(3):
        devices.later(FRAME_S)
        device = await devices.device(device.folder) if _ else device
        await devices.vaults.server.sweep.sweep()
        await device.files.sync()
        assert await device.files.get("file") == data
        assert await device.files.text("note") == "a text"
        device.files.close()
    assert device.files.safe_until_s == first + 3 * FRAME_S


async def test_a_renewal_that_finds_a_block_missing(devices: Devices) -> None:
    from sqlalchemy import text

    device = await devices.device()
    await device.files.put("file", secrets.token_bytes(50_000))
    await devices.blocks()
    async with devices.vaults.server.blocks.database.blocks() as at:
        await at.connection.execute(text("DELETE FROM vault_blocks"))
    devices.later(FRAME_S)
    with pytest.raises(Alarm) as caught:
        await device.files.sync()
    assert caught.value.name == "missing"


async def test_clocks_that_differ(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("file", b"x")
    await device.files.sync()
    assert not device.files.clock_differs
    device.files._index.clock = lambda: devices.now_s() + 3 * FRAME_S
    await device.files.sync()
    assert device.files.clock_differs


async def test_a_rekey_keeps_the_files_and_writes_them_again(devices: Devices) -> None:
    first = await devices.device()
    data = secrets.token_bytes(6_000_000)
    await first.files.put("file", data)
    await first.files.put("note", "text", kind="note")
    await first.vault.rekey(OTHER, typed_back)
    devices.password = OTHER
    assert await first.files.text("note") == "text"
    assert first.files._index.snapshot.meta.epoch == 2
    assert len(first.files._index.snapshot.meta.keys) == 1
    # Another device reads the blocks of both keys.
    second = await devices.device()
    assert await second.files.get("file") == data
    await second.files.edit("file", 100, 100, b"x")
    # The connection is lost in the middle: the next call goes on.
    first.line.sent.clear()
    puts = 0

    def stop(_: bytes, right: bytes) -> bytes:
        nonlocal puts
        puts += 1
        if puts == 9:
            first.line.is_cut = True
        return right

    devices.lies.told["POST /blocks/put"] = stop
    with pytest.raises(Exception, match="line is cut"):
        await first.files.sync()
    first.line.is_cut = False
    devices.lies.told.clear()
    await first.files.sync()
    devices.later(8 * DAY_S)
    for _ in range(2):
        await first.files.sync()
        await first.files.put("other", b"x")
    await first.files.sync()
    third = await devices.device()
    assert await third.files.get("file") == data[:100] + b"x" + data[100:]
    assert await third.files.text("note") == "text"
    assert third.files._index.snapshot.meta.keys == ()


async def test_a_rekey_while_another_device_writes_is_refused(devices: Devices) -> None:
    first, second = await devices.device(), await devices.device()
    await first.files.put("note", "text", kind="note")

    async def write(_: bytes, right: bytes) -> bytes:
        del devices.lies.told["GET /change"]
        await second.files.put("note", "by the second")
        return right

    devices.lies.told["GET /change"] = write
    with pytest.raises(VaultRefused) as caught:
        await first.vault.rekey(OTHER, typed_back)
    assert caught.value.code == "conflict"
    assert await first.files.text("note") == "by the second"
    assert (await first.vault.account()).kdf
    devices.password = PASSWORD
    third = await devices.device()
    assert await third.files.text("note") == "by the second"
