"""Each peer as a process on a port of its own.

Each function takes a folder for the data of the peer, which need not exist.
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from mailboxes import a_free_port
from processes import ROOT, program, until_listening

SUPPORT = ROOT / "tests" / "support"
PASSWORD = "a long password"
_QUIET = asyncio.subprocess.DEVNULL

# Where Debian's package has the code of DokuWiki.
_DOKUWIKI = Path("/usr/share/dokuwiki")
_DOKUWIKI_FOLDERS = (
    *("attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta"),
    *("meta", "pages", "tmp"),
)
# PASSWORD, by PHP's password_hash.
_HASH = "$2y$08$h.zwBnD4QBv5nclchTi69uJLsJRIIyqm6Wq.jjTndyO21.4JVKU4e"


@asynccontextmanager
async def _listening(
    port: int, *command: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """The address of ``command``, which listens on ``port``."""
    own = {**os.environ, **(environment or {})}
    async with program(*command, env=own, stdout=_QUIET, stderr=_QUIET) as process:
        await until_listening(port, process)
        yield f"http://127.0.0.1:{port}"


def _make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def _wiki_data(folder: Path) -> Path:
    """Settings, a user and empty folders; the PHP file that leads DokuWiki to them."""
    for name in _DOKUWIKI_FOLDERS:
        (folder / "data" / name).mkdir(parents=True)
    settings = folder / "conf"
    settings.mkdir()
    (settings / "local.php").write_text(
        "<?php $conf['title'] = 'The tea wiki'; $conf['useacl'] = 1;\n"
        f"$conf['superuser'] = '@admin'; $conf['savedir'] = '{folder}/data';\n"
    )
    (settings / "acl.auth.php").write_text("*  @ALL  1\n*  @user  8\n")
    (settings / "users.auth.php").write_text(f"ann:{_HASH}:Ann:ann@example.org:user\n")
    # DokuWiki looks for its settings where this constant says.
    before = folder / "before.php"
    before.write_text(f"<?php define('DOKU_CONF', '{settings}/');\n")
    return before


def _tea_table(folder: Path) -> Path:
    """The path of a database."""
    folder.mkdir(exist_ok=True)
    path = folder / "shop.db"
    with sqlite3.connect(path) as database:
        database.executescript(
            "create table tea (id integer primary key, name text, country text);"
            'create virtual table tea_fts using fts5(name, content="tea", content_rowid="id");'
        )
        rows = [(n, f"tea number {n}", "India" if n % 3 else "China") for n in range(1, 301)]
        database.executemany("insert into tea values (?, ?, ?)", rows)
        database.execute("insert into tea_fts (rowid, name) select id, name from tea")
    database.close()
    return path


@asynccontextmanager
async def php(folder: Path) -> AsyncIterator[str]:
    """``php_site.php``: a login with ``$_SESSION``, and an upload."""
    _make(folder)
    port = a_free_port()
    command = ("php", "-d", f"session.save_path={folder}", "-S", f"127.0.0.1:{port}")
    async with _listening(port, *command, str(SUPPORT / "php_site.php")) as url:
        yield url


@asynccontextmanager
async def django(folder: Path) -> AsyncIterator[str]:
    """The admin, with the user ``root``."""
    port = a_free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(SUPPORT),
        "DJANGO_SETTINGS_MODULE": "django_shop.settings",
        "DJANGO_SHOP": str(folder),
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    _make(folder)
    admin = (sys.executable, "-m", "django")
    for words in (
        ("migrate", "--run-syncdb", "-v", "0"),
        ("createsuperuser", "--noinput", "--username", "root", "--email", "r@example.org"),
    ):
        async with program(*admin, *words, env=environment, stdout=_QUIET) as process:
            assert await process.wait() == 0
    serve = ("runserver", "--noreload", f"127.0.0.1:{port}")
    async with _listening(port, *admin, *serve, environment=environment) as url:
        yield url


@asynccontextmanager
async def dokuwiki(folder: Path) -> AsyncIterator[str]:
    """A wiki that everybody can read, with the user ``ann``."""
    before = _wiki_data(folder)
    port = a_free_port()
    command = ("php", "-d", f"auto_prepend_file={before}", "-d", f"session.save_path={folder}")
    serve = ("-S", f"127.0.0.1:{port}", "-t", str(_DOKUWIKI))
    # A page loads style, scripts and pictures at once.
    workers = {"PHP_CLI_SERVER_WORKERS": "4"}
    async with _listening(port, *command, *serve, environment=workers) as url:
        yield url


@asynccontextmanager
async def datasette(folder: Path) -> AsyncIterator[str]:
    """A table ``tea`` with 300 rows, two countries and full-text search."""
    path = _tea_table(folder)
    port = a_free_port()
    command = (sys.executable, "-m", "datasette", "serve", str(path), "-p", str(port))
    async with _listening(port, *command) as url:
        yield url


@asynccontextmanager
async def httpbin(_: Path) -> AsyncIterator[str]:
    """httpbin on Flask's server."""
    port = a_free_port()
    command = (sys.executable, "-m", "flask", "--app", "httpbin:app", "run", "-p", str(port))
    async with _listening(port, *command) as url:
        yield url


@asynccontextmanager
async def swagger(_: Path) -> AsyncIterator[str]:
    """FastAPI with Swagger UI at ``/docs``, a WebSocket and a clock."""
    port = a_free_port()
    where = ("--app-dir", str(SUPPORT), "peers.fastapi_shop:app", "--port", str(port))
    async with _listening(port, sys.executable, "-m", "uvicorn", *where) as url:
        yield url


@asynccontextmanager
async def aiohttp(_: Path) -> AsyncIterator[str]:
    """aiohttp with a WebSocket and a clock."""
    port = a_free_port()
    where = ("-H", "127.0.0.1", "-P", str(port), "peers.aiohttp_echo:application")
    own = {"PYTHONPATH": str(SUPPORT)}
    command = (sys.executable, "-m", "aiohttp.web", *where)
    async with _listening(port, *command, environment=own) as url:
        yield url


Peer: TypeAlias = Callable[[Path], AbstractAsyncContextManager[str]]

PEERS: Mapping[str, Peer] = {
    "aiohttp": aiohttp,
    "datasette": datasette,
    "django": django,
    "dokuwiki": dokuwiki,
    "httpbin": httpbin,
    "php": php,
    "swagger": swagger,
}
