"""The vault of the demo: its page, its mails, and the view of what the server sees."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import aiohttp
import pytest

from certless import Client
from gateway.demo import Places
from gateway.demo.server_sees import MAX_ROWS, WORDS, tables
from gateway.demo.vault_site import VaultSite, vault_site
from vault.client import Vault
from vault.server.store.tables import METADATA

ANN, PASSWORD, TEXT = "ann@example.org", "correct horse battery", "remember the milk"


@pytest.fixture
async def site(places: Places) -> AsyncIterator[VaultSite]:
    async with vault_site(places.smtp, places.mailbox, 0) as site:
        yield site


async def mails(http: aiohttp.ClientSession, places: Places, after: str) -> list[dict[str, str]]:
    """All mails, once there is one after the mail with this id."""
    async with http.get(f"{places.mailbox}/mails.json", params={"after": after}) as response:
        found: list[dict[str, str]] = await response.json()
    return found


async def test_every_column_has_its_two_sentences() -> None:
    columns = {name: [one.name for one in table.columns] for name, table in METADATA.tables.items()}
    assert {name: sorted(words[1]) for name, words in WORDS.items()} == {
        name: sorted(names) for name, names in columns.items()
    }
    for purpose, words in WORDS.values():
        assert purpose.endswith(".")
        assert all(text.endswith(".") for pair in words.values() for text in pair)


async def test_the_page_and_its_policy(
    places: Places, site: VaultSite, http: aiohttp.ClientSession
) -> None:
    async with http.get(site.url) as response:
        page, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert "<h1>Your vault</h1>" in page
    assert "What the server sees</h2>" in page
    port = places.mailbox.rpartition(":")[2]
    assert f'href="http://127.0.0.1:{port}/"' in page
    assert "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; " in policy
    assert "worker-src blob:" in policy
    assert "unsafe-inline" not in policy
    for name in ("look.css", "vaultPage.css", "vaultPage.js", "vaultPageFiles.js", "vaultPage.svg"):
        assert f'"{name}"' in page
        async with http.get(f"{site.url}/{name}") as file:
            assert file.status == 200
    async with http.get(f"{site.url}/vault/parameters") as refused:
        assert refused.status == 401
    async with http.get(site.url, headers={"Host": "evil.example"}) as foreign:
        assert foreign.status == 421


async def test_the_page_of_certificates(site: VaultSite, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{site.url}/issue") as response:
        page, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert "<h1>A certificate of your own</h1>" in page
    assert "script-src 'self'; " in policy
    assert "worker-src blob:" in policy
    for name in ("look.css", "issuingPage.css", "issuingPage.js", "issuingPage.svg"):
        assert f'"{name}"' in page
        async with http.get(f"{site.url}/{name}") as file:
            assert file.status == 200
    async with http.post(f"{site.url}/issuing/certificate") as refused:
        assert refused.status == 401


async def test_the_tables_show_rows_and_no_secret(
    places: Places, site: VaultSite, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{site.url}/tables.json") as response:
        empty = {table["name"]: table["rows"] for table in await response.json()}
    assert empty == {**dict.fromkeys(WORDS, 0), "vault_schema": 1, "vault_expiry": 1}
    async with Client(site.url) as client:

        async def code() -> str:
            return (await mails(http, places, ""))[0]["code"]

        async def typed(code: str) -> str:
            return code

        await client.login(ANN, code=code)
        vault = Vault(client)
        await vault.create(PASSWORD, typed)
        await vault.save_note(TEXT)
        device, _ = await vault.add_device("Ann's laptop", "laptop", can_unlock=True)
        await vault.temporary_key()
        async with http.get(f"{site.url}/tables.json") as response:
            text = await response.text()
        shown = {table["name"]: table for table in json.loads(text)}
        assert {
            name: table["rows"] for name, table in shown.items() if table["rows"]
        } == dict.fromkeys(
            (
                "vault_accounts",
                "vault_notes",
                "vault_devices",
                "vault_temporary_keys",
                "vault_expiry",
                "vault_schema",
            ),
            1,
        )
        values = {one["name"]: one["values"] for one in shown["vault_devices"]["columns"]}
        assert values["id"] == [f"{device[:10].hex()}… (16 bytes)"]
        values = {one["name"]: one["values"] for one in shown["vault_accounts"]["columns"]}
        assert values["kdf"] == ["1"]
        assert values["reset_hour"] == ["(empty)"]
        values = {one["name"]: one["values"] for one in shown["vault_temporary_keys"]["columns"]}
        assert values["until_ms"][0].endswith(" UTC")
        for secret in (ANN, PASSWORD, TEXT, "laptop"):
            assert secret not in text

        created = (await mails(http, places, ""))[0]
        assert (created["to"], created["subject"]) == (ANN, "A vault was created for you")
        hours = await vault.reset()
        reset = (await mails(http, places, created["id"]))[0]
        assert reset["subject"] == "A reset of your vault was requested"
        assert f"In {hours} hours" in reset["text"]
        await vault.delete()
        deleted = (await mails(http, places, reset["id"]))[0]
        assert deleted["subject"] == "Your vault was deleted"


async def test_a_long_table_is_cut(site: VaultSite) -> None:
    def fill() -> None:
        with closing(sqlite3.connect(site.database)) as connection, connection:
            connection.executemany(
                "INSERT INTO vault_attempts VALUES (?, 1, 0, 0)",
                [(bytes([number]),) for number in range(MAX_ROWS + 5)],
            )

    await asyncio.to_thread(fill)
    found = {table["name"]: table for table in await tables(site.database)}["vault_attempts"]
    assert found["rows"] == MAX_ROWS + 5
    assert len(found["columns"][0]["values"]) == MAX_ROWS
    assert found["columns"][2]["values"][0] == "0"
