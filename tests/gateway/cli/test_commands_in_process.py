"""``request`` and ``connect`` in the process of the tests, so that their lines are counted.

``test_cli`` and ``tests/connect/test_command`` run the same commands as programs.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from connected import ANN, Site, a_browser, a_site
from gateways import InProcess, running
from yarl import URL

from certless.client import ClientError
from certless.connect.command import run_command
from certless.connect.errors import CannotStart, NothingPassed
from gateway.cli import connect as connect_command
from gateway.cli.main import parser_of
from gateway.clock import system_clock
from gateway.errors import ConfigError

NAME = "ann@example.org"


async def command(*arguments: str) -> int:
    """Run a command in this event loop; its exit status."""
    options = parser_of(arguments[0]).parse_args(arguments)
    status: int = await options.run(options)
    return status


@dataclass
class Input:
    """Standard input, which the test writes."""

    descriptor: int

    def write(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def end(self) -> None:
        os.close(self.descriptor)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Input]:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as source:
        monkeypatch.setattr(sys, "stdin", source)
        given = Input(writing)
        yield given


def shop() -> web.Application:
    async def echo(request: web.Request) -> web.Response:
        seen: dict[str, Any] = {"method": request.method, "path": request.raw_path}
        seen |= {"headers": dict(request.headers), "body": (await request.read()).decode("latin-1")}
        return web.json_response(seen, status=int(request.query.get("status", 200)))

    async def moved(request: web.Request) -> web.Response:
        to = request.raw_path if request.path == "/loop" else request.query.get("to", "/echo")
        return web.Response(status=302, headers={"Location": to})

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/moved", moved)
    app.router.add_route("*", "/loop", moved)
    app.router.add_route("*", "/{path:.*}", echo)
    return app


@asynccontextmanager
async def a_shop() -> AsyncIterator[InProcess]:
    async with running(shop(), clock=system_clock, suites=["ecdh-gcm", "classic"]) as at:
        yield at


async def request(at: InProcess, typed: Input, *arguments: str) -> int:
    """``request`` with the code from the mail on its input; its exit status."""

    async def typing() -> None:
        typed.write(f"{await at.mails.code()}\n")

    async with asyncio.timeout(30):
        status, _ = await asyncio.gather(command("request", "--login", NAME, *arguments), typing())
    return status


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
async def test_a_request_logs_out(
    typed: Input, capsys: pytest.CaptureFixture[str], suite: str
) -> None:
    async with a_shop() as at:
        own = ["--dialect", at.dialect] if suite == "classic" else []
        more = ["--suite", suite, *own, "-H", "X-Own: yes"]
        assert await request(at, typed, *more, "GET", f"{at.url}/a%2Fb?x=1") == 0
        seen = shown(capsys)
        assert (seen["method"], seen["path"], seen["headers"]["X-Own"]) == (
            *("GET", "/a%2Fb?x=1", "yes"),
        )
        assert await at.assembly.store.count_sessions(system_clock()) == 0


@pytest.mark.parametrize(
    ("arguments", "kind", "body"),
    [
        (["-d", "a=1", "-d", "b=2"], "application/x-www-form-urlencoded", "a=1&b=2"),
        (["--json", '{"a":1}'], "application/json", '{"a":1}'),
        (["-d", "@FILE"], "application/x-www-form-urlencoded", "from a file"),
        (["-F", "name=@FILE"], "multipart/form-data", "from a file"),
        (["-T", "FILE"], "application/octet-stream", "from a file"),
    ],
)
async def test_bodies(
    typed: Input,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    kind: str,
    body: str,
) -> None:
    file = tmp_path / "file"
    file.write_text("from a file")
    given = [argument.replace("FILE", str(file)) for argument in arguments]
    async with a_shop() as at:
        assert await request(at, typed, *given, "PUT", f"{at.url}/echo") == 0
        seen = shown(capsys)
        assert seen["headers"]["Content-Type"].startswith(kind)
        assert body in seen["body"]


async def test_outputs(typed: Input, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async with a_shop() as at:
        file = tmp_path / "out"
        assert await request(at, typed, "-i", "GET", f"{at.url}/echo?status=404") == 1
        assert capsys.readouterr().out.startswith("404\n")
        assert await request(at, typed, "-o", str(file), "GET", f"{at.url}/echo") == 0
        assert json.loads(file.read_text())["method"] == "GET"


async def test_redirects(typed: Input, capsys: pytest.CaptureFixture[str]) -> None:
    async with a_shop() as at:
        assert await request(at, typed, "-L", "-d", "x", "POST", f"{at.url}/moved") == 0
        assert shown(capsys)["path"] == "/echo"
        elsewhere = f"{at.url}/moved?to=http://evil.example/"
        assert await request(at, typed, "-L", "GET", elsewhere) == 0
        assert "not followed, because it is another origin" in capsys.readouterr().err
        with pytest.raises(ClientError, match="more than"):
            await request(at, typed, "-L", "GET", f"{at.url}/loop")


async def test_tickets(typed: Input, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tickets = ["--tickets", str(tmp_path / "ticket")]
    async with a_shop() as at:
        with pytest.raises(ConfigError, match="with --login"):
            await command("request", *tickets, "GET", f"{at.url}/echo")
        assert await request(at, typed, *tickets, "GET", f"{at.url}/echo") == 0
        capsys.readouterr()
        assert await command("request", *tickets, "GET", f"{at.url}/again") == 0
        assert shown(capsys)["path"] == "/again"


async def test_a_mail_is_pasted_and_a_code_that_does_not_come(
    typed: Input, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_shop() as at:

        async def pasting() -> None:
            code = await at.mails.code()
            typed.write(f"Hello, this is your code for the shop:\nit follows now\n{code}\nbye\n")

        arguments = ("request", "--login", NAME, "GET", f"{at.url}/echo")
        async with asyncio.timeout(30):
            status, _ = await asyncio.gather(command(*arguments), pasting())
        assert status == 0
        typed.write("typo\n")
        typed.end()
        with pytest.raises(ClientError, match="no code was accepted"):
            await command(*arguments)
        assert "Paste the newest code" not in capsys.readouterr().out


async def test_mistakes(typed: Input) -> None:
    for arguments, text in (
        (["--login", NAME, "GET", "ftp://shop.example/"], "http"),
        (["--login", NAME, "-H", "no colon", "GET", "http://shop.example/"], "header"),
        (["GET", "http://shop.example/"], "--login"),
    ):
        with pytest.raises(ConfigError, match=text):
            await command("request", *arguments)


# --- connect ---


async def through(site: Site, *child: str) -> int:
    """The status of ``child``, run through ``connect``."""
    async with asyncio.timeout(60):
        urls, code = [URL(site.url)], site.mails.code
        return await run_command(child, urls, ANN, code, "ecdh-gcm", "certless", "/.gateway")


async def test_a_program_runs_through_connect(tmp_path: Path) -> None:
    async with a_site(public=["/style.css"]) as site:
        out = tmp_path / "out"
        assert await through(site, "curl", "-sS", "-o", str(out), f"{site.url}/orders") == 0
        assert out.read_text() == "{}"
        assert await site.assembly.store.count_sessions(system_clock()) == 0
        assert await through(site, "sh", "-c", "kill -9 $$") == 137
        with pytest.raises(NothingPassed, match="true sent nothing"):
            await through(site, "true")


async def test_a_program_that_is_not_there() -> None:
    async with a_site() as site:
        with pytest.raises(CannotStart, match=r"certless-none: No such file"):
            await through(site, "certless-none")
        assert await site.assembly.store.count_sessions(system_clock()) == 0


async def test_the_code_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read byte by byte from descriptor 0: the rest is for the program."""
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        async with a_site() as site:

            async def typing() -> None:
                os.write(writing, f"{await site.mails.code()}\nrest".encode())

            given = (site.url, "--login", ANN, "--code-stdin", "--", "curl", f"{site.url}/orders")
            async with asyncio.timeout(60):
                status, _ = await asyncio.gather(command("connect", *given), typing())
        assert status == 0
        assert os.read(0, 4) == b"rest"
        os.close(writing)
        with pytest.raises(ClientError, match="no code was given"):
            await connect_command._code(True)
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)


async def until_shown(capsys: pytest.CaptureFixture[str], lines: int) -> list[str]:
    """What the command has printed, once these are its lines."""
    out = ""
    async with asyncio.timeout(30):
        while out.count("\n") < lines:
            await asyncio.sleep(0.01)
            out += capsys.readouterr().out
    return out.splitlines()


@pytest.mark.parametrize("mode", ["mapped", "proxy"])
async def test_connect_serves_until_a_signal(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with a_site() as site:
        options = ["--port", "0"] if mode == "mapped" else ["--proxy", "127.0.0.1:0"]
        serving = asyncio.create_task(command("connect", site.url, *options))
        try:
            lines = await until_shown(capsys, 2 if mode == "mapped" else 3)
            assert lines[0].startswith("http://")
            if mode == "mapped":
                async with a_browser() as browser:
                    page = await browser.get(lines[0], headers={"Accept": "text/html"})
                    assert page.status == 200
            else:
                assert "best effort" in lines[2]
            # The command has its handler since it printed the lines.
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await serving == 0
        finally:
            serving.cancel()
