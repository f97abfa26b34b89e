"""Blocks and metas over a real gateway: on both databases, with both pools."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from block_peer import BlockPeer, random_block, random_meta
from vaults import RunningVault, running

from protocol.common.primitives import sha256
from vault.core.block_exchanges import BlockParameters, PutBlocks, Reserve, StoredMeta
from vault.core.expiry import FRAME_S, bucket_of
from vault.core.tokens import check

on_sqlite = pytest.mark.parametrize("vault_url", ["sqlite"], indirect=True)
FRAME_MS = FRAME_S * 1000


@pytest.fixture
async def vaults(
    vault_url: str, vault_pool: str | None, vault_key: Path
) -> AsyncIterator[RunningVault]:
    """A vault that applies its pool when a test asks for it."""
    blocks = {"pool": vault_pool, "apply_size": 10**6}
    async with running(vault_url, vault_key, blocks=blocks) as at:
        yield at


@pytest.fixture
async def ann(vaults: RunningVault) -> BlockPeer:
    peer = await vaults.peer()
    await peer.create("correct horse battery")
    return BlockPeer.of(peer)


async def test_blocks_are_put_and_read_before_and_after_the_application(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    waiting = await ann.put(3)
    ids = [one.id for one in waiting]
    assert len(set(ids)) == 3
    unknown = secrets.token_bytes(16)
    for _ in range(2):
        got = await ann.get([*ids, unknown])
        assert got == [*(one.block for one in waiting), b""]
        nonce = secrets.token_bytes(16)
        expected = [*(check(nonce, one.block) for one in waiting), b""]
        assert await ann.check(nonce, [*ids, unknown]) == expected
        # The same request again has the same answer.
        await ann.put_again(waiting)
        await vaults.server.application.apply()


async def test_32_blocks_fit_into_one_request(vaults: RunningVault, ann: BlockPeer) -> None:
    blocks = await ann.put(32)
    await vaults.server.application.apply()
    assert await ann.get(one.id for one in blocks) == [one.block for one in blocks]
    too_many = [ann.new(one) for one in await ann.reserve(33)]
    reply = await ann.put_reply(too_many)
    assert (reply.status, reply.error) == (413, "too_large")


async def test_the_parameters_name_the_frame_and_the_bucket(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    bucket = bucket_of(vaults.clock() // 1000, FRAME_S)
    assert await ann.parameters() == BlockParameters(FRAME_S, bucket)


async def test_a_permit_is_for_one_id_and_for_two_buckets(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    first, second, third = await ann.reserve(3)
    swapped = ann.new(replace(first, permit=second.permit))
    guessed = ann.new(replace(first, id=secrets.token_bytes(16)))
    for wrong in (swapped, guessed):
        # All blocks of a request, or none.
        reply = await ann.put_reply([ann.new(second), wrong])
        assert (reply.status, reply.error) == (409, "conflict")
    assert await ann.get([first.id, second.id]) == [b"", b""]
    vaults.clock.offset_ms = FRAME_MS
    assert (await ann.put_reply([ann.new(second)])).status == 200
    vaults.clock.offset_ms = 2 * FRAME_MS
    assert (await ann.put_reply([ann.new(third)])).error == "conflict"


async def test_an_id_is_used_once(vaults: RunningVault, ann: BlockPeer) -> None:
    (reserved,) = await ann.reserve(1)
    block = ann.new(reserved)
    await ann.put_again([block])
    for _ in range(2):
        other_block = replace(block, block=random_block())
        other_hash = replace(block, hashes=replace(block.hashes, read=bytes(32)))
        for other in (other_block, other_hash):
            assert (await ann.put_reply([other])).error == "conflict"
        await vaults.server.application.apply()
    await ann.retire([block.id])
    for _ in range(2):
        # Neither another block nor the same one, before and after the application.
        assert await ann.get([block.id]) == [b""]
        for again in (block, replace(block, block=random_block())):
            assert (await ann.put_reply([again])).error == "conflict"
        await vaults.server.application.apply()


async def test_a_block_needs_its_own_tokens(vaults: RunningVault, ann: BlockPeer) -> None:
    bob_peer = await vaults.peer("bob@example.org")
    await bob_peer.create("staple")
    mine = (await ann.put(1))[0]
    nonce = secrets.token_bytes(16)
    for _ in range(2):
        for thief in (BlockPeer.of(bob_peer), ann.with_wrong_tokens()):
            assert await thief.get([mine.id]) == [b""]
            assert await thief.check(nonce, [mine.id]) == [b""]
            assert await thief.renew([mine.id]) == [False]
            # The answer does not show that nothing was retired.
            await thief.retire([mine.id])
        assert await ann.get([mine.id]) == [mine.block]
        await vaults.server.application.apply()
    # A block belongs to its tokens, not to a user.
    finder = BlockPeer(bob_peer, ann.tokens)
    assert await finder.get([mine.id]) == [mine.block]


async def test_a_token_of_another_use_is_wrong(vaults: RunningVault, ann: BlockPeer) -> None:
    mine = (await ann.put(1))[0]
    tokens = ann.tokens
    shifted = replace(ann, tokens=type(tokens)(tokens._read, tokens._renew, tokens._write))
    assert await shifted.get([mine.id]) == [b""]
    assert await shifted.renew([mine.id]) == [False]
    await shifted.retire([mine.id])
    assert await ann.get([mine.id]) == [mine.block]


async def test_renew_answers_for_each_block(vaults: RunningVault, ann: BlockPeer) -> None:
    first, second = await ann.put(2)
    await ann.retire([second.id])
    unknown = secrets.token_bytes(16)
    for _ in range(2):
        ids = [unknown, first.id, second.id, first.id]
        assert await ann.renew(ids) == [False, True, False, True]
        await vaults.server.application.apply()
    assert await ann.get([first.id, second.id]) == [first.block, b""]


async def test_retired_blocks_are_gone(vaults: RunningVault, ann: BlockPeer) -> None:
    blocks = await ann.put(4)
    await vaults.server.application.apply()
    await ann.retire([blocks[0].id, blocks[2].id, secrets.token_bytes(16)])
    for _ in range(2):
        got = await ann.get(one.id for one in blocks)
        assert got == [b"", blocks[1].block, b"", blocks[3].block]
        await vaults.server.application.apply()
        await ann.retire([blocks[0].id])


async def test_a_meta_replaces_the_one_that_its_client_has_seen(
    vaults: RunningVault, ann: BlockPeer
) -> None:
    first, second = random_meta(), random_meta()
    assert await ann.meta() is None
    assert (await ann.put_meta(sha256(first), second)).error == "conflict"
    assert (await ann.put_meta(b"", first)).status == 204
    for previous in (b"", sha256(second)):
        assert (await ann.put_meta(previous, second)).error == "conflict"
    assert await ann.meta() == first
    assert (await ann.put_meta(sha256(first), second)).status == 204
    assert await ann.meta() == second
    assert (await ann.put_meta(sha256(first), first)).error == "conflict"


async def test_of_two_devices_one_replaces_the_meta(vaults: RunningVault, ann: BlockPeer) -> None:
    metas = [random_meta() for _ in range(4)]
    done = await asyncio.gather(*(ann.put_meta(b"", meta) for meta in metas))
    assert sorted(reply.status for reply in done) == [204, 409, 409, 409]
    winner = [reply.status for reply in done].index(204)
    assert await ann.meta() == metas[winner]


@on_sqlite
async def test_a_deleted_account_has_no_meta(vaults: RunningVault, ann: BlockPeer) -> None:
    assert (await ann.put_meta(b"", random_meta())).status == 204
    assert (await ann.peer.delete()).status == 204
    await ann.peer.create("another")
    reply = await ann.peer.signed("GET", "/meta")
    assert StoredMeta.parse(reply.good()).meta is None


@on_sqlite
async def test_a_user_reserves_a_limited_number_of_ids_in_an_hour(
    vault_url: str, vault_key: Path
) -> None:
    async with running(vault_url, vault_key, blocks={"ids_per_hour": 25}) as at:
        at.clock.stopped_at_ms = at.clock() // 3_600_000 * 3_600_000
        ann = await at.peer()
        for count, status in ((20, 200), (6, 429), (5, 200), (1, 429)):
            body = Reserve(count).serialize()
            reply = await ann.send("POST", "/blocks/reserve", body)
            assert reply.status == status
            assert reply.error == ("too_many" if status == 429 else "")
        # Another user, another session of the same user, and the next hour.
        bob = await at.peer("bob@example.org")
        assert (await bob.send("POST", "/blocks/reserve", body)).status == 200
        again = await at.peer()
        assert (await again.send("POST", "/blocks/reserve", body)).error == "too_many"
        at.clock.stopped_at_ms += 3_600_000
        assert (await ann.send("POST", "/blocks/reserve", body)).status == 200


@on_sqlite
async def test_a_broken_body_is_malformed(vaults: RunningVault, ann: BlockPeer) -> None:
    routes = ("reserve", "put", "get", "renew", "retire", "check")
    for target in routes:
        reply = await ann.peer.send("POST", f"/blocks/{target}", b"\x80")
        assert (reply.status, reply.error) == (400, "malformed")
    twice = [ann.new(one) for one in await ann.reserve(1)] * 2
    body = PutBlocks(tuple(twice)).serialize()
    assert (await ann.peer.send("POST", "/blocks/put", body)).error == "malformed"
