"""The sessions of deleted devices end with them, or the devices stay (VAULT §10)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from vault_peer import VaultPeer
from vaults import RunningVault

from vault.core.exchanges import DeleteDevice
from vault.core.messages import CommitChange
from vault.server.buckets import Buckets
from vault.server.call import Call, Parts
from vault.server.changes import commit
from vault.server.devices import sign_out
from vault.server.errors import Unavailable
from vault.server.key_file import read_or_make
from vault.server.server_key import ServerKey
from vault.server.store.database import Database

PASSWORD, OTHER = "correct horse battery", "staple"


@dataclass
class Server:
    """Handlers whose gateway can fail to end sessions, and Ann with one device."""

    ann: VaultPeer
    database: Database
    parts: Parts
    device: bytes
    ended: list[str] = field(default_factory=list)

    def call(self, method: str, target: str, body: bytes) -> Call:
        signature = self.ann.signature(method, target, body)
        owner, exported = self.ann.owner, self.ann.exported
        return Call(owner, "another", exported, method, f"/vault{target}", body, signature)

    def signing_out(self) -> Call:
        body = DeleteDevice(self.ann.revision, self.device).serialize()
        return self.call("DELETE", "/devices", body)

    async def rekeying(self) -> Call:
        change, _, _ = self.ann.rekey(OTHER)
        digest = await self.ann.stage(change)
        body = CommitChange(self.ann.revision, digest).serialize()
        return self.call("POST", "/change/commit", body)


@pytest.fixture
async def server(vaults: RunningVault, vault_url: str, vault_key: Path) -> AsyncIterator[Server]:
    ann = await vaults.peer()
    await ann.create(PASSWORD)
    device, _ = await ann.put_device()
    database = Database(vault_url)

    async def mail(*_: Any) -> None:
        """No mail."""

    async def end(session: str, _: str) -> None:
        made.ended.append(session)
        if len(made.ended) == 1:
            raise RuntimeError("the store of the gateway does not answer")

    parts = Parts(
        database, ServerKey(read_or_make(vault_key)), vaults.clock, mail, end, Buckets(vaults.clock)
    )
    made = Server(ann, database, parts, device)
    yield made
    await database.close()


async def test_a_sign_out_that_ends_no_session_deletes_no_device(server: Server) -> None:
    before = await server.ann.state()
    with pytest.raises(Unavailable):
        await sign_out(server.parts, server.signing_out())
    assert await server.ann.state() == before
    await sign_out(server.parts, server.signing_out())
    assert (await server.ann.state()).devices == ()
    assert len(server.ended) == 2


async def test_a_rekey_that_ends_no_session_changes_nothing(server: Server) -> None:
    before = await server.ann.state()
    call = await server.rekeying()
    with pytest.raises(Unavailable):
        await commit(server.parts, call)
    assert await server.ann.state() == before
    # The same commit again: the stage is still there.
    await commit(server.parts, call)
    assert (await server.ann.signed("GET", "/account")).error == "refused"
    assert len(server.ended) == 2


async def test_a_device_whose_session_does_not_open_is_deleted(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    account = server.ann.account
    async with server.database.transaction() as at:
        device = await at.device(account, server.device)
        assert device is not None
        await at.put_device(account, replace(device, session=b"\x01" * 80))
    await sign_out(server.parts, server.signing_out())
    assert (await server.ann.state()).devices == ()
    assert server.ended == []
    assert "the session of a device goes on" in caplog.text
