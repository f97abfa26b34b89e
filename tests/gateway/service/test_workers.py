"""``serve --workers N`` as people run it: real processes that are told to stop, and killed."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import redis_servers
from aiohttp import web
from frameworks import serving
from gateways import SetClock
from mailboxes import Mailbox, a_free_port, eventually, smtp_server
from processes import python
from two_gateways import DIALECT, WAYS, Gateway, MailedCodes, Message, log_in

STARTED = re.compile(r"INFO worker (\d) is process (\d+)$", re.MULTILINE)
BY_WORKER = re.compile(r"INFO worker (\d): \S+ (?:POST|GET) (\S+) (\d{3}) ", re.MULTILINE)
SERVING = re.compile(r"INFO serving http://127\.0\.0\.1:(\d+) in front of ", re.MULTILINE)
ADMIN = re.compile(r"INFO metrics at (http://127\.0\.0\.1:\d+/)$", re.MULTILINE)
by_one_and_two = pytest.mark.parametrize("workers", [1, 2])


@dataclass
class Orders:
    """An API that counts what it runs, and may be told to take its time."""

    url: str = ""
    ran: Counter[str] = field(default_factory=Counter)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def order(self, request: web.Request) -> web.Response:
        self.ran[(await request.json())["id"]] += 1
        self.begun.set()
        await self.may_answer.wait()
        return web.json_response({"user": request.headers["X-Certless-User"]}, status=201)


@asynccontextmanager
async def orders_api() -> AsyncIterator[Orders]:
    orders = Orders()
    orders.may_answer.set()
    app = web.Application()
    app.router.add_post("/orders", orders.order)
    async with serving(app) as orders.url:
        try:
            yield orders
        finally:
            orders.may_answer.set()


@dataclass(kw_only=True)
class Workers(Gateway):
    """A gateway of some workers, or of one process."""

    api: Orders
    mailbox: Mailbox
    folder: Path

    def said(self) -> str:
        return self.log.read_text()

    def pids(self) -> dict[str, int]:
        """The process of each worker, by its number: the last that was started."""
        return {number: int(pid) for number, pid in STARTED.findall(self.said())}

    def served_by(self) -> set[str]:
        """The numbers of the workers that have answered."""
        return {number for number, _, _ in BY_WORKER.findall(self.said())}

    def answers_of(self, worker: str) -> int:
        return sum(number == worker for number, _, _ in BY_WORKER.findall(self.said()))

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def read_anew(self) -> None:
        """SIGHUP, and all have done it."""
        count = max(len(self.pids()), 1)
        done = self.said().count("reloaded keys") + count
        self.tell(signal.SIGHUP)
        await eventually(lambda: self.said().count("reloaded keys") == done)


def is_gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    # One that nobody has waited for is there, and is nothing any more.
    return status.rpartition(")")[2].split()[0] == "Z"


def arguments(folder: Path, api: Orders, mailbox: Mailbox, port: int, *options: str) -> list[str]:
    who = [] if "--users" in options else ["--any-address"]
    mail = [] if "--config" in options else ["--mail", f"smtp://127.0.0.1:{mailbox.port}"]
    return [
        *("-m", "gateway", "serve", "--listen", f"127.0.0.1:{port}", *who, *mail),
        *("--upstream", api.url, "--dialect", DIALECT, "--store", f"sqlite:{folder / 'db'}"),
        *options,
    ]


@asynccontextmanager
async def gateway(folder: Path, *options: str) -> AsyncIterator[Workers]:
    """``certless serve`` with these options; each request comes over a connection of its own."""
    log = folder / "log"
    connector = aiohttp.TCPConnector(force_close=True)
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(orders_api())
        mailbox = await stack.enter_async_context(smtp_server())
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        file = stack.enter_context(log.open("ab"))
        command = arguments(folder, api, mailbox, 0, *options)
        process = await stack.enter_async_context(python(*command, stderr=file, stdin=DEVNULL))
        await eventually(lambda: SERVING.search(log.read_text()) or process.returncode is not None)
        found = SERVING.search(log.read_text())
        assert found, log.read_text()
        yield Workers(
            f"http://127.0.0.1:{found[1]}",
            MailedCodes(mailbox),
            SetClock(),
            http,
            DIALECT,
            process=process,
            log=log,
            api=api,
            mailbox=mailbox,
            folder=folder,
        )
    assert "Traceback" not in log.read_text()


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(30):
        return await process.wait()


async def listens(at: Workers) -> bool:
    try:
        await at.get("/")
    except aiohttp.ClientError:
        return False
    return True


# --- one port, one store ---


@pytest.mark.parametrize("way", WAYS)
async def test_any_worker_serves_any_session(tmp_path: Path, way: str) -> None:
    async with gateway(tmp_path, "--workers", "3") as at:
        orders = await log_in(way, at, "ann")
        sent: list[Message] = []
        while len(sent) < 20 or at.served_by() != {"1", "2", "3"}:
            sent.append(orders.order())
            assert await sent[-1].send(at) == 200
            assert len(sent) < 200
        assert at.api.ran == {message.id: 1 for message in sent}
        # Whoever was asked first: a message counts once.
        assert {await message.send(at) for message in sent} == {403}
        assert max(at.api.ran.values()) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_that_has_ended_has_ended_in_every_worker(tmp_path: Path, way: str) -> None:
    async with gateway(tmp_path, "--workers", "2") as at:
        orders = await log_in(way, at, "ann")
        while at.served_by() != {"1", "2"}:
            assert await orders.order().send(at) == 200
        command = ("sessions", "end", "--user", "ann@example.org", "--store")
        async with python("-m", "gateway", *command, f"sqlite:{tmp_path / 'db'}") as end:
            assert await ended(end) == 0
        assert {await orders.order().send(at) for _ in range(20)} == {403}


async def test_a_worker_that_is_killed_under_load_is_replaced(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--workers", "2") as at:
        sessions = [await log_in(way, at, way) for way in WAYS]
        first = at.pids()
        answered: list[Message] = []
        lost: list[Message] = []
        replaced = asyncio.Event()

        async def traffic(number: int) -> None:
            while not replaced.is_set():
                message = sessions[number % len(sessions)].order()
                status = await message.send(at)
                assert status in (200, None)
                (lost if status is None else answered).append(message)

        async def kill_once_busy(victim: str) -> None:
            enough = len(answered) + 50
            await eventually(lambda: len(answered) > enough)
            before = at.answers_of(victim)
            os.kill(first[victim], signal.SIGKILL)
            await eventually(lambda: at.pids()[victim] != first[victim])
            # It is back once it answers, too.
            await eventually(lambda: at.answers_of(victim) > before + 5)

        async def killer() -> None:
            try:
                for victim in first:
                    await kill_once_busy(victim)
            finally:
                replaced.set()

        await asyncio.gather(killer(), *(traffic(number) for number in range(8)))
        assert at.said().count("has ended (signal 9); it is replaced") == 2
        assert all(at.api.ran[message.id] == 1 for message in answered)
        # What was lost may have run, once; it never runs a second time, and what ran is refused.
        again = [await message.send(at) for message in answered + lost]
        assert set(again[: len(answered)]) == {403}
        assert max(at.api.ran.values()) == 1


async def test_a_worker_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.write_text('[users.ann]\naddresses = ["ann@example.org"]\n')
    async with gateway(tmp_path, "--workers", "2", "--users", str(users)) as at:
        orders = await log_in("clock", at, "ann")
        users.write_text("what is this")
        before = at.pids()
        os.kill(before["1"], signal.SIGKILL)
        await eventually(lambda: "worker 1 cannot serve: users file" in at.said())
        # The other goes on meanwhile.
        assert {await orders.order().send(at) for _ in range(5)} == {200}
        users.write_text('[users.ann]\naddresses = ["ann@example.org"]\n')
        answers = at.answers_of("1")
        while at.answers_of("1") == answers:
            assert await orders.order().send(at) == 200
        assert at.pids()["2"] == before["2"]
        at.tell(signal.SIGTERM)
        assert await ended(at.process) == 0


# --- the end ---


@by_one_and_two
async def test_a_stop_finishes_what_was_begun_and_takes_nothing_new(
    tmp_path: Path, workers: int
) -> None:
    async with gateway(tmp_path, "--workers", str(workers)) as at:
        orders = await log_in("clock", at, "ann")
        at.api.may_answer.clear()
        slow = [asyncio.create_task(orders.order().send(at)) for _ in range(6)]
        await eventually(lambda: at.api.ran.total() == 6)
        at.tell(signal.SIGTERM)
        await eventually(lambda: "INFO stopping\n" in at.said())
        # The first worker may be quicker than the second.
        while await listens(at):
            assert "Traceback" not in at.said()
        assert not any(task.done() for task in slow)
        assert at.process.returncode is None
        at.api.may_answer.set()
        assert await asyncio.gather(*slow) == [200] * 6
        assert await ended(at.process) == 0
        assert all(map(is_gone, at.pids().values()))


@by_one_and_two
async def test_an_idle_connection_does_not_hold_a_stop_up(tmp_path: Path, workers: int) -> None:
    async with gateway(tmp_path, "--workers", str(workers)) as at:
        port = int(at.url.rpartition(":")[2])
        async with aiohttp.ClientSession() as kept, kept.get(at.url) as answer:
            assert answer.status == 401
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n")
            at.tell(signal.SIGTERM)
            # Well before the time is over that a request would get.
            async with asyncio.timeout(10):
                assert await at.process.wait() == 0
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@by_one_and_two
async def test_who_says_it_twice_does_not_want_to_wait(tmp_path: Path, workers: int) -> None:
    async with gateway(tmp_path, "--workers", str(workers)) as at:
        orders = await log_in("clock", at, "ann")
        at.api.may_answer.clear()
        slow = asyncio.create_task(orders.order().send(at))
        await at.api.begun.wait()
        at.tell(signal.SIGINT)
        await eventually(lambda: "INFO stopping\n" in at.said())
        assert not slow.done()
        at.tell(signal.SIGINT)
        assert await slow is None
        assert await ended(at.process) != 0
        await eventually(lambda: all(map(is_gone, at.pids().values())))


async def test_all_processes_of_a_service_are_told_to_stop(tmp_path: Path) -> None:
    # As systemd does; and a terminal, with SIGINT.
    async with gateway(tmp_path, "--workers", "2") as at:
        orders = await log_in("clock", at, "ann")
        at.api.may_answer.clear()
        slow = asyncio.create_task(orders.order().send(at))
        await at.api.begun.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            for pid in at.pids().values():
                os.kill(pid, number)
        at.tell(signal.SIGTERM)
        await eventually(lambda: "INFO stopping\n" in at.said())
        at.api.may_answer.set()
        assert await slow == 200
        assert await ended(at.process) == 0


async def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--workers", "2") as at:
        orders = await log_in("clock", at, "ann")
        at.api.may_answer.clear()
        slow = asyncio.create_task(orders.order().send(at))
        await at.api.begun.wait()
        await at.kill()
        await eventually(lambda: at.said().count("the parent process has ended: stopping") == 2)
        at.api.may_answer.set()
        assert await slow == 200
        await eventually(lambda: all(map(is_gone, at.pids().values())))
        assert await orders.order().send(at) is None


# --- reading anew ---

ANN = '[users.ann]\naddresses = ["ann@example.org"]\n'
BEN = '[users.ben]\naddresses = ["ben@example.org"]\n'


async def test_users_come_and_go(tmp_path: Path) -> None:
    await _users_come_and_go(tmp_path, 1)


async def test_users_come_and_go_in_every_worker(tmp_path: Path) -> None:
    await _users_come_and_go(tmp_path, 2)


async def _users_come_and_go(folder: Path, workers: int) -> None:
    users = folder / "users.toml"
    users.write_text(ANN)
    async with gateway(folder, "--workers", str(workers), "--users", str(users)) as at:
        ann = [await log_in(way, at, "ann") for way in WAYS]
        assert [await one.order().send(at) for one in ann] == [200] * 3
        users.write_text(ANN + BEN)
        await at.read_anew()
        ben = [await log_in(way, at, "ben") for way in WAYS[:2]]

        # Who is in the file no more is out, and nobody else is.
        users.write_text(BEN)
        await at.read_anew()
        for _ in range(5):
            assert [await one.order().send(at) for one in ann] == [403] * 3
            assert [await one.order().send(at) for one in ben] == [200] * 2
        assert at.said().count(": 3 sessions ended") == 1

        # A slip of the pen changes nothing.
        users.write_text(BEN + "[users.")
        at.tell(signal.SIGHUP)
        await eventually(lambda: at.said().count("cannot reload, users") == workers)
        assert [await one.order().send(at) for one in ben] == [200] * 2
        await log_in("clock", at, "ben")
        assert "ben" not in at.said()


async def test_a_message_is_handled_while_users_are_read_anew(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--workers", "2") as at:
        orders = await log_in("counter", at, "ann")
        at.api.may_answer.clear()
        slow = asyncio.create_task(orders.order().send(at))
        await at.api.begun.wait()
        await at.read_anew()
        at.api.may_answer.set()
        assert await slow == 200


@asynccontextmanager
async def starting(folder: Path) -> AsyncIterator[tuple[Process, Callable[[], str]]]:
    """``serve`` with two workers, of which none serves as yet; and what its log says so far."""
    log = folder / "log"
    async with orders_api() as api, smtp_server() as mailbox:
        with log.open("ab") as file:
            command = arguments(folder, api, mailbox, 0, "--workers", "2")
            async with python(*command, stderr=file) as process:
                await eventually(lambda: "worker 1 is process" in log.read_text())
                yield process, log.read_text


async def test_a_reload_at_the_wrong_moment_ends_nothing(tmp_path: Path) -> None:
    async with starting(tmp_path) as (process, log):
        while not SERVING.search(log()):
            assert process.returncode is None
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.01)
        process.terminate()
        assert await ended(process) == 0
    assert "has ended" not in log()


async def test_a_reload_while_it_starts_is_not_lost(tmp_path: Path) -> None:
    """Who is taken out at that moment must not stay in since a worker had read the file before."""
    async with starting(tmp_path) as (process, log):
        # The first one serves, and the second does not yet.
        await eventually(lambda: "worker 2 is process" in log())
        process.send_signal(signal.SIGHUP)
        await eventually(lambda: "worker 1: reloaded users" in log())
        await eventually(lambda: "worker 2: reloaded users" in log())


async def test_who_is_told_to_stop_while_it_starts_ends_in_order(tmp_path: Path) -> None:
    async with starting(tmp_path) as (process, log):
        process.terminate()
        assert await ended(process) == 0
    assert "the parent process has ended" not in log()
    assert log().endswith("INFO stopping\n")


# --- mistakes: one line, and nothing is served ---


async def refused(folder: Path, *options: str, port: int = 0) -> tuple[int, str]:
    """Status and words of a ``serve`` that ends by itself."""
    async with orders_api() as api, smtp_server() as mailbox:
        command = arguments(folder, api, mailbox, port, *options)
        async with python(*command, stderr=PIPE) as process, asyncio.timeout(30):
            _, words = await process.communicate()
            assert process.returncode is not None
            return process.returncode, words.decode()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--workers", "2", "--store", "memory:"], 2, "--store sqlite:PATH"),
        (["--workers", "0"], 2, "workers must be from 1 to 256"),
        (["--workers", "many"], 2, "--workers"),
        (["--workers", "2", "--users", "nowhere.toml"], 2, "users file nowhere.toml"),
        (["--workers", "2", "--store", "sqlite:/nowhere/db", "--key-file", "key"], 1, "SQLite"),
    ],
)
async def test_what_is_wrong_is_said_once(
    tmp_path: Path, options: list[str], status: int, words: str
) -> None:
    if "key" in options:
        options = [*options[:-1], str(tmp_path / "key")]
    ended_with, said = await refused(tmp_path, *options)
    assert ended_with == status
    lines = [line for line in said.splitlines() if "is process" not in line]
    assert len(lines) == 1, said
    assert words in lines[0]


async def test_a_port_is_not_shared_with_strangers(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--workers", "2") as at:
        port = int(at.url.rpartition(":")[2])
        for workers in ("1", "2"):
            other = tmp_path / workers
            other.mkdir()
            status, said = await refused(other, "--workers", workers, port=port)
            assert status == 2
            assert said == (
                f"certless: port {port} is in use: stop the program that listens there, "
                "or set another --listen\n"
            )


async def test_workers_on_redis(tmp_path: Path) -> None:
    keys = ("--key-file", str(tmp_path / "key"))
    async with redis_servers.running(tmp_path / "redis") as server:
        async with gateway(tmp_path, "--workers", "2", "--store", server.url, *keys) as at:
            sessions = [await log_in(way, at, way) for way in WAYS]
            while at.served_by() != {"1", "2"} or at.api.ran.total() < 20:
                for orders in sessions:
                    assert await orders.order().send(at) == 200
            assert set(at.api.ran.values()) == {1}


async def test_a_free_port_may_be_named(tmp_path: Path) -> None:
    port = a_free_port()
    async with gateway(tmp_path, "--workers", "2", "--listen", f"127.0.0.1:{port}") as at:
        assert at.url.endswith(f":{port}")
        assert (await at.get("/")).status == 401


async def test_a_password_of_the_config_file_stands_in_no_list(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('mail = "smtp://ann:s3cret-word@127.0.0.1:1"\n')
    async with gateway(tmp_path, "--workers", "2", "--config", str(config)) as at:
        for pid in (at.process.pid, *at.pids().values()):
            for name in ("cmdline", "environ"):
                shown = await asyncio.to_thread(Path(f"/proc/{pid}/{name}").read_bytes)
                assert b"s3cret-word" not in shown
        assert "s3cret-word" not in at.said()


# --- what is watched ---


def figures_folder(pid: int) -> Path:
    """Where this worker counts."""
    environment = Path(f"/proc/{pid}/environ").read_text()
    (folder,) = re.findall(r"PROMETHEUS_MULTIPROC_DIR=([^\0]+)", environment)
    return Path(folder)


async def test_the_parent_tells_the_figures_of_all_workers(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--workers", "2", "--admin", "0") as at:
        admin = ADMIN.findall(at.said())
        assert len(admin) == 1, "it listens once, in the parent"

        async def figures() -> dict[str, float]:
            async with at.http.get(f"{admin[0]}metrics") as answer:
                lines = (await answer.text()).splitlines()
            samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
            return {name: float(value) for name, _, value in samples}

        orders = await log_in("clock", at, "ann")
        sent = 0
        while sent < 20 or at.served_by() != {"1", "2"}:
            assert await orders.order().send(at) == 200
            sent += 1
        served = 'certless_messages_total{suite="ecdh-gcm"}'
        assert (await figures())[served] == sent
        assert (await figures())["certless_sessions_open"] == 1
        memory = 'certless_process_memory_bytes{process="%s"}'
        processes = ("main", *map(str, at.pids().values()))
        assert {memory % one for one in processes} <= set(await figures())
        # Pairs are made beside the requests, in the time that is left.
        async with asyncio.timeout(60):
            while not (await figures())["certless_key_pool_ready"]:  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)

        (first, *_) = at.pids().values()
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: at.said().count("is process") == 3)
        folder = figures_folder(at.pids()["2"])
        # What it has counted is kept, its files are not.
        assert (await figures())[served] == sent
        assert not list(folder.glob(f"*_{first}.db"))
        assert await orders.order().send(at) == 200
        assert (await figures())[served] == sent + 1
        async with at.http.get(f"{admin[0]}readyz") as answer:
            assert answer.status == 200
        at.tell(signal.SIGTERM)
        assert await ended(at.process) == 0
        assert not list(folder.glob("*"))


async def test_a_worker_without_room_for_figures_serves_all_the_same(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--workers", "2", "--admin", "0") as at:
        orders = await log_in("clock", at, "ann")
        # A disk that is full stops a file from being made, and so does a folder that is not there.
        folder = figures_folder(at.pids()["1"])
        await asyncio.to_thread(folder.rename, tmp_path / "moved")
        for number in ("1", "2"):
            os.kill(at.pids()[number], signal.SIGKILL)
        await eventually(lambda: at.said().count("they cannot be written") == 2)
        served = 0
        while served < 4:
            # Connections of those that were killed are gone.
            served += await orders.order().send(at) == 200
        (admin,) = ADMIN.findall(at.said())
        async with at.http.get(f"{admin}metrics") as answer:
            assert answer.status == 200
        at.tell(signal.SIGTERM)
        assert await ended(at.process) == 0


async def test_workers_write_one_audit_log(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    async with gateway(tmp_path, "--workers", "2", "--audit", str(audit)) as at:
        await log_in("clock", at, "ann")
        audit.rename(tmp_path / "audit.1")
        await at.read_anew()
        await eventually(lambda: at.said().count("reloaded audit") == 2)
        await log_in("classic", at, "bob")
        at.tell(signal.SIGTERM)
        assert await ended(at.process) == 0
    for name, suite in (("audit.1", "ecdh-gcm"), ("audit", f"classic/{DIALECT}")):
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        assert {line["event"] for line in lines} == {"login_asked", "code_sent", "session_opened"}
        assert {line.get("suite", suite) for line in lines} == {suite}
        assert {line["process"] for line in lines} <= set(at.pids().values())


async def test_a_port_in_use_for_figures_stops_before_any_worker(tmp_path: Path) -> None:
    async with orders_api() as api, smtp_server() as mailbox:
        port = a_free_port()
        with socket.create_server(("127.0.0.1", port)):
            command = arguments(tmp_path, api, mailbox, 0, "--workers", "2", "--admin", str(port))
            async with python(*command, stderr=PIPE) as process:
                _, said = await process.communicate()
    assert process.returncode == 2
    in_use = f"certless: port {port}, for --admin, is in use: "
    assert said.decode() == f"{in_use}stop the program on it, or set another port\n"
