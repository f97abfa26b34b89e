"""``--name``: only names that lead to this machine, and to nothing else."""

import asyncio
from pathlib import Path

import pytest
from connected import a_browser, a_site, files_of
from processes import program
from test_command import certless
from yarl import URL

from certless.connect.errors import CannotStart
from certless.connect.mapped import mapped_mode
from certless.connect.names import checked_name

pytestmark = pytest.mark.timeout(90)


async def test_a_name_of_this_machine_is_accepted() -> None:
    assert await checked_name("LocalHost") == "localhost"


@pytest.mark.parametrize(
    "name", ["", "-a", "a_b", "shop.example:80", "http://a", "127.0.0.1", "::1", "a..b", "a b"]
)
async def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(CannotStart, match=r"must be a host name|not known"):
        await checked_name(name)


async def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"127\.0\.0\.1 nowhere\.invalid' to the hosts file"):
        await checked_name("nowhere.invalid")


@pytest.mark.parametrize(
    "addresses", [{"192.0.2.1"}, {"127.0.0.1", "192.0.2.1"}, {"::1", "fe80::1"}, {"10.0.0.1"}]
)
async def test_a_name_that_leads_away_is_refused(addresses: set[str]) -> None:
    async def find(_: str) -> set[str]:
        return addresses

    with pytest.raises(CannotStart, match="would send everything there"):
        await checked_name("shop.local", find)


async def test_the_site_is_under_the_name_and_the_rest_holds(tmp_path: Path) -> None:
    async with (
        a_site() as site,
        mapped_mode(
            URL(site.url), "ecdh-gcm", "certless", "/.gateway", 0, tmp_path, "localhost"
        ) as mapped,
        a_browser() as browser,
    ):
        port = URL(mapped.own).port
        assert mapped.own == f"http://localhost:{port}"
        local = f"http://shop.localhost:{port}"
        assert (await browser.get(local, headers={"Host": f"localhost:{port}"})).status == 403
        assert (await browser.get(local)).status == 421
        entered = await browser.get(
            mapped.door_url.replace("//localhost", "//shop.localhost"),
            headers={"Host": f"localhost:{port}"},
            allow_redirects=False,
        )
        assert entered.status == 303
        assert "label" not in {path.name for path in files_of(tmp_path)}


async def test_the_command_says_what_is_lost(tmp_path: Path) -> None:
    command, environment = certless(
        tmp_path, "http://shop.example", "--port", "0", "--name", "localhost"
    )
    pipe = asyncio.subprocess.PIPE
    async with program(*command, env=environment, stdout=pipe) as process, asyncio.timeout(60):
        assert process.stdout
        lines = [(await process.stdout.readline()).decode() for _ in range(3)]
        process.terminate()
        assert await process.wait() == 0
    assert lines[0].startswith("http://localhost:")
    assert lines[2].startswith("With --name, other users of this machine can guess the address")
    assert "they can use the site as you" in lines[2]
