"""``certless connect``, the command: its arguments, and programs that run through it."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from connected import ANN, Site, a_browser, a_site, files_of
from peers import servers
from processes import ROOT, program

from gateway.cli.main import main
from gateway.clock import system_clock

pytestmark = pytest.mark.timeout(90)


def certless(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command line and environment; state is kept below ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)}
    return [sys.executable, "-m", "certless", "connect", *arguments], environment


async def through_connect(
    site: Site, folder: Path, child: Sequence[str], after: bytes = b""
) -> tuple[int | None, bytes, bytes]:
    """Status, output and errors of ``connect ... -- child``, with the code on its input."""
    command, environment = certless(folder, site.url, "--login", ANN, "--code-stdin", "--", *child)
    pipe = asyncio.subprocess.PIPE
    async with (
        program(*command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe) as process,
        asyncio.timeout(60),
    ):
        code = await site.mails.code()
        out, err = await process.communicate(code.encode() + b"\n" + after)
        return process.returncode, out, err


async def test_curl_runs_through_it(tmp_path: Path) -> None:
    async with a_site() as site:
        status, out, err = await through_connect(
            site, tmp_path, ["curl", "-sS", "-d", "@-", f"{site.url}/up"], b"a body from the input"
        )
        assert (status, err) == (0, b"")
        assert b'"got": 21' in out
        # The session is ended, and nothing is kept.
        assert await site.assembly.store.count_sessions(system_clock()) == 0
        assert files_of(tmp_path) == []


# Requests to httpbin. curl prints the body, or the figures of -w.
HTTPBIN = """
q() { curl -sS --max-time 20 "$@"; echo; }
f() { q -o /dev/null -w '%{http_code} %{content_type} %{num_redirects} %{size_download}' "$@"; }
cd "$2"
for path in redirect/3 absolute-redirect/3; do q -L "$1/$path" | grep '"url"'; done
f -L "$1/redirect-to?url=/html"
q -L -c jar -b jar "$1/cookies/set/tea/green"
q -L -c jar -b jar "$1/cookies/delete?tea"
for code in 201 204 304 401 404 418 429 503; do f "$1/status/$code"; done
for coding in gzip deflate brotli; do q --compressed "$1/$coding" | grep true; done
q -N "$1/drip?duration=0.2&numbytes=9&delay=0"
f "$1/stream-bytes/100000?seed=1"
q -u ann:tea "$1/basic-auth/ann/tea"
q --digest -u ann:tea "$1/digest-auth/auth/ann/tea"
f "$1/image/png"
for method in GET POST PUT PATCH DELETE; do
  q -X $method "$1/anything/a%2Fb?x=1" | grep -E '"(method|url)"'
