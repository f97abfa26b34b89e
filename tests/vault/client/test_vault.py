"""The Python client against a real vault: one user's story, and servers that lie."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from vaults import RunningVault

from certless import Client
from certless.client import Refused
from vault.client import (
    Malformed,
    Memory,
    Tampered,
    Vault,
    VaultError,
    VaultLocked,
    VaultRefused,
    WeakKdf,
    WrongSecret,
)
from vault.core.exchanges import Parameters, Revision, Run, StoredNote
from vault.core.messages import AccountState, Opened
from vault.server.store.database import Database

PASSWORD, OTHER = "correct horse battery", "staple"
HOUR_MS = 3_600_000


class Paper:
    """Where Ann writes her recovery codes. She types back ``typed``, or what she wrote."""

    def __init__(self, typed: str | None = None) -> None:
        self.codes: list[str] = []
        self._typed = typed

    async def __call__(self, code: str) -> str:
        self.codes.append(code)
        return self._typed or code.lower().replace("-", " ")


class Sessions:
    """Sessions of users at one gateway, at most two of each, because codes are limited."""

    def __init__(self, vaults: RunningVault) -> None:
        self._vaults = vaults
        self._clients: dict[str, list[Client]] = {}

    async def vault(self, username: str = "ann@example.org", **options: Any) -> Vault:
        """A locked vault, in a session of another machine than the one before."""
        clients = self._clients.setdefault(username, [])
        if len(clients) == 2:
            clients.append(clients.pop(0))
            return Vault(clients[-1], **options)
        gateway = self._vaults.gateway
        client = Client(gateway.url, clock=gateway.clock)
        await self._vaults.stack.enter_async_context(client)
        await client.login(username, code=gateway.mails.code)
        clients.append(client)
        return Vault(client, **options)


@pytest.fixture
def sessions(vaults: RunningVault) -> Sessions:
    return Sessions(vaults)


async def test_the_story_of_one_user(sessions: Sessions) -> None:
    paper = Paper()
    first = await sessions.vault()
    with pytest.raises(VaultLocked):
        await first.note()
    await first.create(PASSWORD, paper)
    assert await first.note() is None
    await first.save_note("remember the milk")
    await first.save_note("and the bread")

    second = await sessions.vault()
    with pytest.raises(WrongSecret):
        await second.unlock(OTHER)
    await second.unlock(PASSWORD)
    assert await second.note() == "and the bread"

    third = await sessions.vault()
    await third.recover(paper.codes[0])
    await third.change_password(OTHER)
    await third.save_note("\u00e5 " * 20_000)

    fourth = await sessions.vault()
    with pytest.raises(WrongSecret):
        await fourth.unlock(PASSWORD)
    await fourth.unlock(OTHER)
    assert await fourth.note() == "\u00e5 " * 20_000


async def test_a_code_that_is_typed_back_wrong_creates_nothing(sessions: Sessions) -> None:
    paper = Paper()
    vault = await sessions.vault()
    await vault.create(PASSWORD, paper)
    other = await sessions.vault("bob@example.org")
    for typed in (paper.codes[0], paper.codes[0][:-1], "nothing"):
        with pytest.raises(VaultError):
            await other.create(PASSWORD, Paper(typed))
    await other.create(PASSWORD, Paper())


async def test_a_new_recovery_code_ends_the_old_one(sessions: Sessions) -> None:
    paper = Paper()
    vault = await sessions.vault()
    await vault.create(PASSWORD, paper)
    await vault.new_recovery_code(paper)
    with pytest.raises(VaultRefused):
        await vault.recover(paper.codes[0])
    await vault.recover(paper.codes[1])


async def test_a_temporary_key_works_once_and_for_its_time(
    vaults: RunningVault, sessions: Sessions
) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    await vault.save_note("tea")
    other = await sessions.vault()
    code = await vault.temporary_key()
    await other.unlock_temporarily(code)
    assert await other.note() == "tea"
    with pytest.raises(VaultRefused):
        await other.unlock_temporarily(code)
    late = await vault.temporary_key(lifetime_s=60)
    vaults.clock.offset_ms += 61_000
    with pytest.raises(VaultRefused):
        await other.unlock_temporarily(late)


async def test_devices_unlock_until_they_are_signed_out(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    adding = await sessions.vault()
    await adding.unlock(PASSWORD)
    device_id, secret = await adding.add_device("laptop", "command line", can_unlock=True)
    record_only, nothing = await adding.add_device("phone", "page")
    assert nothing is None
    assert secret is not None
    await vault.unlock(PASSWORD)
    listed = {device.name: device for device in await vault.devices()}
    assert (listed["laptop"].opens, listed["phone"].opens) == (True, False)
    assert listed["phone"].id == record_only

    laptop = await sessions.vault()
    await laptop.unlock_device(device_id, secret)
    await vault.sign_out(device_id)
    assert [device.name for device in await vault.devices()] == ["phone"]
    # The session that added the device has ended.
    with pytest.raises(Refused, match="rejected"):
        await adding.devices()
    with pytest.raises(VaultRefused):
        await laptop.unlock_device(device_id, secret)
    with pytest.raises(VaultRefused):
        await vault.unlock_device(device_id, secrets.token_bytes(32))


async def test_a_rekey_shuts_out_who_had_the_old_key(sessions: Sessions) -> None:
    paper = Paper()
    vault, stolen = await sessions.vault(), await sessions.vault()
    await vault.create(PASSWORD, paper)
    device_id, secret = await vault.add_device("laptop", "command line", can_unlock=True)
    assert secret is not None
    await stolen.unlock(PASSWORD)
    await vault.save_note("tea")
    await vault.rekey(OTHER, paper)
    assert await vault.note() == "tea"
    assert await vault.devices() == []
    await vault.save_note("coffee")

    with pytest.raises(VaultRefused):
        await stolen.note()
    with pytest.raises(VaultRefused):
        await stolen.devices()
    with pytest.raises(VaultRefused):
        await stolen.save_note("mine")
    with pytest.raises(WrongSecret):
        await stolen.unlock(PASSWORD)
    with pytest.raises(VaultRefused):
        await stolen.recover(paper.codes[0])
    with pytest.raises(VaultRefused):
        await stolen.unlock_device(device_id, secret)
    await stolen.recover(paper.codes[1])
    assert await stolen.note() == "coffee"


async def test_a_rekey_ends_the_temporary_key(sessions: Sessions) -> None:
    vault, other = await sessions.vault(), await sessions.vault()
    await vault.create(PASSWORD, Paper())
    code = await vault.temporary_key()
    assert (await vault.account()).has_temporary
    await vault.rekey(OTHER, Paper())
    assert not (await vault.account()).has_temporary
    with pytest.raises(VaultRefused) as refused:
        await other.unlock_temporarily(code)
    assert refused.value.code == "refused"


async def test_of_two_notes_at_once_one_is_kept(sessions: Sessions) -> None:
    one, two = await sessions.vault(), await sessions.vault()
    await one.create(PASSWORD, Paper())
    await two.unlock(PASSWORD)
    done = await asyncio.gather(one.save_note("one"), two.save_note("two"), return_exceptions=True)
    refused = [error for error in done if error is not None]
    assert all(isinstance(e, VaultRefused) and e.code == "conflict" for e in refused)
    assert len(refused) <= 1
    assert await one.note() in ("one", "two")


async def test_a_note_does_not_replace_one_that_its_writer_has_not_read(
    sessions: Sessions,
) -> None:
    one, two = await sessions.vault(), await sessions.vault()
    await one.create(PASSWORD, Paper())
    await two.unlock(PASSWORD)
    assert await two.note() is None
    await one.save_note("tea")
    with pytest.raises(VaultRefused) as error:
        await two.save_note("milk")
    assert error.value.code == "conflict"
    await two.export_note("for the drawer")
    with pytest.raises(VaultRefused):
        await two.save_note("milk")
    assert await two.note() == "tea"
    await two.save_note("milk")
    await two.save_note("bread")
    # After a lock, the vault knows no note.
    one.lock()
    await one.unlock(PASSWORD)
    await one.save_note("tea")
    assert await one.note() == "tea"


async def test_a_rekey_keeps_what_is_known_of_the_note(sessions: Sessions) -> None:
    one, two = await sessions.vault(), await sessions.vault()
    await one.create(PASSWORD, Paper())
    await one.save_note("tea")
    await one.rekey(PASSWORD, Paper())
    await one.save_note("milk")
    await two.unlock(PASSWORD)
    await two.save_note("bread")
    await one.rekey(PASSWORD, Paper())
    with pytest.raises(VaultRefused):
        await one.save_note("coffee")
    assert await one.note() == "bread"


async def test_changes_of_two_devices_do_not_mix(sessions: Sessions) -> None:
    one, two = await sessions.vault(), await sessions.vault()
    await one.create(PASSWORD, Paper())
    await two.unlock(PASSWORD)
    await one.add_device("laptop", "x")
    await two.change_password(OTHER)
    await one.add_device("phone", "x")
    assert {device.name for device in await two.devices()} == {"laptop", "phone"}


async def test_the_vault_locks_itself(sessions: Sessions) -> None:
    locked = asyncio.Event()
    vault = await sessions.vault(lock_s=0.2, on_lock=locked.set)
    await vault.create(PASSWORD, Paper())
    async with asyncio.timeout(10):
        await locked.wait()
    with pytest.raises(VaultLocked):
        await vault.save_note("late")


async def test_a_lock_ends_an_unlock_that_is_under_way(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())

    def locking(answer: bytes) -> bytes:
        vault.lock()
        return answer

    for path in ("/parameters", "/unlock/password", "/unlock/confirm"):
        send = vault._api._send
        lying(vault, path, locking)
        with pytest.raises(VaultLocked):
            await vault.unlock(PASSWORD)
        assert not vault.is_open
        vault._api._send = send  # type: ignore[method-assign]
    await vault.unlock(PASSWORD)
    assert vault.is_open


async def test_an_export_is_opened_by_its_passphrase_alone(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    await vault.save_note("tea")
    data = await vault.export_note("for the drawer")
    await vault.save_note("coffee")
    with pytest.raises(WrongSecret):
        await vault.import_note(data, "wrong")
    with pytest.raises(Malformed):
        await vault.import_note(data[:20], "for the drawer")
    assert await vault.note() == "coffee"
    await vault.import_note(data, "for the drawer")
    assert await vault.note() == "tea"


async def test_a_reset_opens_an_empty_vault_after_its_wait(
    vaults: RunningVault, sessions: Sessions
) -> None:
    old = await sessions.vault()
    await old.create(PASSWORD, Paper())
    await old.save_note("tea")
    lost = await sessions.vault()
    hours = await lost.reset()
    with pytest.raises(VaultRefused) as early:
        await lost.create(OTHER, Paper())
    assert early.value.code == "exists"
    vaults.clock.offset_ms += hours * HOUR_MS
    fresh = await sessions.vault()
    await fresh.create(OTHER, Paper())
    assert await fresh.note() is None
    with pytest.raises(VaultRefused):
        await old.note()


async def test_a_reset_is_cancelled_by_who_has_the_key(
    vaults: RunningVault, sessions: Sessions
) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    hours = await vault.reset()
    assert (await vault.account()).is_to_be_reset
    await vault.cancel_reset()
    vaults.clock.offset_ms += hours * HOUR_MS
    with pytest.raises(VaultRefused):
        await (await sessions.vault()).create(OTHER, Paper())


async def test_deletion_leaves_nothing_that_opens(sessions: Sessions) -> None:
    paper = Paper()
    vault = await sessions.vault()
    await vault.create(PASSWORD, paper)
    await vault.delete()
    assert not vault.is_open
    with pytest.raises(WrongSecret):
        await vault.unlock(PASSWORD)
    with pytest.raises(VaultRefused):
        await vault.recover(paper.codes[0])
    await vault.create(OTHER, Paper())


# --- a server that lies ---


def lying(vault: Vault, path: str, change: Callable[[bytes], bytes]) -> None:
    """The answers to requests for ``path`` are changed, as a malicious server would."""
    send: Callable[..., Awaitable[bytes]] = vault._api._send

    async def changed(method: str, asked: str, headers: dict[str, str], body: bytes) -> bytes:
        answer = await send(method, asked, headers, body)
        return change(answer) if asked == path else answer

    vault._api._send = changed  # type: ignore[assignment, method-assign]


def recorded(into: list[bytes]) -> Callable[[bytes], bytes]:
    """Keeps each answer, and does not change it."""

    def keep(data: bytes) -> bytes:
        into.append(data)
        return data

    return keep


def flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


async def test_a_weaker_kdf_than_before_is_refused_before_a_guess(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())

    def weaker(data: bytes) -> bytes:
        found = Parameters.parse(data)
        return Parameters(found.username, found.realm, 2, found.salt).serialize()

    sent: list[bytes] = []
    lying(vault, "/parameters", weaker)
    lying(vault, "/unlock/password", recorded(sent))
    with pytest.raises(WeakKdf):
        await vault.unlock(PASSWORD)
    assert sent == []
    # A client that remembers nothing finds out by SPAKE2+, and sends no confirmation.
    fresh = await sessions.vault()
    lying(fresh, "/parameters", weaker)
    with pytest.raises(WrongSecret):
        await fresh.unlock(PASSWORD)


@pytest.mark.parametrize("name", ["username", "realm", "salt"])
async def test_changed_parameters_open_nothing(sessions: Sessions, name: str) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())

    def change(data: bytes) -> bytes:
        found = Parameters.parse(data)
        match name:
            case "username":
                changed = replace(found, username="mallory@example.org")
            case "realm":
                changed = replace(found, realm="mallory")
            case _:
                changed = replace(found, salt=bytes(16))
        return changed.serialize()

    lying(vault, "/parameters", change)
    with pytest.raises((WrongSecret, Tampered)):
        await vault.unlock(PASSWORD)


async def test_a_server_without_the_verifier_gets_no_proof(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    asked: list[bytes] = []

    def forged(data: bytes) -> bytes:
        run = Run.parse(data)
        return Run(run.run, run.share, flipped(run.confirm)).serialize()

    lying(vault, "/unlock/password", forged)
    lying(vault, "/unlock/confirm", recorded(asked))
    with pytest.raises(WrongSecret):
        await vault.unlock(PASSWORD)
    assert asked == []


async def test_another_head_or_wrap_is_noticed(sessions: Sessions) -> None:
    paper = Paper()
    vault = await sessions.vault()
    await vault.create(PASSWORD, paper)
    other = await sessions.vault("bob@example.org")
    await other.create(PASSWORD, Paper())
    foreign = (await other.account()).head

    def other_head(data: bytes) -> bytes:
        opened = Opened.parse(data)
        return Opened(opened.wrap, foreign, opened.revision).serialize()

    def other_wrap(data: bytes) -> bytes:
        opened = Opened.parse(data)
        return Opened(flipped(opened.wrap), opened.head, opened.revision).serialize()

    for change, expected in ((other_head, Tampered), (other_wrap, WrongSecret)):
        fresh = await sessions.vault()
        lying(fresh, "/unlock/recovery", change)
        with pytest.raises(expected):
            await fresh.recover(paper.codes[0])
        assert not fresh.is_open

    def other_state(data: bytes) -> bytes:
        state = AccountState.parse(data)
        rest = (state.devices, state.has_temporary, state.is_to_be_reset)
        return AccountState(foreign, state.revision, state.kdf, *rest).serialize()

    lying(vault, "/account", other_state)
    with pytest.raises(Tampered):
        await vault.devices()


async def test_a_changed_old_or_lost_note_is_noticed(sessions: Sessions) -> None:
    memory = Memory()
    vault = await sessions.vault(memory=memory)
    await vault.create(PASSWORD, Paper())
    await vault.save_note("old")
    kept: list[bytes] = []
    lying(vault, "/note", recorded(kept))
    await vault.note()
    await vault.save_note("new")
    old = kept[0]

    def with_note(note: bytes | None) -> Callable[[bytes], bytes]:
        return lambda data: StoredNote(note).serialize() if data else data

    sealed = StoredNote.parse(old).note
    assert sealed is not None
    for note in (sealed, flipped(sealed), None):
        again = await sessions.vault(memory=Memory(memory.sequence, memory.kdf))
        await again.unlock(PASSWORD)
        lying(again, "/note", with_note(note))
        with pytest.raises(Tampered):
            await again.note()
    # A client that remembers nothing cannot see that an old note is old (VAULT §17).
    forgetful = await sessions.vault()
    await forgetful.unlock(PASSWORD)
    lying(forgetful, "/note", with_note(sealed))
    assert await forgetful.note() == "old"


async def test_a_key_that_a_rekey_has_replaced_is_noticed(
    sessions: Sessions, vault_url: str
) -> None:
    memory = Memory()
    vault = await sessions.vault(memory=memory)
    await vault.create(PASSWORD, Paper())
    head = (await vault.account()).head
    owner = vault._owner
    assert owner is not None
    database = Database(vault_url)
    async with database.transaction() as at:
        old = await at.account(owner.account)
    await vault.rekey(PASSWORD, Paper())
    assert memory.heads[0] == head.hex()
    assert old is not None
    # The server brings the old rows back. A thief of the old key could read the next note.
    async with database.transaction() as at:
        await at.save_account(old)
    await database.close()
    again = await sessions.vault(memory=memory)
    with pytest.raises(Tampered):
        await again.unlock(PASSWORD)
    assert not again.is_open
    # A client that remembers nothing cannot see it (VAULT §17).
    await (await sessions.vault()).unlock(PASSWORD)


async def test_another_change_than_the_one_that_was_sent_is_noticed(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    lying(vault, "/devices", lambda data: Revision(bytes(32)).serialize() if data else data)
    with pytest.raises(Tampered):
        await vault.add_device("laptop", "x")
    fresh = await sessions.vault()
    await fresh.unlock(PASSWORD)
    lying(fresh, "/change", flipped)
    with pytest.raises(Tampered):
        await fresh.change_password(OTHER)
    last = await sessions.vault()
    await last.unlock(PASSWORD)


async def test_answers_that_are_none_are_malformed(sessions: Sessions) -> None:
    vault = await sessions.vault()
    await vault.create(PASSWORD, Paper())
    lying(vault, "/account", lambda _: b"\xc1")
    with pytest.raises(Malformed):
        await vault.devices()


async def test_no_error_and_no_text_shows_a_secret(sessions: Sessions) -> None:
    paper = Paper()
    vault = await sessions.vault()
    await vault.create(PASSWORD, paper)
    key = vault._key
    assert key is not None
    assert key.n.hex() not in repr((vault, key, vault.memory))
    with pytest.raises(WrongSecret) as wrong:
        await vault.unlock(OTHER)
    assert OTHER not in str(wrong.value)
    with pytest.raises(Malformed) as short:
        await vault.recover(paper.codes[0][:-1])
    assert paper.codes[0][:-1] not in str(short.value)
