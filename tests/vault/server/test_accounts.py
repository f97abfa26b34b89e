"""Accounts over a real gateway: create, unlock, change, note, devices, reset, delete."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from vault_peer import VaultPeer
from vaults import RunningVault

from certless.client import Refused, TicketNotAccepted
from protocol.common.primitives import sha256
from vault.core.exchanges import DeleteDevice, PutDevice, PutNote, Revision
from vault.core.messages import MAX_DEVICES, CommitChange, DevicePart
from vault.core.sealed_values import Note
from vault.core.unlock_secrets import UnlockSecret

PASSWORD, OTHER = "correct horse battery", "staple"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def ann(vaults: RunningVault) -> VaultPeer:
    """Ann's session, with an account."""
    peer = await vaults.peer()
    await peer.create(PASSWORD)
    return peer


def recovery_of(peer: VaultPeer) -> UnlockSecret:
    assert peer.recovery is not None
    return peer.recovery


# --- unlocking ---


async def test_an_account_opens_by_its_password_and_its_recovery_code(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    again = await vaults.peer()
    assert await again.unlock(PASSWORD)
    assert (again.key, again.revision) == (ann.key, ann.revision)
    third = await vaults.peer()
    assert await third.unlock_by(recovery_of(ann))
    assert third.key == ann.key


async def test_a_wrong_password_opens_nothing(vaults: RunningVault, ann: VaultPeer) -> None:
    again = await vaults.peer()
    assert not await again.unlock(OTHER)
    assert again.key is None


async def test_the_parameters_name_the_account_of_the_session(ann: VaultPeer) -> None:
    found = await ann.parameters()
    assert (found.username, found.realm) == (ann.owner.username, ann.owner.realm)


async def test_a_second_account_does_not_replace_the_first(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    other = await vaults.peer()
    body = other.creation(OTHER).serialize()
    assert (await other.send("PUT", "/account", body)).error == "exists"
    assert await other.unlock(PASSWORD)


async def test_the_accounts_of_two_users_are_apart(vaults: RunningVault, ann: VaultPeer) -> None:
    bob = await vaults.peer("bob@example.org")
    await bob.create(OTHER)
    assert (await bob.write_note("of Bob")).status == 204
    assert await ann.note() is None
    again = await vaults.peer("bob@example.org")
    assert not await again.unlock(PASSWORD)
    assert await again.unlock(OTHER)


# --- changes ---


async def test_a_new_password_replaces_the_old_one_at_the_commit(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    change, _ = ann.change(OTHER)
    digest = await ann.stage(change)
    assert await ann.staged() == change
    again = await vaults.peer()
    assert await again.unlock(PASSWORD)
    await ann.commit(digest)
    assert (await ann.signed("GET", "/change")).error == "not_found"
    assert not await again.unlock(PASSWORD)
    assert await again.unlock(OTHER)
    assert again.key == ann.key


async def test_a_new_recovery_code_replaces_the_old_one(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    change, code = ann.change(recovery=True)
    assert code is not None
    await ann.commit(await ann.stage(change))
    again = await vaults.peer()
    assert not await again.unlock_by(recovery_of(ann))
    assert await again.unlock_by(code)


async def test_a_rekey_replaces_everything_that_the_old_key_opened(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    assert (await ann.write_note("kept")).status == 204
    temporary = await ann.put_temporary()
    lost, lost_secret = await ann.put_device()
    kept, _ = await ann.put_device()
    sealed = await ann.sealed_note()
    note = await ann.note()
    assert sealed is not None
    assert note is not None
    again = await vaults.peer()
    assert await again.unlock(PASSWORD)
    change, code, key = ann.rekey(OTHER, note, sha256(sealed), [kept])
    await ann.commit(await ann.stage(change))
    # The old head key signs nothing any more.
    assert (await ann.signed("GET", "/account")).error == "refused"
    ann.key = key
    assert [device.id for device in (await ann.state()).devices] == [kept]
    assert await ann.note() == note
    assert not await again.unlock(PASSWORD)
    assert await again.unlock(OTHER)
    assert again.key == key
    for secret, subject in ((temporary, b""), (lost_secret, lost), (recovery_of(ann), b"")):
        assert not await again.unlock_by(secret, subject)
    assert await again.unlock_by(code)


async def test_a_rekey_does_not_replace_a_note_that_its_client_has_not_seen(
    ann: VaultPeer,
) -> None:
    assert (await ann.write_note("first")).status == 204
    sealed, note = await ann.sealed_note(), await ann.note()
    assert sealed is not None
    change, _, _ = ann.rekey(OTHER, note, sha256(sealed))
    digest = await ann.stage(change)
    assert (await ann.write_note("second")).status == 204
    body = CommitChange(ann.revision, digest).serialize()
    assert (await ann.signed("POST", "/change/commit", body)).error == "conflict"
    assert (await ann.signed("POST", "/change", change.serialize())).error == "conflict"
    found = await ann.note()
    assert found is not None
    assert found.text == "second"


async def test_a_commit_needs_the_staged_change_that_it_names(ann: VaultPeer) -> None:
    body = CommitChange(ann.revision, bytes(32)).serialize()
    assert (await ann.signed("POST", "/change/commit", body)).error == "not_found"
    first = await ann.stage(ann.change(OTHER)[0])
    await ann.stage(ann.change(recovery=True)[0])
    body = CommitChange(ann.revision, first).serialize()
    assert (await ann.signed("POST", "/change/commit", body)).error == "conflict"


async def test_a_change_between_stage_and_commit_is_a_conflict(ann: VaultPeer) -> None:
    digest = await ann.stage(ann.change(OTHER)[0])
    await ann.put_device()
    body = CommitChange(ann.revision, digest).serialize()
    assert (await ann.signed("POST", "/change/commit", body)).error == "conflict"


async def test_a_staged_change_is_dropped_after_24_hours(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    digest = await ann.stage(ann.change(OTHER)[0])
    vaults.clock.offset_ms = DAY_MS
    assert (await ann.signed("GET", "/change")).error == "not_found"
    body = CommitChange(ann.revision, digest).serialize()
    assert (await ann.signed("POST", "/change/commit", body)).error == "not_found"


# --- temporary keys and devices ---


async def test_a_temporary_key_works_once_and_until_its_end(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    key = await ann.put_temporary()
    assert (await ann.state()).has_temporary
    again = await vaults.peer()
    assert await again.unlock_by(key)
    assert again.key == ann.key
    assert not (await ann.state()).has_temporary
    assert not await again.unlock_by(key)
    late = await ann.put_temporary(lifetime_s=60)
    vaults.clock.offset_ms = 60_000
    assert not await again.unlock_by(late)
    assert not (await ann.state()).has_temporary


async def test_a_new_temporary_key_replaces_the_earlier_one(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    earlier, later = await ann.put_temporary(), await ann.put_temporary()
    again = await vaults.peer()
    assert not await again.unlock_by(earlier)
    assert await again.unlock_by(later)


async def test_a_device_opens_the_account_until_it_is_signed_out(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    laptop = await vaults.peer()
    assert await laptop.unlock(PASSWORD)
    device_id, secret = await laptop.put_device()
    record_only, _ = await laptop.put_device(opens=False)
    assert await ann.unlock(PASSWORD)
    listed = {device.id: device.opens for device in (await ann.state()).devices}
    assert listed == {device_id: True, record_only: False}
    again = await vaults.peer()
    assert await again.unlock_by(secret, device_id)
    await ann.sign_out(device_id)
    assert [device.id for device in (await ann.state()).devices] == [record_only]
    assert not await again.unlock_by(secret, device_id)


async def test_a_sign_out_ends_the_session_and_the_ticket_of_the_device(
    vaults: RunningVault, ann: VaultPeer, tmp_path: Path
) -> None:
    other = await vaults.peer()
    assert await other.unlock(PASSWORD)
    for resumes in (False, True):
        laptop = await vaults.peer(tickets=tmp_path / f"ticket {resumes}")
        assert await laptop.unlock(PASSWORD)
        device_id, _ = await laptop.put_device(opens=False)
        if resumes:
            # Another session, by the same ticket.
            await laptop.client.resume()
        assert await ann.unlock(PASSWORD)
        await ann.sign_out(device_id)
        with pytest.raises(Refused, match="rejected"):
            await laptop.parameters()
        with pytest.raises(TicketNotAccepted):
            await laptop.client.resume()
    # Other sessions of the user go on.
    assert await other.unlock(PASSWORD)


async def test_an_account_has_a_limit_of_devices(ann: VaultPeer) -> None:
    first, _ = await ann.put_device(opens=False)
    for _ in range(MAX_DEVICES - 1):
        await ann.put_device(opens=False)
    part = ann.device_part(secrets.token_bytes(16))
    body = PutDevice(ann.revision, part).serialize()
    assert (await ann.signed("PUT", "/devices", body)).error == "too_large"
    # The same id replaces the device.
    renamed = DevicePart(first, part.record, None)
    await ann.changed("PUT", "/devices", PutDevice(ann.revision, renamed).serialize())


async def test_a_device_that_is_not_there_cannot_be_signed_out(ann: VaultPeer) -> None:
    body = DeleteDevice(ann.revision, bytes(16)).serialize()
    assert (await ann.signed("DELETE", "/devices", body)).error == "refused"


async def test_a_rekey_ends_the_sessions_of_the_devices_that_it_deletes(
    vaults: RunningVault, ann: VaultPeer, tmp_path: Path
) -> None:
    kept_id, _ = await ann.put_device(opens=False)
    await ann.put_device()
    lost = await vaults.peer(tickets=tmp_path / "ticket")
    assert await lost.unlock(PASSWORD)
    await lost.put_device()
    staying = await vaults.peer()
    assert await staying.unlock(PASSWORD)
    staying_id, _ = await staying.put_device(opens=False)
    ann.revision = staying.revision
    change, _, key = ann.rekey(OTHER, devices=[kept_id, staying_id])
    await ann.commit(await ann.stage(change))
    ann.key = key
    # Ann's own session goes on, although a device that it registered was deleted.
    assert len((await ann.state()).devices) == 2
    assert (await staying.send("GET", "/parameters")).status == 200
    with pytest.raises(Refused):
        await lost.parameters()
    with pytest.raises(TicketNotAccepted):
        await lost.client.resume()


# --- the note ---


async def test_a_note_replaces_the_one_that_its_client_has_seen(ann: VaultPeer) -> None:
    assert await ann.note() is None
    assert (await ann.write_note("first")).status == 204
    stale = Note(2, "stale").seal(ann.known_key(), bytes(12))
    for previous in (b"", bytes(32)):
        body = PutNote(previous, stale).serialize()
        assert (await ann.signed("PUT", "/note", body)).error == "conflict"
    assert (await ann.write_note("second")).status == 204
    assert await ann.note() == Note(2, "second")


async def test_the_largest_note_is_kept_and_a_larger_one_is_too_large(ann: VaultPeer) -> None:
    text = "n" * 65_536
    assert (await ann.write_note(text)).status == 204
    note = await ann.note()
    assert note is not None
    assert note.text == text
    body = PutNote(b"", bytes(70_000)).serialize()
    assert (await ann.signed("PUT", "/note", body)).error == "too_large"


async def test_a_note_whose_length_shows_its_text_is_malformed(ann: VaultPeer) -> None:
    for length in (29, 4_124, 4_126, 29 + 2 * 4_096 - 1):
        body = PutNote(b"", bytes(length)).serialize()
        assert (await ann.signed("PUT", "/note", body)).error == "malformed"
    assert (await ann.write_note("short")).status == 204
    sealed = await ann.sealed_note()
    assert sealed is not None
    change, _, _ = ann.rekey(OTHER, await ann.note(), sha256(sealed))
    assert change.rekey is not None
    short = replace(change, rekey=replace(change.rekey, note=sealed[:-1]))
    assert (await ann.signed("POST", "/change", short.serialize())).error == "malformed"


# --- reset and deletion ---


async def test_a_reset_opens_an_empty_account_after_7_days(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    assert (await ann.write_note("lost")).status == 204
    thief = await vaults.peer()
    hours = await thief.request_reset()
    assert 168 <= hours <= 169
    assert [(name, notice.event) for name, notice in vaults.notices] == [
        ("ann@example.org", "created"),
        ("ann@example.org", "reset"),
    ]
    assert (await ann.state()).is_to_be_reset
    # Another request changes nothing, and sends no mail.
    vaults.clock.offset_ms = DAY_MS
    assert await thief.request_reset() == hours - 24
    assert len(vaults.notices) == 2
    body = thief.creation(OTHER).serialize()
    assert (await thief.send("PUT", "/account", body)).error == "exists"
    vaults.clock.offset_ms = hours * HOUR_MS
    await thief.create(OTHER)
    assert await thief.note() is None
    assert (await ann.signed("GET", "/account")).error == "refused"
    assert not await ann.unlock(PASSWORD)


async def test_a_reset_expires_and_can_be_cancelled(vaults: RunningVault, ann: VaultPeer) -> None:
    thief = await vaults.peer()
    await thief.request_reset()
    await ann.cancel_reset()
    assert not (await ann.state()).is_to_be_reset
    vaults.clock.offset_ms = 8 * DAY_MS
    body = thief.creation(OTHER).serialize()
    assert (await thief.send("PUT", "/account", body)).error == "exists"
    await thief.request_reset()
    vaults.clock.offset_ms += 31 * DAY_MS
    assert (await thief.send("PUT", "/account", body)).error == "exists"
    assert not (await ann.state()).is_to_be_reset


async def test_a_recorded_cancellation_does_not_cancel_a_later_reset(ann: VaultPeer) -> None:
    await ann.request_reset()
    body = Revision(ann.revision).serialize()
    recorded = ann.signature("DELETE", "/reset", body)
    await ann.cancel_reset()
    await ann.request_reset()
    assert (await ann.send("DELETE", "/reset", body, recorded)).error == "conflict"
    assert (await ann.state()).is_to_be_reset


async def test_5_passwords_in_a_row_are_mailed_once(vaults: RunningVault, ann: VaultPeer) -> None:
    vaults.clock.stopped_at_ms = vaults.clock()
    bob = await vaults.peer("bob@example.org")  # has no account
    for peer in (ann, bob):
        del vaults.notices[:]
        for tries in range(1, 9):
            await peer.begin("wrong")
            assert len(vaults.notices) == (tries >= 5)
        assert [(n, notice.event) for n, notice in vaults.notices] == [(peer.username, "guessed")]
    # The wait ends, and the next row begins after a right password.
    vaults.clock.stopped_at_ms += 30_000
    await ann.begin("wrong")
    vaults.clock.stopped_at_ms += 60_000
    assert await ann.unlock(PASSWORD)
    assert len(vaults.notices) == 1
    for _ in range(5):
        await ann.begin("wrong")
    assert [notice.event for _, notice in vaults.notices] == ["guessed"] * 2


async def test_without_an_account_there_is_no_reset(vaults: RunningVault) -> None:
    peer = await vaults.peer()
    assert (await peer.send("POST", "/reset")).error == "refused"
    assert vaults.notices == []


async def test_a_deletion_deletes_everything_and_is_mailed(
    vaults: RunningVault, ann: VaultPeer
) -> None:
    assert (await ann.write_note("gone")).status == 204
    stale = Revision(bytes(32)).serialize()
    assert (await ann.signed("DELETE", "/account", stale)).error == "conflict"
    assert (await ann.delete()).status == 204
    assert [notice.event for _, notice in vaults.notices] == ["created", "deleted"]
    assert not await ann.unlock(PASSWORD)
    await ann.create(OTHER)
    assert await ann.note() is None
