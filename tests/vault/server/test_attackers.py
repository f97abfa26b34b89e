"""Attackers of the vault over a real gateway: without N, from another session, by guessing."""

import asyncio
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import documents
import pytest
from block_peer import random_meta
from gateways import Raw
from sqlalchemy import select
from vault_peer import KDF, Reply, VaultPeer, password_secrets, salt_of
from vaults import RunningVault, running

from protocol.common.primitives import sha256
from protocol.hardened.spake2 import M_BYTES
from vault.core import spake2plus
from vault.core.account import AccountKey
from vault.core.block_exchanges import PutMeta
from vault.core.errors import WrongSecret
from vault.core.exchanges import (
    BeginRun,
    DeleteDevice,
    ErrorBody,
    PutDevice,
    PutNote,
    PutTemporary,
    Revision,
    Run,
)
from vault.core.messages import CommitChange, CreateAccount
from vault.core.wraps import WRAP_BYTES, unwrap
from vault.server.key_file import read_or_make
from vault.server.routes import BLOCK_ROUTES
from vault.server.routes import ROUTES as ACCOUNT_ROUTES
from vault.server.server_key import ServerKey, random_scalar
from vault.server.store.database import Database
from vault.server.store.tables import METADATA

ROUTES = [*ACCOUNT_ROUTES, *BLOCK_ROUTES]
PASSWORD, OTHER = "correct horse battery", "staple"
TABLE = documents.table(documents.read("spec/VAULT.md"), "14. Routes")
SIGNED = [(row[0].split()[0], row[0].split()[1]) for row in TABLE if row[1] == "yes"]


@pytest.fixture
async def ann(vaults: RunningVault) -> VaultPeer:
    """Ann's session, with an account and a note."""
    peer = await vaults.peer()
    await peer.create(PASSWORD)
    assert (await peer.write_note("a secret")).status == 204
    return peer


async def bodies_of(ann: VaultPeer) -> dict[tuple[str, str], bytes]:
    """A body for each signed route with which Ann's signature would succeed."""
    device, _ = await ann.put_device()
    sealed = await ann.sealed_note()
    assert sealed is not None
    change = ann.change(OTHER)[0]
    digest = await ann.stage(change)
    part = ann.secret_part(ann.new_secret("temporary"))
    new = ann.device_part(secrets.token_bytes(16))
    return {
        ("GET", "/account"): b"",
        ("DELETE", "/account"): Revision(ann.revision).serialize(),
        ("POST", "/change"): change.serialize(),
        ("GET", "/change"): b"",
        ("POST", "/change/commit"): CommitChange(ann.revision, digest).serialize(),
        ("PUT", "/temporary"): PutTemporary(ann.revision, part, 60).serialize(),
        ("PUT", "/devices"): PutDevice(ann.revision, new).serialize(),
        ("DELETE", "/devices"): DeleteDevice(ann.revision, device).serialize(),
        ("GET", "/note"): b"",
        ("PUT", "/note"): PutNote(sha256(sealed), sealed).serialize(),
        ("GET", "/meta"): b"",
        ("PUT", "/meta"): PutMeta(b"", random_meta()).serialize(),
        ("DELETE", "/reset"): Revision(ann.revision).serialize(),
    }


