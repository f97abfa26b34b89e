"""Buckets over time: blocks, the archive, accounts, warnings, and the guard of the clock."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from block_peer import BlockPeer, random_meta
from sqlalchemy import func, select
from vault_peer import VaultPeer
from vaults import RunningVault, running

from certless import ConfigError
from vault.core.expiry import FRAME_S
from vault.server.buckets import Buckets
from vault.server.expiring_accounts import hours_left
from vault.server.store.tables import ACCOUNTS, ARCHIVE, BLOCKS, TOMBSTONES
from vault.server.sweeping import ClockJumped

FRAME_MS = FRAME_S * 1000
NAMES = ("ann@example.org", "bob@example.org", "eve@example.org")
on_sqlite = pytest.mark.parametrize("vault_url", ["sqlite"], indirect=True)
with_table = pytest.mark.parametrize("vault_pool", ["table"], indirect=True)


async def names() -> AsyncIterator[str]:
    for name in NAMES:
        yield name


@pytest.fixture
async def vaults(
    vault_url: str, vault_pool: str | None, vault_key: Path
) -> AsyncIterator[RunningVault]:
    """A vault at the beginning of bucket 60, whose users are known."""
    blocks = {"pool": vault_pool, "apply_size": 10**6, "usernames": names}
    async with running(vault_url, vault_key, blocks=blocks) as at:
        at.clock.stopped_at_ms = 60 * FRAME_MS + 1000
        # The first sweep had the real time.
        await at.server.sweep.sweep(is_confirmed=True)
        yield at


async def at_bucket(vaults: RunningVault, bucket: float) -> None:
    """Let time pass, with a sweep in each bucket."""
    now = vaults.clock()
    while (now := now + FRAME_MS) < bucket * FRAME_MS:
        vaults.clock.stopped_at_ms = now
        await vaults.server.sweep.sweep()
    vaults.clock.stopped_at_ms = int(bucket * FRAME_MS) + 1000
    await vaults.server.sweep.sweep()


async def counts(vaults: RunningVault) -> dict[str, int]:
    found = {}
    async with vaults.server.blocks.database.blocks() as at:
        for name, table in (
            ("blocks", BLOCKS),
            ("archive", ARCHIVE),
            ("tombstones", TOMBSTONES),
            ("accounts", ACCOUNTS),
        ):
            query = select(func.count()).select_from(table)
            found[name] = (await at.connection.execute(query)).scalar_one()
    return found


@pytest.fixture
async def ann(vaults: RunningVault) -> BlockPeer:
    peer = await vaults.peer()
    await peer.create("correct horse battery")
    return BlockPeer.of(peer)


async def without_jitter(vaults: RunningVault, ann: BlockPeer, count: int) -> list[bytes]:
    """New blocks of the bucket 60: so near to its beginning, no jitter reaches the next one."""
    return [one.id for one in await ann.put(count)]


async def test_blocks_live_for_one_frame_are_archived_and_then_deleted(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    kept, renewed, back = await without_jitter(vaults, ann, 3)
    assert await counts(vaults) == {"blocks": 0, "archive": 0, "tombstones": 0, "accounts": 1}
    await at_bucket(vaults, 61.8)
    # To the last second of the next bucket.
    assert all(await ann.get([kept, renewed, back]))
    await ann.renew([renewed])
    await at_bucket(vaults, 62)
    assert await counts(vaults) == {"blocks": 1, "archive": 2, "tombstones": 0, "accounts": 1}
    assert [bool(one) for one in await ann.get([kept, renewed, back])] == [False, True, False]
    # The archive gives a block back to the right token only.
    assert await ann.with_wrong_tokens().renew([back]) == [False]
    assert await ann.renew([back]) == [True]
    assert [bool(one) for one in await ann.get([kept, renewed, back])] == [False, True, True]
    await vaults.server.application.apply()
    assert [bool(one) for one in await ann.get([kept, renewed, back])] == [False, True, True]
    await at_bucket(vaults, 63.9)
    # The block that was renewed in bucket 61 has expired as well.
    assert await counts(vaults) == {"blocks": 1, "archive": 2, "tombstones": 0, "accounts": 1}
    await at_bucket(vaults, 64)
    assert await ann.renew([kept, renewed]) == [False, True]


async def test_a_renewal_that_waits_saves_its_block_from_the_purge(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    (block_id,) = await without_jitter(vaults, ann, 1)
    await at_bucket(vaults, 62)
    vaults.clock.stopped_at_ms = 63 * FRAME_MS + 1000
    await vaults.server.sweep.sweep()
    vaults.clock.stopped_at_ms = 64 * FRAME_MS + 1000
    async with vaults.server.blocks.database.blocks("shared") as at:
        await vaults.server.blocks.pool.renew(at, {block_id: 64})
    await vaults.server.sweep._purge(64)
    await vaults.server.sweep.sweep()
    assert all(await ann.get([block_id]))


@with_table
async def test_the_purge_with_a_full_pool(vaults: RunningVault, ann: BlockPeer) -> None:
    (block_id,) = await without_jitter(vaults, ann, 1)
    await at_bucket(vaults, 62)
    blocks = vaults.server.blocks
    # More than the parameters that a statement of PostgreSQL can have.
    for _ in range(33):
        async with blocks.database.blocks("shared") as at:
            await blocks.pool.renew(at, {secrets.token_bytes(16): 62 for _ in range(1000)})
    await vaults.server.sweep._purge(64)
    assert (await counts(vaults))["archive"] == 0
    assert await ann.renew([block_id]) == [False]


async def test_a_long_outage_deletes_no_account_before_its_blocks(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    (block_id,) = await without_jitter(vaults, ann, 1)
    vaults.clock.stopped_at_ms = 70 * FRAME_MS + 1000
    with pytest.raises(ClockJumped):
        await vaults.server.sweep.sweep()
    await vaults.server.sweep.sweep(is_confirmed=True)
    expected = {"blocks": 0, "archive": 1, "tombstones": 0, "accounts": 1}
    assert await counts(vaults) == expected
    await at_bucket(vaults, 71.9)
    assert await counts(vaults) == expected
    await at_bucket(vaults, 72)
    assert await counts(vaults) == {**expected, "archive": 0, "accounts": 0}
    assert await ann.renew([block_id]) == [False]


@with_table
async def test_more_blocks_than_a_batch_are_archived_and_deleted(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    from test_pool import block

    async with vaults.server.blocks.database.blocks("alone") as at:
        one = block("a")
        many = [type(one)(secrets.token_bytes(16), 60, one.hashes, one.block) for _ in range(1001)]
        await at.put(many)
    await at_bucket(vaults, 62)
    assert await counts(vaults) == {"blocks": 0, "archive": 1001, "tombstones": 0, "accounts": 1}
    await at_bucket(vaults, 64)
    assert (await counts(vaults))["archive"] == 0


async def test_a_tombstone_is_kept_while_a_permit_can_be_valid(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    (reserved,) = await ann.reserve(1)
    new = ann.new(reserved)
    await ann.put_again([new])
    await ann.retire([new.id])
    await at_bucket(vaults, 61.9)
    assert (await ann.put_reply([new])).error == "conflict"
    assert (await counts(vaults))["tombstones"] == 1
    await at_bucket(vaults, 62)
    assert (await counts(vaults))["tombstones"] == 0
    # Now the permit has expired.
    assert (await ann.put_reply([new])).error == "conflict"


# --- the clock ---


@with_table
@pytest.mark.parametrize("bucket", [59.5, 62, 70, 1])
async def test_a_clock_that_jumps_deletes_nothing_until_it_is_confirmed(
    vaults: RunningVault, ann: BlockPeer, bucket: float
) -> None:
    (block_id,) = await without_jitter(vaults, ann, 1)
    await vaults.server.application.apply()
    vaults.clock.stopped_at_ms = int(bucket * FRAME_MS)
    before = await counts(vaults)
    for _ in range(2):
        with pytest.raises(ClockJumped, match="sweep --confirm-clock"):
            await vaults.server.sweep.sweep()
        assert await counts(vaults) == before
        assert all(await ann.get([block_id]))
    await vaults.server.sweep.sweep(is_confirmed=True)
    await vaults.server.sweep.sweep()
    assert bool((await ann.get([block_id]))[0]) == (bucket < 62)


@with_table
async def test_a_clock_that_goes_back_gives_no_block_an_earlier_bucket(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    vaults.clock.stopped_at_ms = 12 * FRAME_MS
    assert (await ann.parameters()).bucket == 60
    (new,) = await ann.put(1)
    vaults.clock.stopped_at_ms = 61 * FRAME_MS + 1000
    await vaults.server.sweep.sweep()
    assert all(await ann.get([new.id]))


@on_sqlite
async def test_another_frame_is_refused(vault_url: str, vault_key: Path) -> None:
    async with running(vault_url, vault_key):
        pass
    with pytest.raises(ConfigError, match=f"set it to {FRAME_S}"):
        async with running(vault_url, vault_key, blocks={"frame_s": 86_400}):
            pass
    for wrong in (0, 3599, 2**32):
        with pytest.raises(ConfigError, match="the frame must be from"):
            async with running(vault_url, vault_key, blocks={"frame_s": wrong}):
                pass


def test_jitter_only_makes_a_life_longer() -> None:
    # In the last eighth of a frame, some blocks get the next bucket. Before that, none does.
    for place, expected in ((0.5, {60}), (0.87, {60}), (0.9375, {60, 61})):
        buckets = Buckets(lambda place=place: int((60 + place) * FRAME_MS), FRAME_S)  # type: ignore[misc]
        drawn = {buckets.drawn() for _ in range(300)}
        assert drawn == expected, place
        assert buckets.present() == 60


# --- accounts ---


@with_table
async def test_an_account_is_warned_and_deleted_unless_it_is_used(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    bob_peer = await vaults.peer("bob@example.org")
    await bob_peer.create("staple")
    assert (await ann.put_meta(b"", random_meta())).status == 204
    del vaults.notices[:]
    await at_bucket(vaults, 61.49)
    assert vaults.notices == []
    for _ in range(2):
        await at_bucket(vaults, 61.51)
        warned = [(name, notice.event) for name, notice in vaults.notices]
        # Each user once. Eve has no account.
        assert warned == [(NAMES[0], "expires"), (NAMES[1], "expires")]
    days = vaults.notices[0][1].hours // 24
    assert f"In {days} days, its data expires" in vaults.notices[0][1].text
    assert 175 < days < 183
    # Ann reads her meta, and Bob does nothing.
    await ann.meta()
    await at_bucket(vaults, 62.6)
    assert [name for name, _ in vaults.notices[2:]] == [NAMES[0]]
    bob = await vaults.peer("bob@example.org")
    await at_bucket(vaults, 63.9)
    assert (await counts(vaults))["accounts"] == 2
    await at_bucket(vaults, 64)
    assert (await counts(vaults))["accounts"] == 1
    assert not await bob.unlock("staple")
    assert await ann.meta() is not None


@with_table
async def test_each_way_to_unlock_keeps_the_account(vaults: RunningVault, ann: BlockPeer) -> None:
    peer = ann.peer
    device_id, device = await peer.put_device()
    recovery = peer.recovery
    assert recovery is not None
    ways: list[Callable[[VaultPeer], Awaitable[bool]]] = [
        lambda again: again.unlock("correct horse battery"),
        lambda again: again.unlock_by(recovery),
        lambda again: again.unlock_by(device, device_id),
    ]
    for step, way in enumerate(ways):
        await at_bucket(vaults, 62 + 2 * step)
        assert await way(await vaults.peer())
    await at_bucket(vaults, 66 + 3.9)
    assert (await counts(vaults))["accounts"] == 1
    await at_bucket(vaults, 70)
    assert (await counts(vaults))["accounts"] == 0


def test_the_last_quarter_of_an_account() -> None:
    end = 62 * FRAME_S
    assert hours_left(60, FRAME_S, end - FRAME_S // 2 - 1) is None
    assert hours_left(60, FRAME_S, end - FRAME_S // 2) == -(-FRAME_S // 7200)
    assert hours_left(60, FRAME_S, end - 1) == 1
    assert hours_left(60, FRAME_S, end + 1) == 0
