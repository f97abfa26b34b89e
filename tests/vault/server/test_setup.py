"""The key file, the options of ``vault.setup``, and a mail system that fails."""

import base64
from pathlib import Path

import pytest
from aiohttp import web
from gateways import running as running_gateway
from vault_peer import VaultPeer
from vaults import REQUIRE

import vault
from certless import Client, ConfigError
from vault.server.key_file import read_or_make

on_sqlite = pytest.mark.parametrize("vault_url", ["sqlite"], indirect=True)


def test_a_key_file_is_made_once_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    key = read_or_make(path)
    assert len(key) == 32
    assert read_or_make(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no base64!", base64.b64encode(bytes(31))])
def test_a_broken_key_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vault.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="restore it from the backup"):
        read_or_make(path)
    assert path.read_bytes() == content


def test_a_key_file_that_others_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    read_or_make(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_or_make(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_or_make(tmp_path / "no" / "vault.key")


async def ignored(username: str, notice: vault.Notice) -> None:
    """No mail."""


def test_postgresql_needs_a_named_key_file() -> None:
    with pytest.raises(ConfigError, match="name its file with key_file"):
        vault.setup(web.Application(), database="postgresql://ann@/vault", notify=ignored)


@on_sqlite
async def test_no_reset_begins_without_its_mail(vault_url: str, vault_key: Path) -> None:
    async def broken(username: str, notice: vault.Notice) -> None:
        raise OSError("the mail server is down")

    app = web.Application()
    vault.setup(app, database=vault_url, key_file=vault_key, notify=broken)
    async with (
        running_gateway(app, require=REQUIRE) as at,
        Client(at.url, clock=at.clock) as client,
    ):
        await client.login("ann@example.org", code=at.mails.code)
        peer = VaultPeer(client)
        await peer.create("correct horse battery")
        reply = await peer.send("POST", "/reset")
        assert (reply.status, reply.error) == (503, "unavailable")
        assert not (await peer.state()).is_to_be_reset
        # A deletion does not wait for its mail.
        assert (await peer.delete()).status == 204
