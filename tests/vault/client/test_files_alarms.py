"""A server that lies about blocks and the index: an alarm by its name (VAULT §21.1)."""

import secrets
from collections.abc import Awaitable, Callable

import pytest
from file_devices import Device, Devices

from protocol.common.codec import parse_msgpack, serialize_msgpack
from vault.client import Alarm
from vault.core.block_exchanges import FoundBlocks, GetBlocks, Receipts, StoredMeta

DATA = secrets.token_bytes(60_000)


async def alarm_of(call: Awaitable[object]) -> str:
    with pytest.raises(Alarm) as caught:
        await call
    return caught.value.name


async def with_file(devices: Devices) -> tuple[Device, Device]:
    first, second = await devices.device(), await devices.device(cache_bytes=0)
    await first.files.put("file", DATA)
    await second.files.list()
    return first, second


def changed_blocks(
    change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]],
) -> Callable[[bytes, bytes], bytes]:
    def lie(_: bytes, right: bytes) -> bytes:
        return FoundBlocks(change(FoundBlocks.parse(right).blocks)).serialize()

    return lie


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda blocks: blocks[::-1], "swapped"),
        (lambda blocks: (blocks[0],) * len(blocks), "swapped"),
        (lambda blocks: tuple(block[:-1] + b"?" for block in blocks), "swapped"),
        (lambda blocks: (*blocks[:-1], b""), "missing"),
        (lambda blocks: (b"",) * len(blocks), "missing"),
    ],
    ids=["in another order", "one for all", "changed", "cut off", "none"],
)
async def test_blocks_that_are_not_those_of_the_index(
    devices: Devices, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]], name: str
) -> None:
    _, second = await with_file(devices)
    devices.lies.told["POST /blocks/get"] = changed_blocks(change)
    assert await alarm_of(second.files.get("file")) == name
    # The client does not go on by itself, and is right when the server is.
    assert await alarm_of(second.files.get("file")) == name
    devices.lies.told.clear()
    assert await second.files.get("file") == DATA


async def test_a_fake_receipt(devices: Devices) -> None:
    first, second = await with_file(devices)

    def fake(_: bytes, right: bytes) -> bytes:
        receipts = Receipts.parse(right).receipts
        return Receipts((bytes(32),) * len(receipts)).serialize()

    devices.lies.told["POST /blocks/put"] = fake
    assert await alarm_of(first.files.put("file", b"new")) == "forged"
    devices.lies.told.clear()
    # Nothing was changed.
    assert await second.files.get("file") == DATA


async def test_fewer_answers_than_blocks(devices: Devices) -> None:
    first, second = await with_file(devices)
    devices.lies.told["POST /blocks/get"] = changed_blocks(lambda blocks: blocks[:1])
    with pytest.raises(Exception, match="another number of blocks"):
        await second.files.get("file")
    devices.lies.told["POST /blocks/put"] = lambda _, right: Receipts(
        Receipts.parse(right).receipts[:1]
    ).serialize()
    with pytest.raises(Exception, match="another number of blocks"):
        await first.files.put("other", DATA)


class Metas:
    """A server that shows chosen metas, and keeps all that were stored."""

    def __init__(self, devices: Devices) -> None:
        self.seen: list[bytes] = []
        self.shown: bytes | None = b""
        devices.lies.told["GET /meta"] = self

    def __call__(self, _: bytes, right: bytes) -> bytes:
        stored = StoredMeta.parse(right).meta
        if stored is not None and stored not in self.seen:
            self.seen.append(stored)
        return right if self.shown == b"" else StoredMeta(self.shown).serialize()


async def test_an_older_index_or_none(devices: Devices) -> None:
    first = await devices.device()
    metas = Metas(devices)
    await first.files.put("a", b"1")
    await first.files.list()
    await first.files.put("b", b"1")
    await first.files.list()
    metas.shown = metas.seen[0]
    assert await alarm_of(first.files.list()) == "rolled_back"
    metas.shown = None
    assert await alarm_of(first.files.get("a")) == "rolled_back"
    # The next run remembers it as well.
    first.files.close()
    again = await devices.device(first.folder)
    assert await alarm_of(again.files.list()) == "rolled_back"
    metas.shown = b""
    assert len(await again.files.list()) == 2
    # A person can accept it.
    metas.shown = metas.seen[0]
    assert await alarm_of(again.files.list()) == "rolled_back"
    again.files.forget()
    assert len(await again.files.list()) == 1


async def test_a_changed_index(devices: Devices) -> None:
    first = await devices.device()
    metas = Metas(devices)
    await first.files.put("a", b"1")
    await first.files.list()
    good = metas.seen[-1]
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), b"\2" + good[1:], secrets.token_bytes(12_317)):
        metas.shown = bad
        assert await alarm_of(first.files.list()) == "forged"


async def test_two_histories(devices: Devices) -> None:
    """The server shows each device its own changes only, until both have changed something."""
    first, second = await devices.device(), await devices.device()
    await first.files.put("start", b"")
    await second.files.list()
    shared = await devices.vaults.meta()
    await first.files.put("by-first", b"1")
    of_first = await devices.vaults.meta()
    await devices.vaults.put_back(shared)
    await second.files.put("by-second", b"2")
    of_second = await devices.vaults.meta()
    # Same sequence, another root.
    assert await alarm_of(first.files.list()) == "forked"
    await second.files.put("by-second-2", b"2")
    # A larger sequence, but the first device's own change is not in it.
    assert await alarm_of(first.files.list()) == "forked"
    await devices.vaults.put_back(of_first)
    assert await alarm_of(second.files.list()) in ("forked", "rolled_back")
    assert of_first != of_second
    assert len(await first.files.list()) == 2


async def test_a_block_that_the_database_has_lost_or_changed(devices: Devices) -> None:
    from sqlalchemy import text

    _, second = await with_file(devices)
    await devices.vaults.server.application.apply()
    async with devices.vaults.server.blocks.database.blocks() as at:
        await at.connection.execute(
            text("UPDATE vault_blocks SET block = :block"), {"block": secrets.token_bytes(16_384)}
        )
    assert await alarm_of(second.files.get("file")) == "swapped"
    async with devices.vaults.server.blocks.database.blocks() as at:
        await at.connection.execute(text("DELETE FROM vault_blocks"))
    assert await alarm_of(second.files.get("file")) == "missing"


async def test_another_user_cannot_read_or_delete_a_block(devices: Devices) -> None:
    _, second = await with_file(devices)
    second.line.sent.clear()
    assert await second.files.get("file") == DATA
    asked = next(body for path, body in second.line.sent if path.endswith("/blocks/get"))
    peer = await devices.vaults.peer("eve@example.org")
    one = GetBlocks.parse(asked).blocks[0]
    for path in ("get", "retire", "renew"):
        members = {"blocks": [{"id": one.id, "token": secrets.token_bytes(32)}]}
        response = await peer.client.post(
            f"/vault/blocks/{path}",
            data=serialize_msgpack(members),
            headers={"Content-Type": "application/msgpack"},
        )
        body = await response.read()
        if path != "retire":
            assert parse_msgpack(body) in ({"blocks": [b""]}, {"renewed": [0]})
    assert await second.files.get("file") == DATA
