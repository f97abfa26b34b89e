"""No password, code, account key or text is in the database, its journal or a log."""

import logging
from pathlib import Path

import pytest
from canaries import spellings
from postgresql_servers import PostgresqlProcess
from vault_peer import VaultPeer, password_secrets, salt_of
from vaults import RunningVault

from protocol.common.primitives import sha256
from vault.core.unlock_secrets import UnlockSecret, code_of

FIRST, SECOND, THIRD = "canary of a password", "canary of another one", "canary of a wrong one"
NOTE = "canary of a note"


def secrets_of(peer: VaultPeer, secrets: list[UnlockSecret], passwords: list[str]) -> list[bytes]:
    """Everything of this user that the server must not keep."""
    found = [password.encode() for password in passwords] + [NOTE.encode(), b"laptop"]
    for password in passwords:
        w0, big_l = password_secrets(password, salt_of(password), 2, peer.owner).verifier
        found += [w0, big_l, big_l[1:33]]
    for secret in secrets:
        found += [secret.secret, secret.kek]
        if secret.kind != "device":
            found.append(code_of(secret.kind, secret.secret).encode())
    return found


def files_of(vault_url: str, tmp_path: Path, server: PostgresqlProcess | None) -> list[Path]:
    """The database, its journal and its log."""
    folder = tmp_path if server is None else server.folder
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"]


async def test_no_secret_is_in_a_file_or_a_log(
    request: pytest.FixtureRequest,
    vaults: RunningVault,
    vault_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ann = await vaults.peer()
    await ann.create(FIRST)
    assert ann.recovery is not None
    keys = [ann.known_key()]
    assert (await ann.write_note(NOTE)).status == 204
    _, device = await ann.put_device()
    temporary = await ann.put_temporary()
    assert await ann.unlock(FIRST)
    assert not await ann.unlock(THIRD)
    assert await ann.unlock_by(temporary)
    sealed, note = await ann.sealed_note(), await ann.note()
    assert sealed is not None
    # Staged, and not committed: w0 and L wait in the database.
    change, code, key = ann.rekey(SECOND, note, sha256(sealed))
    await ann.stage(change)
    keys.append(key)

    server = None
    if vault_url.startswith("postgresql"):
        server = request.getfixturevalue("postgresql_server")
        server.checkpoint()
    contents = {path: path.read_bytes() for path in files_of(vault_url, tmp_path, server)}
    everything = [*contents.values(), caplog.text.encode()]
    hidden = secrets_of(ann, [ann.recovery, temporary, device, code], [FIRST, SECOND, THIRD])
    hidden += [one.n for one in keys] + [one.derived("note") for one in keys]
    for secret in hidden:
        for spelling in spellings(secret):
            assert not any(spelling in content for content in everything), secret
    # The search finds what the server keeps: the public head key, and the sealed note.
    assert len(contents) > 1
    for kept in (keys[0].head.public, sealed[:64]):
        assert any(kept in content for content in contents.values())
