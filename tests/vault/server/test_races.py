"""What happens between two transactions of one request to the vault."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from vault_peer import VaultPeer, password_secrets
from vaults import RunningVault

from vault.core.exchanges import BeginRun, ConfirmRun, Run
from vault.core.spake2plus import Transcript, prover_confirmations, prover_share
from vault.server.accounts import create, request_reset
from vault.server.buckets import Buckets
from vault.server.call import Call, Parts
from vault.server.errors import Conflict, Exists, Refused
from vault.server.key_file import read_or_make
from vault.server.server_key import ServerKey
from vault.server.store.database import Database
from vault.server.store.records import StoredAccount
from vault.server.store.transaction import Transaction
from vault.server.unlocking import begin, confirm

PASSWORD, OTHER = "correct horse battery", "staple"
X = 5


class Interrupted(Database):
    """A database on which ``meanwhile`` happens after the first transaction."""

    def __init__(self, url: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(url)
        self._meanwhile = [meanwhile]
        self._transactions = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self._transactions and self._meanwhile:
            await self._meanwhile.pop()()
        self._transactions += 1
        async with super().transaction() as transaction:
            yield transaction


class PausedTransaction(Transaction):
    """A transaction in which ``meanwhile`` happens after it has looked for the account."""

    meanwhile: Callable[[], Awaitable[object]]

    async def account(self, account: bytes) -> StoredAccount | None:
        found = await super().account(account)
        await self.meanwhile()
        return found


class Paused(Database):
    """A database with such transactions."""

    def __init__(self, url: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(url)
        self._meanwhile = meanwhile

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as transaction:
            paused = PausedTransaction(transaction._connection)
            paused.meanwhile = self._meanwhile
            yield paused


async def ignored(*_: Any) -> None:
    """No mail and no end of a session."""


async def new_password(ann: VaultPeer) -> None:
    await ann.commit(await ann.stage(ann.change(OTHER)[0]))


async def new_account(ann: VaultPeer) -> None:
    await ann.delete()
    await ann.create(OTHER)


async def another_device(ann: VaultPeer) -> None:
    await ann.put_device()


async def unlocked(
    url: str,
    key_file: Path,
    vaults: RunningVault,
    meanwhile: Callable[[VaultPeer], Awaitable[None]],
) -> bytes:
    """Unlock with the password while something else happens. Raises: Refused."""
    ann = await vaults.peer()
    await ann.create(PASSWORD)
    database = Interrupted(url, lambda: meanwhile(ann))
    parts = Parts(
        database,
        ServerKey(read_or_make(key_file)),
        vaults.clock,
        ignored,
        ignored,
        Buckets(vaults.clock),
    )
    parameters = await ann.parameters()
    secrets = password_secrets(PASSWORD, parameters.salt, parameters.kdf, ann.owner)
    share = prover_share(secrets.w0, X)

    def call(body: bytes) -> Call:
        return Call(ann.owner, "session", bytes(32), "POST", "/vault/unlock", body)

    try:
        run = Run.parse(await begin(parts, call(BeginRun(share).serialize())))
        transcript = Transcript.of(ann.owner, bytes(32), parameters.kdf, parameters.salt)
        right = prover_confirmations(transcript, secrets, X, share, run.share)
        assert right.verifier == run.confirm
        return await confirm(parts, call(ConfirmRun(run.run, right.prover).serialize()))
    finally:
        await database.close()


@pytest.mark.parametrize("meanwhile", [new_password, new_account])
async def test_an_old_password_does_not_release_the_wrap_of_a_new_one(
    vaults: RunningVault,
    vault_url: str,
    vault_key: Path,
    meanwhile: Callable[[VaultPeer], Awaitable[None]],
) -> None:
    with pytest.raises(Refused):
        await unlocked(vault_url, vault_key, vaults, meanwhile)


async def test_another_change_meanwhile_does_not_disturb(
    vaults: RunningVault, vault_url: str, vault_key: Path
) -> None:
    assert await unlocked(vault_url, vault_key, vaults, another_device)


# In SQLite, the second creation waits for the first one.
@pytest.mark.parametrize("vault_url", ["postgresql"], indirect=True)
async def test_a_creation_does_not_replace_an_account_that_was_created_meanwhile(
    vaults: RunningVault, vault_url: str, vault_key: Path
) -> None:
    ann, thief = await vaults.peer(), await vaults.peer()
    database = Paused(vault_url, lambda: ann.create(PASSWORD))
    parts = Parts(
        database,
        ServerKey(read_or_make(vault_key)),
        vaults.clock,
        ignored,
        ignored,
        Buckets(vaults.clock),
    )
    body = thief.creation(OTHER).serialize()
    late = Call(thief.owner, "session", thief.exported, "PUT", "/vault/account", body)
    try:
        with pytest.raises(Exists):
            await create(parts, late)
    finally:
        await database.close()
    assert await ann.unlock(PASSWORD)


async def test_a_slow_mail_starts_no_reset_of_an_account_that_has_changed(
    vaults: RunningVault, vault_url: str, vault_key: Path
) -> None:
    ann = await vaults.peer()
    await ann.create(PASSWORD)
    database = Database(vault_url)

    async def slow_mail(*_: Any) -> None:
        # Ann sees another reset, and cancels it.
        await ann.request_reset()
        await ann.cancel_reset()

    parts = Parts(
        database,
        ServerKey(read_or_make(vault_key)),
        vaults.clock,
        slow_mail,
        ignored,
        Buckets(vaults.clock),
    )
    asked = Call(ann.owner, "session", bytes(32), "POST", "/vault/reset", b"")
    try:
        with pytest.raises(Conflict):
            await request_reset(parts, asked)
    finally:
        await database.close()
    assert not (await ann.state()).is_to_be_reset
