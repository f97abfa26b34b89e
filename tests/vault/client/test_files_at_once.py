"""Several calls at once of one program, while the connection comes and goes."""

import asyncio
from collections.abc import AsyncIterator

from file_devices import Device, Devices, all_done, typed_back


class SlowPut:
    """A call of ``put`` without a connection, which ends when ``end`` is called."""

    def __init__(self, device: Device) -> None:
        self._begun, self._may_end = asyncio.Event(), asyncio.Event()
        self._put = asyncio.create_task(device.files.put("slow", self._data()))

    async def _data(self) -> AsyncIterator[bytes]:
        yield b"slow"
        self._begun.set()
        await self._may_end.wait()

    async def begun(self) -> None:
        await all_done(self._begun.wait())

    async def end(self) -> None:
        self._may_end.set()
        await all_done(self._put)


async def names(device: Device) -> set[str]:
    return {file.name for file in await device.files.list()}


async def test_two_changes_at_once_without_a_connection_are_both_kept(devices: Devices) -> None:
    device = await devices.device()
    await device.files.put("note", "one", kind="note")
    device.line.is_cut = True
    slow = SlowPut(device)
    await slow.begun()
    await device.files.put("quick", b"quick")
    await slow.end()
    assert await names(device) == {"note", "slow", "quick"}
    device.line.is_cut = False
    assert await names(device) == {"note", "slow", "quick"}


async def test_a_change_that_waits_survives_a_lock_and_a_new_key(devices: Devices) -> None:
    device, other = await devices.device(), await devices.device()
    await device.files.put("note", "one", kind="note")
    await other.files.text("note")
    other.line.is_cut = True
    await other.files.edit("note", 3, 3, " two")
    other.vault.lock()
    other.files.close()
    await device.vault.rekey("another password", typed_back)
    await device.files.sync()
    devices.password = "another password"
    again = await devices.device(other.folder)
    assert await again.files.text("note") == "one two"
    assert await device.files.text("note") == "one two"


async def test_a_change_without_a_connection_deletes_nothing_that_was_read_meanwhile(
    devices: Devices,
) -> None:
    device, other = await devices.device(), await devices.device()
    await device.files.put("note", "one", kind="note")
    device.line.is_cut = True
    slow = SlowPut(device)
    await slow.begun()
    await other.files.put("other", b"other")
    device.line.is_cut = False
    assert await names(device) == {"note", "other"}
    await slow.end()
    assert await names(device) == {"note", "slow", "other"}
    assert await names(other) == {"note", "slow", "other"}
