"""docs/legacy.md: its three ways, each with an unchanged PHP site that has a cookie login."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import documents
from connected import ANN, Site, a_site, connect_to
from mailboxes import a_free_port
from peers.servers import PEERS
from processes import program, until_listening

from certless.client import Client

PAGE = documents.read("docs/legacy.md")
SITE = """<?php
session_start();
if ($_SERVER['REQUEST_METHOD'] === 'POST' && isset($_POST['name'])) {
  $_SESSION['name'] = $_POST['name'];
  header('Location: /', true, 303);
  exit;
}
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
  echo $_SERVER['HTTP_X_CERTLESS_USER'] ?? 'nobody', ': ', file_get_contents('php://input');
  exit;
}
echo isset($_SESSION['name']) ? 'Hello ' . $_SESSION['name'] : 'Who are you?';
"""


@asynccontextmanager
async def in_front_of_php(folder: Path) -> AsyncIterator[Site]:
    """The gateway of the page, in front of the site."""
    await asyncio.to_thread(folder.mkdir)
    (folder / "index.php").write_text(SITE)
    port, quiet = a_free_port(), asyncio.subprocess.DEVNULL
    command = ("php", "-S", f"127.0.0.1:{port}", "-t", str(folder))
    async with program(*command, stdout=quiet, stderr=quiet) as process:
        await until_listening(port, process)
        async with a_site(f"http://127.0.0.1:{port}", public=["/"]) as site:
            yield site


def test_the_table_lists_the_applications_that_the_tests_run() -> None:
    visits = documents.read("client_js/test/browser/peers.test.js")
    driven = re.findall(r"^  async (\w+)\(page, own", visits, re.MULTILINE)
    rows = documents.table(PAGE, "Applications that the tests run")
    assert [row[0].split()[0].lower() for row in rows] == driven
    assert set(driven) < set(PEERS)


async def test_connect_needs_no_change_of_the_site(tmp_path: Path) -> None:
    assert "python -m certless connect http://site.example" in PAGE
    async with (
        in_front_of_php(tmp_path / "site") as site,
        connect_to(site, tmp_path / "state") as at,
    ):
        assert await (await at.get("/")).text() == "Who are you?"
        logged_in = await at.post("/", {"name": "Ann"})
        assert (logged_in.status, logged_in.headers["Location"]) == (303, "/")
        assert await (await at.get("/")).text() == "Hello Ann"


async def test_a_script_seals_a_marked_form(tmp_path: Path) -> None:
    # The browser's part is tested in client_js/test/browser. This is what the page needs.
    assert '<script src="/.gateway/client.js" data-certless></script>' in PAGE
    async with in_front_of_php(tmp_path / "site") as site, aiohttp.ClientSession() as http:
        async with http.get(f"{site.url}/") as public:
            assert await public.text() == "Who are you?"
        async with http.get(f"{site.url}/.gateway/client.js") as script:
            assert script.content_type == "text/javascript"


async def test_a_program_uses_the_api(tmp_path: Path) -> None:
    async with in_front_of_php(tmp_path / "site") as site, Client(site.url) as client:
        await client.login(ANN, code=site.mails.code)
        told = await client.post("/", data=b"21.5", headers={"Content-Type": "text/plain"})
        assert await told.text() == f"{ANN}: 21.5"
