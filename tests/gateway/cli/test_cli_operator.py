"""``code``, ``sessions`` and ``tickets``, beside a gateway that runs on the same store."""

import asyncio
import logging
import re
import runpy
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, gateway_beside
from gateways import running
from processes import ROOT

from certless.client import CodeNotAccepted, NotLoggedIn, Refused, TicketNotAccepted
from gateway.cli.main import main
from gateway.keys.key_file import KeyFile

ANN = "ann@example.org"


@pytest.fixture(params=["sqlite", "redis"])
def beside(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    store = redis_url if request.param == "redis" else f"sqlite:{tmp_path / 'certless.db'}"

    def start() -> AbstractAsyncContextManager[Beside]:
        return gateway_beside(tmp_path, store, capsys)

    return start


# --- users ---


async def test_the_tag_of_a_user_is_that_of_the_log(
    beside: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with beside() as here:
        # As they name themselves.
        ran = await here.certless("users", "tag", "fan-7")
        assert (ran.status, ran.err) == (0, "")
        await here.issued("Fan-7")
        assert f"code issued for user {ran.out.strip()}" in caplog.text


# --- codes ---


async def test_the_first_code_of_a_device(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        # A user may be named as he names himself; the session is the account's.
        code = await here.issued("fan-7")
        async with here.client(tickets=tmp_path / "ticket") as client:
            await client.login("FAN-7", code=code)
            assert (await (await client.get("/echo")).json())["user"] == "Fan-7"
            await client.resume()
            # It works once.
            with pytest.raises(CodeNotAccepted):
                await client.login("fan-7", code=code)
        assert here.at.mails.mails.empty()


async def test_the_example_of_a_device(
    beside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "python_device.py"))
    monkeypatch.chdir(tmp_path)
    async with beside() as here:
        codes = [await here.issued("Fan-7")]
        monkeypatch.setattr("builtins.input", lambda _: codes.pop())
        for _ in range(3):
            await example["main"](here.at.url, "fan-7")
        assert here.capsys.readouterr().out == "404\n" * 3
        # The gateway no longer accepts the ticket, so the example asks for a code.
        assert (await here.certless("sessions", "end", "--user", "Fan-7")).status == 0
        codes.append(await here.issued("Fan-7"))
        await example["main"](here.at.url, "fan-7")
        assert here.capsys.readouterr().out == "404\n"
    assert (tmp_path / "fan-7.ticket").exists()


async def test_the_example_of_a_device_names_a_realm_and_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = ROOT / "examples" / "python_device.py"
    monkeypatch.chdir(tmp_path)
    async with running(realm="shop.example") as at:
        loop = asyncio.get_running_loop()

        def code(_: str) -> str:
            return asyncio.run_coroutine_threadsafe(at.mails.code(), loop).result(30)

        monkeypatch.setattr("builtins.input", code)

        def run(*realm: str) -> None:
            argv = [str(example), at.url, "ann@example.org", *realm]
            monkeypatch.setattr("sys.argv", argv)
            runpy.run_path(str(example), run_name="__main__")

        with pytest.raises(SystemExit, match="the realm the same as the gateway's"):
            await asyncio.to_thread(run)
        await asyncio.to_thread(run, "shop.example")
        assert capsys.readouterr().out == "404\n"


async def test_the_code_stands_nowhere_else(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        code = await here.issued("Fan-7")
    for file in await asyncio.to_thread(lambda: list(tmp_path.iterdir())):
        assert code.encode() not in await asyncio.to_thread(file.read_bytes)


async def test_the_last_code_is_the_one_that_works(beside: Any) -> None:
    async with beside() as here, here.client() as client:
        first, second = await here.issued("Fan-7"), await here.issued("Fan-7")
        typed = iter([first, second])
        await client.login("Fan-7", code=lambda: next(typed), attempts=2)


async def test_a_code_that_was_revoked(beside: Any) -> None:
    async with beside() as here, here.client() as client:
        code = await here.issued("Fan-7")
        assert (await here.certless("code", "revoke", "Fan-7")).status == 0
        with pytest.raises(CodeNotAccepted):
            await client.login("Fan-7", code=code)
        ran = await here.certless("code", "revoke", "Fan-7")
        assert (ran.status, ran.err) == (1, "certless: there is no issued code for Fan-7\n")


# --- sessions ---


async def test_open_sessions_are_listed(beside: Any) -> None:
    async with (
        beside() as here,
        here.client() as device,
        here.client(suite="rsa-gcm") as ann,
        here.client(dialect=here.at.dialect) as old,
    ):
        assert await here.listed() == []
        await device.login("Fan-7", code=await here.issued("Fan-7"))
        await ann.login("ann", code=here.at.mails.code)
        await old.login("ann", code=here.at.mails.code)
        rows = await here.listed()
        shown = sorted((suite.split("/")[0], user) for _, suite, _, _, user in rows)
        assert shown[1:] == [("ecdh-gcm", "Fan-7"), ("rsa-gcm", "ann")]
        assert shown[0][0].startswith("classic")
        for session_id, _, since, until, _ in rows:
            assert re.fullmatch(r"[0-9a-f]{32}", session_id)
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\dZ", until)
            assert since == "-" or since < until


async def test_a_session_that_is_ended_is_not_resumed(beside: Any, tmp_path: Path) -> None:
    async with (
        beside() as here,
        here.client(tickets=tmp_path / "ticket") as device,
        here.client() as ann,
    ):
        await device.login("Fan-7", code=await here.issued("Fan-7"))
        await ann.login("ann", code=here.at.mails.code)
        (session_id,) = [row[0] for row in await here.listed() if row[4] == "Fan-7"]
        assert (await here.certless("sessions", "end", session_id)).status == 0
        with pytest.raises(Refused, match="rejected"):
            await device.get("/echo")
        with pytest.raises(TicketNotAccepted):
            await device.resume()
        # Nobody else is touched.
        assert (await ann.get("/echo")).status == 200
        ran = await here.certless("sessions", "end", session_id)
        assert (ran.status, ran.out) == (1, "")
        assert "see `sessions list`" in ran.err


async def test_all_that_a_user_has_is_ended(beside: Any, tmp_path: Path) -> None:
    async with (
        beside() as here,
        here.client(tickets=tmp_path / "ticket") as first,
        here.client(dialect=here.at.dialect) as second,
        here.client() as third,
        here.client() as device,
    ):
        await device.login("Fan-7", code=await here.issued("Fan-7"))
        await first.login("ann", code=here.at.mails.code)
        await second.login("ann", code=here.at.mails.code)
        code = await here.issued("ann")
        ran = await here.certless("sessions", "end", "--user", ANN)
        assert (ran.status, ran.err) == (
            0,
            "Ended 2 sessions of ann, and revoked all tickets and codes.\n",
        )
        for client in (first, second):
            with pytest.raises(Refused, match="rejected"):
                await client.get("/echo")
        with pytest.raises(TicketNotAccepted):
            await first.resume()
        with pytest.raises(CodeNotAccepted):
            await third.login("ann", code=code)
        assert (await device.get("/echo")).status == 200


# --- tickets ---


async def test_a_ticket_whose_session_has_expired_is_revoked(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        # Both log in while it is two hours ago for the gateway, whose sessions last one.
        here.at.clock.offset_ms = -7_200_000
        lost, kept = (
            here.client(tickets=tmp_path / name, clock=here.at.clock) for name in ("lost", "kept")
        )
        async with lost, kept:
            await lost.login("FAN-7", code=await here.issued("Fan-7"))
            await kept.login(ANN, code=here.at.mails.code)
            here.at.clock.offset_ms = 0
            assert await here.listed() == []
            rows = {row[4]: row for row in await here.listed("tickets")}
            assert rows.keys() == {"FAN-7", ANN}
            for ticket_id, suite, since, until, _ in rows.values():
                assert re.fullmatch(r"[0-9a-f]{32}", ticket_id)
                assert (suite, since) == ("ecdh-gcm", "-")
                assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\dZ", until)
            ran = await here.certless("tickets", "revoke", rows["FAN-7"][0])
            assert (ran.status, ran.out) == (0, "")
            with pytest.raises(TicketNotAccepted):
                await lost.resume()
            # Nobody else is touched.
            await kept.resume()
            assert [row[4] for row in await here.listed("tickets")] == [ANN]


async def test_a_ticket_takes_its_session_with_it(beside: Any, tmp_path: Path) -> None:
    async with beside() as here, here.client(tickets=tmp_path / "ticket") as device:
        await device.login("Fan-7", code=await here.issued("Fan-7"))
        ((ticket_id, *before),) = await here.listed("tickets")
        # It is the same after it was used, and as old as its session.
        await device.resume()
        ((again, *after),) = await here.listed("tickets")
        ((session_id, _, since, *_),) = await here.listed()
        assert (again, after[1]) == (ticket_id, since)
        assert before[1] <= since < after[2]
        assert ticket_id != session_id
        assert (await here.certless("tickets", "revoke", ticket_id)).status == 0
        assert await here.listed() == []
        with pytest.raises(Refused, match="rejected"):
            await device.get("/echo")
        with pytest.raises(TicketNotAccepted):
            await device.resume()
        ran = await here.certless("tickets", "revoke", ticket_id)
        assert (ran.status, ran.out) == (1, "")
        assert ran.err == f"certless: there is no valid ticket {ticket_id}: see `tickets list`\n"


async def test_a_session_that_is_ended_takes_its_ticket_with_it(beside: Any) -> None:
    async with beside() as here, here.client() as device, here.client() as ann:
        await device.login("Fan-7", code=await here.issued("Fan-7"))
        await ann.login(ANN, code=here.at.mails.code)
        (session_id,) = [row[0] for row in await here.listed() if row[4] == "Fan-7"]
        assert (await here.certless("sessions", "end", session_id)).status == 0
        assert [row[4] for row in await here.listed("tickets")] == [ANN]
        assert (await here.certless("sessions", "end", "--user", ANN)).status == 0
        assert await here.listed("tickets") == []


# --- mistakes ---


@pytest.mark.parametrize(
    "command",
    [["code", "issue", "ann"], ["code", "revoke", "ann"], ["sessions", "list"],
     ["sessions", "end", "0" * 32], ["sessions", "end", "--user", "ann"],
     ["tickets", "list"], ["tickets", "revoke", "0" * 32]],
)  # fmt: skip
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "--config gateway.toml, or --store"),
        (["--store", "memory:"], "no command can open it"),
        (["--store", "redis://127.0.0.1:1"], "--key-file FILE"),
        (["--store", "redis://127.0.0.1:1", "--key-file", "no.key"], "there is no no.key"),
        (["--store", "sqlite:missing.db"], "no missing.db"),
        (["--store", "sqlite:there.db"], "no there.db.key"),
        (["--store", "sqlite:there.db", "--key-file", "other.key"], "--key-file the same"),
        (["--config", "missing.toml"], "missing.toml"),
    ],
)
def test_a_gateway_that_is_not_there(
    command: list[str],
    options: list[str],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.db").touch()
    assert main([*command, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert word in err
    # Nothing was made that a gateway would take for its own.
    assert [file.name for file in tmp_path.iterdir()] == ["there.db"]


@pytest.mark.parametrize("action", ["accept", "forget", "list"])
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "--config gateway.toml, or --store"),
        (["--ticket-store", "sqlite:there.db"], "--config gateway.toml, or --store"),
        (["--store", "redis://127.0.0.1:1", "--ticket-store", "sqlite:missing.db"], "missing.db"),
        (["--store", "sqlite:there.db", "--ticket-store", "sqlite:there.db"], "a store in Redis"),
    ],
)
def test_a_ticket_store_that_is_not_there(
    action: str,
    options: list[str],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.db").touch()
    KeyFile(Path("key")).make()
    assert main(["tickets", action, *options, "--key-file", "key"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert word in err
    assert Path("there.db").stat().st_size == 0
    assert not Path("missing.db").exists()


async def test_somebody_who_may_not_log_in_gets_no_code(beside: Any) -> None:
    async with beside() as here:
        for name, word in (("eve", "no user 'eve'"), ("a\nb", "control characters")):
            ran = await here.certless("code", "issue", name)
            assert (ran.status, ran.out) == (2, "")
            assert word in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["code"], ["code", "issue"], ["sessions"], ["sessions", "end"],
     ["sessions", "end", "0" * 32, "--user", "ann"], ["tickets"], ["tickets", "revoke"]],
)  # fmt: skip
def test_half_a_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


async def test_a_session_that_was_logged_out_is_not_listed(beside: Any) -> None:
    async with beside() as here, here.client() as device:
        await device.login("Fan-7", code=await here.issued("Fan-7"))
        await device.logout()
        assert await here.listed() == []
        with pytest.raises(NotLoggedIn):
            await device.get("/echo")
