"""Which store a URL names, and whose keys seal it."""

import base64
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from processes import python

from gateway.build import assemble
from gateway.errors import ConfigError
from gateway.keys.keyring import VARIABLE
from gateway.stores.memory.store import MemoryStore
from gateway.stores.redis.store import RedisStore
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


async def test_without_redis_py_all_else_works() -> None:
    # As if it were not installed: what is not asked for is not loaded.
    program = (
        "import sys\n"
        "sys.modules['redis'] = None\n"
        "import gateway.cli\n"
        "from gateway.errors import ConfigError\n"
        "from gateway.stores.urls import store_from_url\n"
        "store_from_url('sqlite:a.db')\n"
        "try:\n"
        "    store_from_url('redis://h')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    async with python("-c", program, stdout=PIPE) as process:
        said, _ = await process.communicate()
    assert said == b"a store in Redis needs redis-py: pip install 'certless[redis]'\n"
