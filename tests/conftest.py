"""Fixtures that several folders share: frameworks, RSA pairs, servers of other programs, ports."""

import asyncio
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import coverage
import pytest
from frameworks import FRAMEWORKS
from key_pairs import handed_round
from mailboxes import a_free_port, self_signed
from postgresql_servers import PostgresqlProcess, postgresql
from redis_servers import RedisProcess

from protocol.common.primitives import RsaPrivateKey

if TYPE_CHECKING:
    from file_devices import Devices
    from vaults import RunningVault

    from gateway.demo import Places

_KNOWS_A_GATEWAY = re.compile(r"^ *(?:from|import) (?:\w*gateway|certless|vault)", re.MULTILINE)
_CORE_OF_THE_VAULT = Path(__file__).parent / "vault" / "core"

_CONTEXT = pytest.StashKey[str]()


@cache
def _context(file: Path) -> str:
    """The package that the tests of ``file`` cover by themselves, or "gateway"."""
    if file.is_relative_to(_CORE_OF_THE_VAULT):
        return "vault"
    return "gateway" if _KNOWS_A_GATEWAY.search(file.read_text("utf-8")) else "protocol"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Record what each test covers as "protocol", "vault" (that is vault/core) or "gateway".

    protocol/ and vault/core/ must be covered by their own tests: a line that a gateway only passes
    is untested.
    """
    running = coverage.Coverage.current()
    context = _context(item.path)
    if running is not None and item.config.stash.get(_CONTEXT, "") != context:
        running.switch_context(context)
        item.config.stash[_CONTEXT] = context
    return (yield)


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The framework of the applications in a test, which runs once for each framework."""
    monkeypatch.setattr("frameworks.current", request.param)
    chosen: str = request.param
    return chosen


@pytest.fixture(autouse=True)
def key_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reuse RSA pairs, because new ones take long. Tests of key generation override this."""
    monkeypatch.setattr(RsaPrivateKey, "generate", handed_round)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process trusts the certificate of the tests' mail servers."""
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(self_signed().pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    return self_signed().server_context(tmp_path)


@pytest.fixture
def free_port() -> int:
    return a_free_port()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail queue tries again without a pause."""
    from gateway.mail import queue

    monkeypatch.setattr(queue, "_FIRST_TRY_S", 0)
    monkeypatch.setattr(queue, "_RETRY_S", (0.001, 0.01))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def places() -> AsyncIterator["Places"]:
    """The demo, and where its parts are."""
    from gateway.demo import running
    from protocol.classic.dialects import DEFAULT_DIALECT

    async with running("127.0.0.1", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places:
        yield places


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """One server for all tests that neither stop nor reconfigure it."""
    server = RedisProcess(tmp_path_factory.mktemp("redis"), {})
    asyncio.run(server.start())
    yield server
    server.kill()


@pytest.fixture
def redis_url(redis_server: RedisProcess) -> str:
    """The URL of a new store on that server, for one test."""
    return f"{redis_server.url}?name={secrets.token_hex(8)}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlProcess]:
    """One PostgreSQL for all tests; each test begins with an empty database."""
    with postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def vault_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database of the vault. Each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'vault.db'}"
    server: PostgresqlProcess = request.getfixturevalue("postgresql_server")
    return server.emptied()


@pytest.fixture(scope="session")
def durable_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """One Redis for all tests that writes each change to its disk before it answers."""
    options = {"appendonly": "yes", "appendfsync": "always"}
    server = RedisProcess(tmp_path_factory.mktemp("durable-redis"), options)
    asyncio.run(server.start())
    yield server
    server.kill()


@pytest.fixture(params=["table", "redis"])
def vault_pool(request: pytest.FixtureRequest) -> str | None:
    """The option ``pool`` of a vault. Each test runs with a table and with an empty Redis."""
    if request.param == "table":
        return None
    server: RedisProcess = request.getfixturevalue("durable_redis")
    asyncio.run(server.tell("FLUSHALL"))
    return server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def tickets_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The URL of a new ticket store. Each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        # A folder that the tests delete, in place of the memory of the machine.
        monkeypatch.setattr("gateway.stores.tickets.history.MEMORY", tmp_path)
        return f"sqlite:{tmp_path / 'tickets.db'}"
    server: PostgresqlProcess = request.getfixturevalue("postgresql_server")
    return server.emptied()


@pytest.fixture
def vault_key(tmp_path: Path) -> Path:
    """The path of the key file of the vault's server."""
    return tmp_path / "vault.key"


@pytest.fixture
async def vaults(vault_url: str, vault_key: Path) -> AsyncIterator["RunningVault"]:
    """A running vault on such a database."""
    from vaults import running

    async with running(vault_url, vault_key) as at:
        yield at


@pytest.fixture
async def devices(
    vault_url: str, vault_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator["Devices"]:
    """Devices of one user with files, at a vault on such a database."""
    from file_devices import Lies, devices_of

    lies = Lies()
    lies.install(monkeypatch)
    async with devices_of(vault_url, vault_key, tmp_path, lies) as made:
        yield made
