"""The audit log: which lines come, in which order, from whom, and when there is no room."""

import asyncio
import json
import logging
import os
import re
import socket
import stat
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from gateways import InProcess, running
from hardened_gateways import Device, a_code
from processes import program
from watched import watched

import gateway
from gateway.errors import ConfigError
from gateway.events import AuditLineLost, Event, Events, LimitHit, SessionEnded, TicketUsed
from gateway.monitoring.audit import AuditLog, hashed

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
WRITER = """
import sys
from pathlib import Path
from gateway.monitoring.audit import AuditLog
from gateway.events import Events, LimitHit
log = AuditLog(Path(sys.argv[1]), Events())
for number in range(2000):
    log(LimitHit("logins", sys.argv[2] * 40 + str(number)))
"""


async def test_a_login_a_refusal_a_resumption_and_a_logout(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        device = Device(there.at)
        awaited = await device.greet()
        code = await there.at.mails.code()
        await device.enter(awaited, a_code("AAAA-AAAA"))
        message, pending = await device.share(awaited, a_code(code))
        first = device.enrolled(await device.send_confirmation(message), pending)
        assert first.ticket
        second = await device.resume(first.ticket)
        await second.call("POST", "/.gateway/session/logout")
        lines = there.lines()
    assert [line["event"] for line in lines] == [
        *("login_asked", "code_sent", "code_refused", "session_opened"),
        *("ticket_used", "session_opened", "session_ended"),
    ]
    assert all(TIME.fullmatch(line["time"]) for line in lines)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    asked, sent, refused, opened, used, again, ended = lines
    assert isinstance(there.at, InProcess)
    user = there.at.assembly.tags.of("ann@example.org").hex()
    assert {line["user"] for line in (asked, sent, opened, used, again)} == {user}
    assert {line["address"] for line in (asked, refused, opened, again)} == {"127.0.0.1"}
    assert (refused["reason"], opened["suite"]) == ("code_refused", "ecdh-gcm")
    assert opened["session"] == refused["session"] == hashed(first.session.session_id)
    assert again["session"] == used["session"] == ended["session"]
    assert again["session"] == hashed(second.session.session_id)
    assert TIME.fullmatch(opened["expires"])
    assert ended["lasted_ms"] >= 0
    assert {line["host"] for line in lines} == {socket.gethostname()}


async def test_two_that_hold_a_ticket(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        device = Device(there.at)
        first = await device.login()
        assert first.ticket
        second = await device.resume(first.ticket)
        assert second.ticket
        await device.resume(second.ticket)
        await device.redeem(first.ticket)
        *_, used, _, returned = there.lines()
    assert (used["event"], returned["event"]) == ("ticket_used", "ticket_returned")
    assert returned["ticket"] == used["ticket"]
    assert returned["address"] == "127.0.0.1"


async def test_a_classic_session(tmp_path: Path) -> None:
    async with watched(tmp_path) as there:
        async with there.at.client() as client:
            await client.login("ann@example.org", code=there.at.mails.code)
            await client.post("/echo", json={})
            await client.logout()
        assert there.recorded() == ["login_asked", "code_sent", "session_opened", "session_ended"]
        assert there.lines()[2]["suite"] == "classic/sfet-4-gcm"
        assert stat.S_IMODE(there.audit.stat().st_mode) == 0o600


def test_a_limit_and_its_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", Events(), lambda: 1_795_374_000_123)
    log(LimitHit("logins_per_user", '10.0.0.7\n{"', bytes(16)))
    log.close()
    (line,) = (tmp_path / "audit").read_text().splitlines()
    written = json.loads(line)
    assert (written.pop("host"), written.pop("process") > 0) == (socket.gethostname(), True)
    assert written == {
        "time": "2026-11-22T19:00:00.123Z",
        "event": "limit_hit",
        "limit": "logins_per_user",
        "address": '10.0.0.7\n{"',
        "user": "00" * 16,
    }


async def test_two_processes_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(program(sys.executable, "-c", WRITER, str(path), name))
            for name in "ab"
        ]
        assert [await writer.wait() for writer in writers] == [0, 0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for name in "ab":
        numbers = [line["address"][40:] for line in lines if line["address"].startswith(name)]
        assert numbers == [str(number) for number in range(2000)]
    assert len({line["process"] for line in lines}) == 2


async def test_logrotate_renames_it(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    log = AuditLog(path, Events())
    log(SessionEnded(bytes(16), 1))
    path.rename(tmp_path / "audit.1")
    log(SessionEnded(bytes(16), 2))
    await log.reload()
    log(SessionEnded(bytes(16), 3))
    log.close()
    read = [(tmp_path / name).read_text().splitlines() for name in ("audit.1", "audit")]
    assert [[json.loads(line)["lasted_ms"] for line in lines] for lines in read] == [[1, 2], [3]]


async def test_a_new_file_that_cannot_be_opened_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = AuditLog(folder / "audit", Events())
    folder.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match="No such file or directory"):
        await log.reload()
    log(SessionEnded(bytes(16), 1))
    log.close()
    assert len((tmp_path / "moved" / "audit").read_text().splitlines()) == 1


async def test_a_full_disk_stops_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "certless")
    path = tmp_path / "audit"
    path.symlink_to("/dev/full")
    told: list[Event] = []
    events = Events(told.append)
    log = AuditLog(path, events)
    for lasted_ms in range(3):
        log(SessionEnded(bytes(16), lasted_ms))
    assert told == [AuditLineLost()] * 3
    assert caplog.text.count("No space left on device") == 1
    path.unlink()
    await log.reload()
    log(TicketUsed(bytes(16), bytes(16), bytes(16)))
    log.close()
    lost, used = (json.loads(line) for line in path.read_text().splitlines())
    assert (lost["event"], lost["count"], used["event"]) == ("lines_lost", 3, "ticket_used")
    assert "writing again; lines lost: 3" in caplog.text


async def test_a_gateway_goes_on_without_room_for_its_audit(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").symlink_to("/dev/full")
    async with watched(tmp_path) as there:
        session = await there.at.raw_login()
        assert (await session.call("POST", "/echo", b"{}")).status == 200
        figures = await there.metrics()
        assert figures["certless_audit_lines_lost_total{}"] == 3


async def test_a_pipe_that_nobody_empties_holds_nothing_up(tmp_path: Path) -> None:
    told: list[Event] = []
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(tmp_path / "pipe", Events(told.append))

    def fill() -> None:
        while not told:
            log(LimitHit("logins", "192.0.2.7"))

    try:
        async with asyncio.timeout(10):
            filling = asyncio.create_task(asyncio.to_thread(fill))
            await asyncio.shield(filling)
    finally:
        os.close(reader)
        log.close()
    assert told == [AuditLineLost()]


def test_a_file_that_cannot_be_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^audit log \S+: No such file or directory; set "):
        AuditLog(tmp_path / "nowhere" / "audit", Events())


async def test_an_integrator_may_watch_beside_it(tmp_path: Path) -> None:
    told: list[gateway.Event] = []
    path = tmp_path / "audit"
    async with running(watch=told.append, audit=path) as at:
        await at.raw_login()
    assert len(path.read_text().splitlines()) == 3
    assert len(told) > 3