def error_of(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.error


# --- a thief of the mailbox or of a session, without N ---


def test_the_specification_lists_every_route() -> None:
    assert sorted((row[0].split()[0], row[0].split()[1]) for row in TABLE) == sorted(ROUTES)


async def test_no_signed_route_does_anything_without_the_head_key(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    bodies = await bodies_of(ann)
    assert sorted(bodies) == sorted(SIGNED)
    before = await ann.state()
    thief = await vaults.peer()
    thief.key = AccountKey(ann.account, secrets.token_bytes(32))
    for (method, target), body in bodies.items():
        refused = [
            await thief.signed(method, target, body),
            # Ann's own signature, of her session.
            await thief.send(method, target, body, ann.signature(method, target, body)),
            await thief.send(method, target, body, "A" * 86),
        ]
        assert [error_of(reply) for reply in refused] == [(403, "refused")] * 3, target
        assert len({reply.body for reply in refused}) == 1
        for field in (None, "", "A" * 85, "A" * 87, "+" * 86, "A" * 85 + "B", "=" * 86, "é" * 43):
            reply = await thief.send(method, target, body, field)
            assert error_of(reply) == (400, "malformed"), (target, field)
    assert await ann.state() == before
    note = await ann.note()
    assert note is not None
    assert note.text == "a secret"


async def test_each_signature_is_of_one_method_target_and_body(ann: VaultPeer) -> None:
    bodies = await bodies_of(ann)
    for (method, target), body in bodies.items():
        others = [(m, t) for m, t in SIGNED if (m, t) != (method, target) and bodies[m, t] == body]
        signature = ann.signature(method, target, body)
        for other in others:
            assert (await ann.send(*other, body, signature)).error == "refused"
    before = ann.signature("PUT", "/note", bodies["PUT", "/note"])
    other_body = PutNote(b"", b"\x01" * 4_125).serialize()
    assert (await ann.send("PUT", "/note", other_body, before)).error == "refused"
    with_query = ann.signature("GET", "/account")
    assert (await ann.send("GET", "/account?x=1", b"", with_query)).error == "refused"
    assert (await ann.signed("GET", "/account?x=1")).status == 200


async def test_a_replayed_change_has_no_effect_in_the_same_session(ann: VaultPeer) -> None:
    device_id = secrets.token_bytes(16)
    body = PutDevice(ann.revision, ann.device_part(device_id)).serialize()
    signature = ann.signature("PUT", "/devices", body)
    await ann.changed("PUT", "/devices", body)
    renamed = ann.device_part(device_id)
    await ann.changed("PUT", "/devices", PutDevice(ann.revision, renamed).serialize())
    assert (await ann.send("PUT", "/devices", body, signature)).error == "conflict"
    assert [device.record for device in (await ann.state()).devices] == [renamed.record]
    sealed = await ann.sealed_note()
    assert sealed is not None
    write = PutNote(sha256(sealed), sealed[:-1] + b"\x00").serialize()
    signature = ann.signature("PUT", "/note", write)
    assert (await ann.send("PUT", "/note", write, signature)).status == 204
    assert (await ann.send("PUT", "/note", write, signature)).error == "conflict"


async def test_a_creation_needs_both_signatures_of_this_session(vaults: RunningVault) -> None:
    ann, thief = await vaults.peer(), await vaults.peer()
    asked = ann.creation(PASSWORD)
    wrong = secrets.token_bytes(64)
    tried: list[tuple[VaultPeer, CreateAccount]] = [
        (ann, replace(asked, signature=wrong)),
        (ann, replace(asked, typed=wrong)),
        (ann, replace(asked, typed=asked.signature)),
        (thief, asked),
    ]
    for peer, creation in tried:
        reply = await peer.send("PUT", "/account", creation.serialize())
        assert error_of(reply) == (403, "refused")
    assert (await ann.send("PUT", "/account", asked.serialize())).status == 200


async def test_a_change_needs_the_typed_code_and_the_new_head_key(ann: VaultPeer) -> None:
    change, _ = ann.change(recovery=True)
    untyped = replace(change, typed=secrets.token_bytes(64)).serialize()
    assert (await ann.signed("POST", "/change", untyped)).error == "refused"
    sealed, note = await ann.sealed_note(), await ann.note()
    assert sealed is not None
    change, _, _ = ann.rekey(OTHER, note, sha256(sealed))
    assert change.rekey is not None
    forged = replace(change, rekey=replace(change.rekey, signature=secrets.token_bytes(64)))
    assert (await ann.signed("POST", "/change", forged.serialize())).error == "refused"


async def test_a_proof_is_of_one_session_kind_and_device(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    device_id, secret = await ann.put_device()
    other_id, _ = await ann.put_device()
    thief = await vaults.peer()
    proof = ann.proof(secret, device_id)
    assert (await thief.send("POST", "/unlock/device", proof)).error == "refused"
    assert (await ann.send("POST", "/unlock/device", proof)).status == 200
    assert (await ann.prove(secret, other_id)).error == "refused"
    assert ann.recovery is not None
    assert (await ann.prove(replace(ann.recovery, kind="temporary"))).error == "refused"


# --- runs ---


async def test_a_run_belongs_to_its_session_and_works_once(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    thief = await vaults.peer()
    run, ours, _ = await ann.begin(PASSWORD)
    assert (await thief.confirm(run, ours.prover)).error == "refused"
    assert (await ann.confirm(run, ours.prover)).status == 200
    assert (await ann.confirm(run, ours.prover)).error == "refused"
    wrong, ours, _ = await ann.begin(PASSWORD)
    assert (await ann.confirm(wrong, bytes(32))).error == "refused"
    assert (await ann.confirm(wrong, ours.prover)).error == "refused"


async def test_a_run_lives_for_60_seconds(vaults: RunningVault, ann: VaultPeer) -> None:
    vaults.clock.stopped_at_ms = vaults.clock()
    run, ours, _ = await ann.begin(PASSWORD)
    vaults.clock.stopped_at_ms += 60_000
    assert (await ann.confirm(run, ours.prover)).error == "refused"
    run, ours, _ = await ann.begin(PASSWORD)
    vaults.clock.stopped_at_ms += 59_999
    assert (await ann.confirm(run, ours.prover)).status == 200


@pytest.mark.parametrize("how", ["password", "rekey", "delete", "reset"])
async def test_a_run_of_the_old_password_does_not_release_the_new_wrap(
    vaults: RunningVault, ann: VaultPeer, how: str
) -> None:
    other = await vaults.peer()
    if how == "reset":
        await other.request_reset()
        vaults.clock.offset_ms = 169 * 3_600_000
    run, ours, _ = await other.begin(PASSWORD)
    if how == "password":
        await ann.change_password(OTHER)
    elif how == "rekey":
        sealed, note = await ann.sealed_note(), await ann.note()
        assert sealed is not None
        await ann.commit(await ann.stage(ann.rekey(OTHER, note, sha256(sealed))[0]))
    else:
        if how == "delete":
            assert (await ann.delete()).status == 204
        await ann.create(OTHER)
    assert (await other.confirm(run, ours.prover)).error == "refused"


# --- guessing ---


async def guess(peer: VaultPeer, password: str) -> bool:
    """One guess by password."""
    run, ours, _ = await peer.begin(password)
    return ours.verifier == run.confirm


async def test_guesses_over_two_servers_are_counted_together(
    vault_url: str, vault_key: Path
) -> None:
    async with running(vault_url, vault_key) as one, running(vault_url, vault_key) as two:
        ann = await one.peer()
        await ann.create(PASSWORD)
        one.clock.stopped_at_ms = two.clock.stopped_at_ms = one.clock()
        peers = [await one.peer(), await two.peer()]
        guesses = [guess(peer, f"guess {n}") for n, peer in enumerate(peers * 8)]
        assert not any(await asyncio.gather(*guesses))
        database = Database(vault_url)
        async with database.transaction() as at:
            attempts = await at.attempts(ann.account)
        await database.close()
        assert attempts.count == 5
        # The server waits now, also for the right password.
        assert not any([await guess(peer, PASSWORD) for peer in peers])
        two.clock.stopped_at_ms += 30_000
        one.clock.stopped_at_ms += 30_000
        assert await peers[1].unlock(PASSWORD)
        # The count is 0 again.
        assert not any([await guess(peers[0], "wrong") for _ in range(4)])
        assert await peers[0].unlock(PASSWORD)


async def test_wrong_proofs_and_passwords_never_lock_the_recovery_code_and_devices(
    ann: VaultPeer,
) -> None:
    device_id, secret = await ann.put_device()
    for _ in range(6):
        assert not await guess(ann, "wrong")
        assert (await ann.prove(ann.new_secret("recovery"))).error == "refused"
        assert (await ann.prove(ann.new_secret("device"), device_id)).error == "refused"
    assert not await guess(ann, PASSWORD)
    assert ann.recovery is not None
    assert await ann.unlock_by(ann.recovery)
    assert await ann.unlock_by(secret, device_id)


async def test_5_wrong_proofs_delete_the_temporary_key(ann: VaultPeer) -> None:
    first = await ann.put_temporary()
    for _ in range(4):
        assert (await ann.prove(ann.new_secret("temporary"))).error == "refused"
    # A new key has a count of its own.
    key = await ann.put_temporary()
    for _ in range(4):
        assert (await ann.prove(first)).error == "refused"
    assert (await ann.state()).has_temporary
    assert await ann.unlock_by(key)
    key = await ann.put_temporary()
    for _ in range(5):
        assert (await ann.prove(ann.new_secret("temporary"))).error == "refused"
    assert not (await ann.state()).has_temporary
    assert (await ann.prove(key)).error == "refused"


async def test_parallel_wrong_proofs_of_a_temporary_key_over_two_servers_are_all_counted(
    vault_url: str, vault_key: Path
) -> None:
    async with running(vault_url, vault_key) as one, running(vault_url, vault_key) as two:
        ann = await one.peer()
        await ann.create(PASSWORD)
        key = await ann.put_temporary()
        peers = [await one.peer(), await two.peer()]
        wrong = [peer.prove(peer.new_secret("temporary")) for peer in (*peers, *peers, peers[0])]
        assert {reply.error for reply in await asyncio.gather(*wrong)} == {"refused"}
        assert (await ann.prove(key)).error == "refused"


async def test_shares_that_are_no_points_are_malformed(ann: VaultPeer) -> None:
    shares = (bytes(65), b"\x04" + bytes(64), M_BYTES, b"\x04" + b"\xff" * 64)
    for share in shares:
        reply = await ann.send("POST", "/unlock/password", BeginRun(share).serialize())
        assert error_of(reply) == (400, "malformed")


# --- a server that changes the parameters, or rows ---


async def test_other_parameters_make_the_run_fail(vaults: RunningVault, ann: VaultPeer) -> None:
    """The client computes with what it was told, and the context binds both sides to it."""
    kept = await ann.parameters()
    assert kept.kdf == KDF
    for salt, kdf in ((bytes(16), kept.kdf), (kept.salt, 3 - kept.kdf)):
        derived = password_secrets(PASSWORD, salt, kdf, ann.owner)
        x = random_scalar()
        share = spake2plus.prover_share(derived.w0, x)
        body = BeginRun(share).serialize()
        run = Run.parse((await ann.send("POST", "/unlock/password", body)).good())
        told = spake2plus.Transcript.of(ann.owner, ann.exported, kdf, salt)
        ours = spake2plus.prover_confirmations(told, derived, x, share, run.share)
        assert ours.verifier != run.confirm
        assert (await ann.confirm(run, ours.prover)).error == "refused"


async def test_a_row_that_was_copied_from_another_account_does_not_open(
    vaults: RunningVault, ann: VaultPeer, vault_url: str, vault_key: Path
) -> None:
    mallory = await vaults.peer("mallory@example.org")
    await mallory.create(OTHER)
    database = Database(vault_url)
    async with database.transaction() as at:
        theirs, hers = await at.account(mallory.account), await at.account(ann.account)
        assert theirs is not None
        assert hers is not None
        copied = replace(hers, verifier=theirs.verifier, salt=theirs.salt, kdf=theirs.kdf)
        await at.save_account(copied)
    await database.close()
    assert not await guess(ann, OTHER)
    assert not await guess(ann, PASSWORD)
    key = ServerKey(read_or_make(vault_key))
    with pytest.raises(Exception, match="was not sealed for its account"):
        key.open_verifier(ann.account, theirs.verifier)


# --- a thief of the database without the key file ---


async def test_the_database_alone_cannot_test_a_guess_of_the_password(
    ann: VaultPeer, vault_url: str
) -> None:
    """With the right guess, nothing in the database says that it is right."""
    await ann.stage(ann.change(PASSWORD)[0])
    derived = password_secrets(PASSWORD, salt_of(PASSWORD), KDF, ann.owner)
    database = Database(vault_url)
    async with database.transaction() as at:
        rows = [
            row
            for table in METADATA.sorted_tables
            for row in (await at._connection.execute(select(table))).all()
        ]
    await database.close()
    values = [bytes(value) for row in rows for value in row if isinstance(value, bytes)]
    assert salt_of(PASSWORD) in values
    whole = b"|".join(values)
    assert not any(part in whole for part in derived.verifier)
    for start in range(len(whole) - WRAP_BYTES + 1):
        part = whole[start : start + WRAP_BYTES]
        if part.startswith(b"\x01"):
            with pytest.raises(WrongSecret):
                unwrap(derived.kek, part, ann.account, "password")


# --- a revoked device ---


async def test_a_revoked_device_reads_and_changes_nothing(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    device_id, secret = await ann.put_device()
    device = await vaults.peer()
    assert await device.unlock_by(secret, device_id)
    sealed, note = await ann.sealed_note(), await ann.note()
    assert sealed is not None
    change, _, key = ann.rekey(OTHER, note, sha256(sealed))
    await ann.commit(await ann.stage(change))
    ann.key = key
    assert (await ann.write_note("written later")).status == 204
    # It still has the old key, and a session of the user.
    for method, target in SIGNED:
        bodies = {
            ("PUT", "/note"): PutNote(b"", b"\x01" * 4_125).serialize(),
            ("PUT", "/meta"): PutMeta(b"", random_meta()).serialize(),
            ("DELETE", "/account"): Revision(device.revision).serialize(),
        }
        given = bodies.get((method, target), b"")
        reply = await device.signed(method, target, given)
        assert reply.status in (400, 403), target
    assert not await device.unlock_by(secret, device_id)


# --- weak sessions ---


async def test_classic_is_refused_by_the_gateway(vault_url: str, vault_key: Path) -> None:
    async with running(vault_url, vault_key, suites=("ecdh-gcm", "classic")) as at:
        raw = await Raw.login(at.gateway, "ann@example.org")
        for method, target in ROUTES:
            response = await raw.call(method, f"/vault{target}")
            assert response.status == 403
            assert b"suite_required" in response.body
            assert b"takes ecdh-gcm" in response.body


@pytest.mark.parametrize("options", [{}, {"public": [f"{m} /vault/*" for m in ("GET", "PUT")]}])
async def test_without_the_demand_the_vault_itself_refuses(
    vault_url: str, vault_key: Path, options: dict[str, Any]
) -> None:
    async with running(
        vault_url, vault_key, require={}, suites=("ecdh-gcm", "classic"), **options
    ) as at:
        raw = await Raw.login(at.gateway, "ann@example.org")
        for method, target in ROUTES:
            response = await raw.call(method, f"/vault{target}")
            assert response.status == 403
            assert ErrorBody.parse(response.body).error == "suite_required"
        if options:
            # Without any session.
            answer = await at.gateway.get("/vault/parameters")
            assert answer.status == 403
            assert ErrorBody.parse(answer.body).error == "suite_required"
