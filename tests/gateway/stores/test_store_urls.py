"""Which store a URL names, and whose keys seal it."""

import base64
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from processes import python

from gateway.build import assemble
from gateway.errors import ConfigError, GatewayError
from gateway.keys.keyring import VARIABLE
from gateway.stores.memory.store import MemoryStore
from gateway.stores.redis.store import RedisStore
from gateway.stores.redis.ticketed import TicketedRedisStore
from gateway.stores.sqlite.store import SqliteStore
from gateway.stores.urls import default_key_file, store_from_url
from gateway.users.directory import AnyAddress


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory:", MemoryStore),
        ("sqlite:a.db", SqliteStore),
        ("redis://h", RedisStore),
        ("rediss+sentinel://h/tea", RedisStore),
    ],
)
def test_urls(url: str, kind: type) -> None:
    assert type(store_from_url(url)) is kind


@pytest.mark.parametrize(
    "url",
    ["", "memory", "memory:x", "sqlite:", "postgres://u:hush@h", "redis:", "redis+x://u:hush@h"],
)
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store_from_url(url)
    assert "redis" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tickets", ["sqlite:a.db", "postgresql://u@h/db"])
def test_a_ticket_store_goes_with_redis(tickets: str) -> None:
    assert type(store_from_url("redis://h", ticket_store=tickets)) is TicketedRedisStore
    for url in ("memory:", "sqlite:b.db"):
        with pytest.raises(ConfigError, match="goes with a store in Redis"):
            store_from_url(url, ticket_store=tickets)
    options: dict[str, Any] = {"users": AnyAddress(), "mail": "console:", "ticket_store": tickets}
    with pytest.raises(ConfigError, match="not with a Store"):
        assemble(**options, store=MemoryStore())


@pytest.mark.parametrize(
    "tickets", ["", "a.db", "sqlite:", "sqlite://a.db", "mysql://u:hush@h/db", "postgresql+x://h"]
)
def test_urls_that_name_no_ticket_store(tickets: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store_from_url("redis://h", ticket_store=tickets)
    assert str(caught.value).startswith("the ticket store must be sqlite:PATH or postgresql:")
    assert "hush" not in str(caught.value)


async def test_a_ticket_store_that_cannot_be_opened(tmp_path: Path, redis_url: str) -> None:
    for tickets, reason in (
        (f"sqlite:{tmp_path}/none/a.db", "No such file"),
        ("postgresql://u:hush@127.0.0.1:1/db", "in PostgreSQL at 127.0.0.1: it does not answer"),
    ):
        store = store_from_url(redis_url, ticket_store=tickets)
        with pytest.raises(GatewayError, match=reason) as caught:
            await store.open()
        assert "hush" not in str(caught.value)
    file = tmp_path / "open.db"
    file.touch(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
        await store_from_url(redis_url, ticket_store=f"sqlite:{file}").open()


async def test_a_machine_without_its_memory(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.tickets.history.MEMORY", tmp_path / "none")
    with pytest.raises(ConfigError, match="use postgresql"):
        await store_from_url(redis_url, ticket_store=f"sqlite:{tmp_path / 'a.db'}").open()


async def test_a_ticket_store_of_a_later_version(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.tickets.history.MEMORY", tmp_path)
    tickets = f"sqlite:{tmp_path / 'a.db'}"
    store = store_from_url(redis_url, ticket_store=tickets)
    await store.open()
    await store.close()
    monkeypatch.setattr("gateway.stores.tickets.store.VERSION", 0)
    with pytest.raises(ConfigError, match="a later version of Certless"):
        await store_from_url(redis_url, ticket_store=tickets).open()


def test_keys_lie_beside_a_file_alone() -> None:
    assert default_key_file("sqlite:folder/a.db") == Path("folder/a.db.key")
    assert default_key_file("memory:") is None
    assert default_key_file("redis://h") is None


def test_gateways_on_redis_need_keys_that_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    options: dict[str, Any] = {"users": AnyAddress(), "mail": "console:", "store": redis_url}
    with pytest.raises(ConfigError, match=rf"--key-file.*{VARIABLE}"):
        assemble(**options)
    assemble(**options, key_file=tmp_path / "key")
    monkeypatch.setenv(VARIABLE, base64.b64encode(bytes(32)).decode())
    assemble(**options)


@pytest.mark.parametrize(
    ("missing", "url", "error"),
    [
        ("redis", "'redis://h'", "a store in Redis needs redis-py: pip install 'certless[redis]'"),
        (
            "sqlalchemy",
            "'redis://h', ticket_store='sqlite:b.db'",
            "a ticket store needs more packages: pip install 'certless[tickets]'",
        ),
    ],
)
async def test_without_packages_all_else_works(missing: str, url: str, error: str) -> None:
    # As if it were not installed: what is not asked for is not loaded.
    program = (
        "import sys\n"
        f"sys.modules['{missing}'] = None\n"
        "import gateway.cli\n"
        "from gateway.errors import ConfigError\n"
        "from gateway.stores.urls import store_from_url\n"
        "store_from_url('sqlite:a.db')\n"
        "try:\n"
        f"    store_from_url({url})\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    async with python("-c", program, stdout=PIPE) as process:
        said, _ = await process.communicate()
    assert said.decode() == f"{error}\n"
