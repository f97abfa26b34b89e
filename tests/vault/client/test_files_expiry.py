"""Data in the archive, and clocks or servers that name a wrong bucket (VAULT §22)."""

import secrets
from collections.abc import Callable

import pytest
from file_devices import Devices

from vault.core.block_exchanges import BlockParameters
from vault.core.expiry import FRAME_S, MAX_BUCKET


async def a_frame_later(devices: Devices) -> None:
    devices.later(FRAME_S)
    await devices.vaults.server.sweep.sweep()


async def test_a_user_who_comes_back_late_gets_the_data_from_the_archive(devices: Devices) -> None:
    device = await devices.device()
    data = secrets.token_bytes(500_000)
    await device.files.put("file", data)
    for _ in range(3):
        await a_frame_later(devices)
    assert await devices.blocks() == 0
    again = await devices.device(cache_bytes=0)
    checked = await again.files.check()
    assert not checked.damaged
    # Without waiting until the pool is applied.
    assert await again.files.get("file") == data
    await again.files.sync()
    await a_frame_later(devices)
    assert await again.files.get("file") == data


@pytest.mark.parametrize(
    "told",
    [
        lambda right, _: BlockParameters(right.frame_s, MAX_BUCKET),
        lambda _, now_s: BlockParameters(3600, now_s // 3600),
    ],
    ids=["bucket", "frame"],
)
@pytest.mark.parametrize("is_first", [True, False], ids=["at the first meta", "at a renewal"])
async def test_a_server_that_names_a_late_bucket_once_ends_no_renewal(
    devices: Devices, told: Callable[[BlockParameters, int], BlockParameters], is_first: bool
) -> None:
    device = await devices.device()
    data = secrets.token_bytes(100_000)
    if not is_first:
        await device.files.put("file", data)

    def lie(_: bytes, right: bytes) -> bytes:
        return told(BlockParameters.parse(right), int(devices.now_s())).serialize()

    devices.lies.told["GET /blocks"] = lie
    if is_first:
        await device.files.put("file", data)
    await device.files.sync()
    devices.lies.told.clear()
    for _ in range(5):
        await device.files.sync()
        assert device.files.safe_until_s is not None
        assert device.files.safe_until_s <= devices.now_s() + 2 * FRAME_S
        await a_frame_later(devices)
    again = await devices.device(cache_bytes=0)
    assert await again.files.get("file") == data