done
f -I "$1/bytes/5000"
q -r 2-4 "$1/range/26"
q -T big "$1/put" | grep '"data"' | sha1sum
q -F file=@big -H 'Expect: 100-continue' "$1/post" | grep '"file"' | sha1sum
q -H 'If-None-Match: tea' -w '%{http_code}' "$1/etag/tea"
"""


async def test_curl_sees_the_same_as_without_it(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "big").write_bytes(os.urandom(1_000_000))
    child = ["sh", "-c", HTTPBIN, "sh"]
    async with servers.httpbin(tmp_path) as upstream, a_site(upstream) as site:
        files = str(tmp_path / "files")
        status, sealed, err = await through_connect(
            site, tmp_path / "state", [*child, site.url, files]
        )
        assert (status, err) == (0, b"")
        async with (
            program(*child, upstream, files, stdout=asyncio.subprocess.PIPE) as process,
            asyncio.timeout(60),
        ):
            plain, _ = await process.communicate()
    assert sealed.decode().replace(site.url, upstream).split("\n") == plain.decode().split("\n")
    assert plain.count(b"\n") > 50


async def test_the_code_is_asked_for_on_the_terminal(tmp_path: Path) -> None:
    async with a_site() as site:
        child = ["curl", "-sS", f"{site.url}/orders"]
        command, environment = certless(tmp_path, site.url, "--login", ANN, "--", *child)
        in_terminal = (
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
        )
        pipe = asyncio.subprocess.PIPE
        async with program(
            *(sys.executable, "-c", in_terminal, *command),
            env=environment,
            stdin=pipe,
            stdout=pipe,
            start_new_session=True,
        ) as process:
            assert process.stdin
            assert process.stdout
            async with asyncio.timeout(60):
                shown = await process.stdout.readuntil(b"Code: ")
                process.stdin.write((await site.mails.code()).encode() + b"\n")
                shown = await process.stdout.read()
                assert await process.wait() == 0
        assert shown.endswith(b"{}")


async def test_its_status_is_that_of_the_child(tmp_path: Path) -> None:
    async with a_site() as site:
        child = ["sh", "-c", f"curl -sS {site.url}/orders; exit 7"]
        assert (await through_connect(site, tmp_path, child))[0] == 7


async def test_a_child_that_is_killed_counts_as_in_shells(tmp_path: Path) -> None:
    async with a_site() as site:
        assert (await through_connect(site, tmp_path, ["sh", "-c", "kill -9 $$"]))[0] == 137


async def test_a_child_that_ignores_the_proxy_is_an_error(tmp_path: Path) -> None:
    async with a_site(public=["/orders"]) as site:
        child = ["curl", "-sS", "--noproxy", "*", f"{site.url}/orders"]
        status, out, err = await through_connect(site, tmp_path, child)
        assert out == b"{}"
        assert status == 1
        assert b"sent nothing through certless connect" in err


async def test_no_exception_of_the_environment_goes_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with a_site() as site:
        child = ["curl", "-sS", f"{site.url}/orders", "http://other.example/"]
        status, out, _ = await through_connect(site, tmp_path, child)
        assert status == 0
        assert b"and no others" in out


async def test_a_wrong_code_runs_nothing(tmp_path: Path) -> None:
    async with a_site() as site:
        command, environment = certless(
            tmp_path, site.url, "--login", ANN, "--code-stdin", "--", "touch", str(tmp_path / "x")
        )
        pipe = asyncio.subprocess.PIPE
        async with program(*command, env=environment, stdin=pipe, stderr=pipe) as process:
            async with asyncio.timeout(60):
                _, err = await process.communicate(b"AAAAAAAA\n")
        assert process.returncode == 1
        assert err.startswith(b"certless: ")
        assert files_of(tmp_path) == []


async def test_the_command_serves_until_a_signal(tmp_path: Path) -> None:
    async with a_site() as site:
        command, environment = certless(tmp_path, site.url, "--port", "0")
        pipe = asyncio.subprocess.PIPE
        async with program(*command, env=environment, stdout=pipe) as process:
            assert process.stdout
            async with asyncio.timeout(30), a_browser() as browser:
                url = (await process.stdout.readline()).decode().strip()
                # As after a click on a link: a redirect would lose the cookie.
                entered = await browser.get(url, headers={"Accept": "text/html"})
                assert 'content="0; url=http://' in await entered.text()
                start = await browser.get(entered.url.origin(), headers={"Accept": "text/html"})
                assert "Log in" in await start.text()
                process.terminate()
                assert await process.wait() == 0


def test_no_browser_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["connect", "http://a.example", "--browser"]) == 1
    assert "no Chromium, Chrome or Firefox was found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["https://shop.example"], "must be like http://shop.example"),
        (["http://shop.example/admin"], "without a path"),
        (["http://a.example", "http://b.example"], "give one SITE"),
        (["http://a.example", "--", "true"], "needs --login"),
        (["http://a.example", "--login", "ann"], "need a COMMAND"),
        (["http://a.example", "--browser", "--proxy", "127.0.0.1:0"], "of one SITE"),
        (["http://a.example", "--browser", "--forget"], "of one SITE"),
        (["http://a.example", "--name", "a", "--login", "ann", "--", "true"], "not for a COMMAND"),
        (["http://a.example", "http://b.example", "--browser"], "give one SITE"),
        (["http://a.example", "--proxy", "8481"], "must be like 127.0.0.1:8481"),
        (["http://a.example", "--proxy", "127.0.0.1:99999"], "must be like 127.0.0.1:8481"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", *arguments]) == 2
    assert error in capsys.readouterr().err


def test_it_is_not_for_other_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "http://a.example", "--proxy", "0.0.0.0:8481"]) == 1
    assert "this machine only" in capsys.readouterr().err


def test_forget_without_a_ticket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["connect", "http://a.example", "--forget"]) == 0
    assert "no session was ended" in capsys.readouterr().out
