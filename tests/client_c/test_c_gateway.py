"""The C client at a real gateway, over a network that loses and changes answers."""

import ast
import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from c_client import SOURCES, built, emulated, pump
from c_device import Device, Fault, Network, State, device, network
from consoles import run_command
from gateways import InProcess, running
from processes import program

from gateway.cli.ticket_formats import FORMATS
from protocol.hardened.client_session import ClientTicket

NAME = "fan-7"
USERS = "[users.fan-7]\naddresses = []\n"


@dataclass
class Plant:
    """A gateway with a store, the console of its machine, and a folder for the devices."""

    at: InProcess
    folder: Path
    capsys: pytest.CaptureFixture[str]

    async def certless(self, *arguments: str) -> str:
        config = str(self.folder / "gateway.toml")
        ran = await asyncio.to_thread(run_command, self.capsys, *arguments, "--config", config)
        assert ran.status == 0
        return ran.out.strip()

    async def code(self) -> str:
        return await self.certless("code", "issue", NAME)

    @property
    def state(self) -> Path:
        return self.folder / "device.state"

    @asynccontextmanager
    async def started(self, fresh: str, url: str = "") -> AsyncIterator[Device]:
        async with device(url or self.at.url, NAME, self.state, fresh) as made:
            yield made

    @asynccontextmanager
    async def logged_in(self, fresh: str) -> AsyncIterator[tuple[Device, Network]]:
        """A device with a session, on a network."""
        async with network(self.at.url) as between, self.started(fresh, between.address) as made:
            await made.login(await self.code())
            yield made, between


@asynccontextmanager
async def planted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    app: web.Application | None = None,
    **options: str,
) -> AsyncIterator[Plant]:
    (tmp_path / "users.toml").write_text(USERS)
    store = f"sqlite:{tmp_path / 'certless.db'}"
    (tmp_path / "gateway.toml").write_text(
        f'users = "users.toml"\nstore = "{store}"\nkey_file = "certless.key"'
    )
    users, key = tmp_path / "users.toml", tmp_path / "certless.key"
    async with running(app, users=users, store=store, key_file=key, **options) as at:
        yield Plant(at, tmp_path, capsys)


@pytest.fixture
async def plant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Plant]:
    async with planted(tmp_path, capsys) as made:
        yield made


def echoed(result: str) -> str:
    """The body that the application has received."""
    assert result.startswith("ok 200 "), result
    body: str = json.loads(result.removeprefix("ok 200 "))["body"]
    return body


# --- the examples ---


async def test_the_example_for_a_cortex_m3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In QEMU: it resumes with a ticket of the factory, and continues after a restart."""
    app, readings = web.Application(), list[str]()

    async def take(request: web.Request) -> web.Response:
        readings.append(request.match_info["number"])
        assert await request.json() == {"bar": 4}
        return web.Response(status=201)

    app.router.add_put("/readings/{number}", take)
    async with planted(tmp_path, capsys, app) as plant:
        await plant.certless("ticket", "issue", NAME, "--out", str(tmp_path / "ticket.h"))
        image = await asyncio.to_thread(pump, tmp_path)
        line = f"tcp:127.0.0.1:{plant.at.url.rpartition(':')[2]}"

        async def run() -> str:
            pipe = asyncio.subprocess.PIPE
            command = [*emulated(image), "-serial", line]
            async with program(*command, stdout=pipe, stderr=pipe, cwd=tmp_path) as ran:
                async with asyncio.timeout(60):
                    out, err = await ran.communicate()
                assert (ran.returncode, err) == (0, b""), out
                return out.decode()

        reported = "".join(f"{number}: status 201\n" for number in (1, 2, 3))
        assert await run() == "resumed\n" + reported
        assert (tmp_path / "pump.state").stat().st_size == 162
        assert await run() == reported
    assert readings == ["1", "2", "3"] * 2


async def test_the_example_sensor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It logs in with a code of the operator, continues after a restart, and resumes."""
    app, readings = web.Application(), list[str]()

    async def take(request: web.Request) -> web.Response:
        readings.append(request.match_info["number"])
        assert set(await request.json()) == {"degrees"}
        return web.Response(status=201)

    app.router.add_put("/readings/{number}", take)
    async with planted(tmp_path, capsys, app) as plant:
        at = plant.at

        async def sensor(typed: str, times: int) -> str:
            port = at.url.rpartition(":")[2]
            command = (built() / "sensor", "127.0.0.1", port, NAME, plant.state, times)
            pipe = asyncio.subprocess.PIPE
            async with program(*map(str, command), stdin=pipe, stdout=pipe, stderr=pipe) as ran:
                async with asyncio.timeout(60):
                    out, err = await ran.communicate(typed.encode())
                assert (ran.returncode, err) == (0, b"")
                return out.decode()

        code = (await plant.code()).lower()
        said = await sensor(f" {code[:4]}-{code[4:]}\n", 3)
        assert said.startswith("Code of the operator: 1: status 201\n")
        assert plant.state.stat().st_mode & 0o777 == 0o600
        assert await sensor("", 2) == "1: status 201\n2: status 201\n"
        at.clock.offset_ms += 13 * 3_600_000  # the session ends
        assert await sensor("", 1) == "1: status 201\n"
    assert readings == ["1", "2", "3", "1", "2", "1"]


# --- tickets of the factory ---

# Has the header of ``ticket issue``, and writes the state as a device writes it to its flash.
FIRMWARE = """
#include "ticket.h"
#include <certless_posix.h>
#include <stdio.h>

int main(int count, char **given)
{
    static certless_client client;
    static certless_file file;
    const certless_config config = {
        .username = CERTLESS_TICKET_USERNAME, .realm = CERTLESS_TICKET_REALM,
        .fresh = CERTLESS_CLOCK, .entropy = certless_random, .save = certless_file_save,
        .context = &file};
    (void)count;
    const uint8_t *state = certless_ticket_state;
    size_t length = sizeof certless_ticket_state;
    return certless_file_open(&file, given[1]) != CERTLESS_OK
        || certless_init(&client, &config) != CERTLESS_OK
        || certless_load(&client, 5, state, length) != CERTLESS_OK
        || !certless_has_ticket(&client) || certless_file_save(&file, state, length) != 0;
}
"""


async def test_the_sensor_begins_with_a_ticket_of_the_factory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no code: the factory has written the state file."""
    app, readings = web.Application(), list[str]()

    async def take(request: web.Request) -> web.Response:
        readings.append(request.match_info["number"])
        return web.Response(status=201)

    app.router.add_put("/readings/{number}", take)
    async with planted(tmp_path, capsys, app) as plant:
        given = ("--device", "pump-7", "--format", "raw", "--out", str(plant.state))
        await plant.certless("ticket", "issue", NAME, *given)
        port = plant.at.url.rpartition(":")[2]
        for _ in range(2):
            command = (built() / "sensor", "127.0.0.1", port, NAME, plant.state, 2)
            pipe = asyncio.subprocess.PIPE
            async with program(*map(str, command), stdin=pipe, stdout=pipe, stderr=pipe) as ran:
                async with asyncio.timeout(60):
                    out, err = await ran.communicate(b"")
            assert (ran.returncode, out, err) == (0, b"1: status 201\n2: status 201\n", b"")
    assert readings == ["1", "2"] * 2


async def test_a_firmware_with_the_header_of_a_ticket(plant: Plant) -> None:
    header, firmware = plant.folder / "ticket.h", plant.folder / "firmware"
    await plant.certless("ticket", "issue", NAME, "--device", "pump-7", "--out", str(header))
    assert header.stat().st_mode & 0o777 == 0o600
    (plant.folder / "firmware.c").write_text(FIRMWARE)
    command = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES / 'include'}")
    library = built() / "libcertless.a"
    files = (plant.folder / "firmware.c", library, "-lbearssl", "-fsanitize=address,undefined")
    for words in ((*command, *files, "-o", firmware), (firmware, plant.state)):
        async with program(*map(str, words)) as ran, asyncio.timeout(60):
            assert await ran.wait() == 0
    async with plant.started("clock") as made:
        assert await made.say("load") == "ok 0"
        assert await made.say("resume") == "ok 200"
        assert echoed(await made.say("send x")) == "x"
    assert " pump-7 " in await plant.certless("devices", "list")


def test_a_header_holds_any_name() -> None:
    names = 'a"\\b\n??/*/ \u00fc', "%s"
    ticket = ClientTicket(b"t" * 16, "ecdh-gcm", *names, 0, b"s" * 32)
    header = FORMATS["header"](ticket).decode()
    macros = re.findall(r'#define CERTLESS_TICKET_(?:USERNAME|REALM) ("[ -~]*")\n', header)
    assert [ast.literal_eval("b" + macro).decode() for macro in macros] == list(names)
    assert header.count("*/") == 1


# --- codes of devices ---


async def test_each_device_logs_in_with_its_own_code(plant: Plant) -> None:
    names = ("pump-7", "10:2f:3a")
    codes = [await plant.certless("code", "issue", NAME, "--device", name) for name in names]
    for name, right, wrong in zip(names, codes, reversed(codes), strict=True):
        async with device(plant.at.url, NAME, plant.folder / name, "counter", name) as made:
            assert await made.say("request") == "ok 200"
            assert await made.say(f"code {wrong}") == "http_refused 403"
            await made.login(right)
            assert echoed(await made.say("send x")) == "x"
            assert await made.say("resume") == "ok 200"


@pytest.mark.parametrize("name", ["", "-x", "pump 7", "pump\n", "p\u00fcmp", "a" * 65])
async def test_a_name_that_no_device_can_have(plant: Plant, name: str) -> None:
    command = (built() / "test_device", "127.0.0.1", "1", NAME, plant.state, "clock", name)
    pipe = asyncio.subprocess.PIPE
    async with program(*map(str, command), stdin=pipe, stdout=pipe) as ran:
        async with asyncio.timeout(30):
            out, _ = await ran.communicate()
    assert out == b"bad_argument\n"


# --- a long life ---


@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_a_thousand_messages_with_new_keys_and_new_sessions(plant: Plant, fresh: str) -> None:
    async with plant.logged_in(fresh) as (made, between):
        for number in range(1000):
            assert echoed(await made.say(f"send {number}")) == str(number)
            if number % 100 == 99:
                assert await made.say("age") == "ok 200"
            if number % 250 == 249:
                assert (await made.state()).epoch >= 2
                assert await made.say("resume") == "ok 200"
        assert between.faults == []
    assert plant.at.ran == [str(number) for number in range(1000)]


@pytest.mark.parametrize("length", [0, 1, 255, 256, 65535, 65536, 130000])
async def test_bodies_at_the_edges_of_the_encoding(plant: Plant, length: int) -> None:
    async with plant.logged_in("counter") as (made, _):
        assert echoed(await made.say("send " + "x" * length)) == "x" * length


# --- a bad network ---

LOSSES: dict[Fault, str] = {
    "lost_answer": "no_answer 0",
    "lost_request": "no_answer 0",
    "truncated": "no_answer 200",
    "garbage": "no_answer 0",
    "cut": "malformed 200",
    "reflected": "bad_seal 200",
    "replayed": "bad_seal 200",
    "rejected": "http_refused 403",
}


@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_no_answer_and_wrong_answers(plant: Plant, fresh: str) -> None:
    async with plant.logged_in(fresh) as (made, between):
        expected = []
        for fault, error in LOSSES.items():
            assert echoed(await made.say(f"send before {fault}")) == f"before {fault}"
            between.faults.append(fault)
            assert await made.say(f"send {fault}") == error
            expected.append(f"before {fault}")
            expected += [fault] * (fault != "lost_request")
        assert echoed(await made.say("send last")) == "last"
    # Nothing was handled twice, and what was handled is known.
    assert plant.at.ran == [*expected, "last"]


@pytest.mark.parametrize("fault", ["repeated", "delayed"])
async def test_a_request_that_comes_twice_or_late(plant: Plant, fault: Fault) -> None:
    async with plant.logged_in("counter") as (made, between):
        between.faults += [fault, fault, fault]
        assert await made.say("resume") == "ok 200"
        assert echoed(await made.say("send one")) == "one"
        assert between.faults == []
        assert echoed(await made.say("send two")) == "two"
    assert plant.at.ran == ["one", "two"]


@pytest.mark.parametrize("fault", ["chunked", "without_length", "interim"])
async def test_answers_in_every_form_of_http(plant: Plant, fault: Fault) -> None:
    async with plant.logged_in("counter") as (made, between):
        between.faults.append(fault)
        assert echoed(await made.say("send one")) == "one"


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("fault", LOSSES)
async def test_a_resumption_whose_answer_is_lost_or_wrong(
    plant: Plant, fault: Fault, step: int
) -> None:
    async with plant.logged_in("counter") as (made, between):
        before = await made.state()
        between.faults += [None] * step + [fault]
        assert not (await made.say("resume")).startswith("ok")
        # The ticket is still good, and nothing was stored.
        assert (await made.state()).saves == before.saves
        assert await made.say("resume") == "ok 200"
        assert echoed(await made.say("send one")) == "one"


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("fault", ["cut", "reflected", "garbage", "lost_answer", "rejected"])
async def test_a_login_whose_answer_is_lost_or_wrong(plant: Plant, fault: Fault, step: int) -> None:
    async with network(plant.at.url) as between, plant.started("counter", between.address) as made:
        code = await plant.code()
        between.faults += [None] * step + [fault]
        begun = await made.say("request")
        assert (begun == "ok 200") == (step > 0)
        assert step == 0 or not (await made.say(f"code {code}")).startswith("ok")
        state = await made.state()
        assert (state.saves, state.has_ticket, state.has_session) == (0, 0, 0)
        # A code from an operator is spent only if it has opened a session.
        if step < 2:
            await made.login(code)
        else:
            await made.login(await plant.code())
        assert echoed(await made.say("send one")) == "one"


async def test_a_wrong_code_costs_one_attempt(plant: Plant) -> None:
    async with plant.started("counter") as made:
        code = await plant.code()
        assert await made.say("request") == "ok 200"
        wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
        assert await made.say("code 123") == "no_code 200"
        assert await made.say(f"code {wrong}") == "http_refused 403"
        assert await made.say(f"code {code}") == "ok 200"


async def test_an_address_where_nothing_listens(plant: Plant, free_port: int) -> None:
    async with plant.started("counter", f"http://127.0.0.1:{free_port}") as made:
        assert await made.say("request") == "no_connection 0"


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"]
)
async def test_a_gateway_that_stops_to_answer(plant: Plant, begun: bytes) -> None:
    """The timeout limits the whole exchange, wherever the answer stops."""
    waiting: list[asyncio.StreamWriter] = []

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        waiting.append(writer)

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with plant.started("counter", url) as made:
            assert await made.say("timeout 300") == "ok 0"
            assert (await made.say("request")).startswith("no_answer ")
        for writer in waiting:
            writer.close()
            await writer.wait_closed()
        assert len(waiting) == 1


# --- clocks and epochs ---


@pytest.mark.parametrize("shift", [-3_600_000, -61_500, 61_500, 3_600_000])
async def test_a_wrong_clock_is_corrected(plant: Plant, shift: int) -> None:
    async with plant.logged_in("clock") as (made, _):
        assert await made.say(f"shift {shift}") == "ok 200"
        assert echoed(await made.say("send one")) == "one"
        assert echoed(await made.say("send two")) == "two"
    assert plant.at.ran == ["one", "two"]


async def test_an_answer_that_was_held_back_is_not_sent_again(plant: Plant) -> None:
    """The refusal cannot show that the message was not handled before."""
    async with plant.logged_in("clock") as (made, _):
        assert await made.say("shift -60500") == "ok 200"
        assert await made.say("send one") == "clock_refused 200"
        assert echoed(await made.say("send two")) == "two"
    assert plant.at.ran == ["two"]


async def test_an_epoch_that_has_ended_at_the_gateway(plant: Plant) -> None:
    async with plant.logged_in("counter") as (made, _):
        assert echoed(await made.say("send one")) == "one"
        plant.at.clock.offset_ms += 21 * 60_000  # the epoch is extended once
        assert echoed(await made.say("send two")) == "two"
        plant.at.clock.offset_ms += 21 * 60_000
        before = await made.state()
        assert echoed(await made.say("send three")) == "three"
        after = await made.state()
        assert (after.epoch, after.sequence) == (before.epoch + 1, before.sequence + 2)
    assert plant.at.ran == ["one", "two", "three"]


async def test_a_session_that_has_ended(plant: Plant) -> None:
    async with plant.logged_in("counter") as (made, _):
        plant.at.clock.offset_ms += 13 * 3_600_000
        assert await made.say("send one") == "http_refused 403"
        assert await made.say("resume") == "ok 200"
        assert echoed(await made.say("send two")) == "two"
    assert plant.at.ran == ["two"]


# --- long bodies ---


def image(length: int) -> bytes:
    """What the device sends as a body of this length."""
    return bytes(left % 251 for left in range(length, 0, -1))


def image_app() -> web.Application:
    """``/image`` in a length of the query; a PUT answers with the hash of what came."""

    async def get(request: web.Request) -> web.StreamResponse:
        whole, response = image(int(request.query["length"])), web.StreamResponse()
        if "declared" in request.query:
            response.content_length = len(whole)
        await response.prepare(request)
        for at in range(0, len(whole), 5000):
            await response.write(whole[at : at + 5000])
        if "fails" in request.query:
            assert request.transport is not None
            raise RuntimeError("the image ends here")
        return response

    async def put(request: web.Request) -> web.Response:
        digest, length = hashlib.sha256(), 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            length += len(piece)
        return web.Response(text=f"{length} {digest.hexdigest()}")

    app = web.Application()
    app.router.add_get("/image", get)
    app.router.add_put("/image", put)
    return app


@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_an_image_in_both_directions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fresh: str
) -> None:
    """Through a buffer of 8 KiB, whole or in a stream, with and without a declared length."""
    async with planted(tmp_path, capsys, image_app()) as plant, plant.started(fresh) as made:
        await made.login(await plant.code())
        for length in (0, 1, 4079, 100_000, 1_000_000):
            digest = hashlib.sha256(image(length)).hexdigest()
            for more in ("", "&declared=1"):
                said = await made.say(f"download /image?length={length}{more}")
                assert said == f"ok 200 {length} {digest}"
            answer = f"{length} {digest}".encode()
            said = await made.say(f"upload {length}")
            assert said == f"ok 200 {len(answer)} {hashlib.sha256(answer).hexdigest()}"
        assert (await made.say("download /missing")).startswith("ok 404 ")
        assert await made.say("age") == "ok 200"
        assert (await made.say("download /image?length=70000")).startswith("ok 200 70000 ")


async def test_an_image_that_ends_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with planted(tmp_path, capsys, image_app()) as plant:
        async with network(plant.at.url) as between, plant.started("counter", between.address) as d:
            await d.login(await plant.code())
            said = await d.say("download /image?length=70000&fails=1")
            assert said == "stream_aborted 200"
            between.faults.append("truncated")
            assert await d.say("download /image?length=70000") == "stream_broken 200"
            between.faults.append("cut")
            assert await d.say("download /image?length=70000") == "stream_broken 200"
            between.faults.append("longer")
            assert await d.say("download /image?length=70000") == "stream_broken 200"
            between.faults.append("reflected")
            assert await d.say("download /image?length=70000") == "bad_seal 200"
            assert (await d.say("download /image?length=70000")).startswith("ok 200 70000 ")


# --- power cuts ---


async def test_what_is_not_stored_is_not_used(plant: Plant) -> None:
    async with plant.logged_in("counter") as (made, _):
        assert echoed(await made.say("send one")) == "one"
        assert await made.say("fail 1") == "ok 200"
        assert await made.say("age") == "ok 200"
        before = await made.state()
        assert await made.say("send two") == "not_saved 200"
        assert await made.say("resume") == "not_saved 200"
        after = await made.state()
        assert (after.epoch, after.sequence) == (before.epoch, before.sequence)
        assert await made.say("fail 0") == "ok 200"
        # The gateway has ended the session, because it had sent the next ticket.
        assert await made.say("send two") == "http_refused 403"
        assert await made.say("resume") == "ok 200"
        assert echoed(await made.say("send three")) == "three"
    assert plant.at.ran == ["one", "three"]


async def test_a_login_that_cannot_be_stored(plant: Plant) -> None:
    async with plant.started("counter") as made:
        code = await plant.code()
        assert await made.say("request") == "ok 200"
        assert await made.say("fail 1") == "ok 200"
        assert await made.say(f"code {code}") == "not_saved 200"
        assert await made.say("send one") == "session_ended 200"
        assert not plant.state.exists()


async def restarted(plant: Plant, fresh: str, url: str) -> State:
    """A device that the power was taken from starts again, and sends one message."""
    async with plant.started(fresh, url) as made:
        assert (await made.say("load")).startswith("ok")
        state = await made.state()
        assert state.has_session == (fresh == "counter")
        if not state.has_session:
            assert await made.say("resume") == "ok 200"
        assert echoed(await made.say("send again")) == "again"
        return state


KILLED_WITH: tuple[Fault | None, ...] = (None, "lost_answer", "lost_request")


@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_power_cuts_between_any_two_steps(plant: Plant, fresh: str) -> None:
    """A kill after each step, and with each answer lost: the device always comes back."""
    async with network(plant.at.url) as between:
        async with plant.started(fresh, between.address) as made:
            await made.login(await plant.code())
            made.process.kill()
            await made.process.wait()
        steps = ("send x", "age", "send y", "resume", "send z", "age", "send z")
        for last in range(1, len(steps) + 1):
            for fault in KILLED_WITH:
                async with plant.started(fresh, between.address) as made:
                    assert (await made.say("load")).startswith("ok")
                    if fresh == "clock":
                        assert await made.say("resume") == "ok 200"
                    for step in steps[: last - 1]:
                        assert (await made.say(step)).startswith("ok")
                    between.faults.append(fault)
                    await made.say(steps[last - 1])
                    between.faults.clear()
                    made.process.kill()
                    await made.process.wait()
                await restarted(plant, fresh, between.address)


async def test_numbers_after_a_restart_were_never_used(plant: Plant) -> None:
    async with plant.logged_in("counter") as (made, between):
        for _ in range(3):
            echoed(await made.say("send x"))
        made.process.kill()
        await made.process.wait()
        first = await restarted(plant, "counter", between.address)
        second = await restarted(plant, "counter", between.address)
    # Each restart skips to the end of the numbers that are reserved.
    assert (first.sequence, second.sequence) == (1024, 1025 + 1024)


async def test_the_state_of_another_device_is_refused(plant: Plant, tmp_path: Path) -> None:
    async with plant.logged_in("counter"):
        pass
    stored = plant.state.read_bytes()
    async with device(plant.at.url, "fan-8", plant.state, "counter") as made:
        assert (await made.say("load")).startswith("bad_state")
    for damaged in (stored[:-1], b"", bytes(len(stored)), stored[:40] + b"x" + stored[41:]):
        plant.state.write_bytes(damaged)
        async with plant.started("counter") as made:
            assert (await made.say("load")).startswith("bad_state")
    plant.state.write_bytes(stored)
    plant.state.chmod(0o644)
    async with plant.started("counter") as made:
        assert (await made.say("load")).startswith("bad_state")
    plant.state.unlink()
    async with plant.started("counter") as made:
        assert (await made.say("load")).startswith("no_ticket")


async def test_one_process_at_a_time_uses_a_state(plant: Plant) -> None:
    async with plant.started("counter"):
        second = (built() / "test_device", "127.0.0.1", "1", NAME, plant.state, "counter")
        async with program(*map(str, second), stdout=asyncio.subprocess.PIPE) as ran:
            async with asyncio.timeout(20):
                assert (await ran.communicate())[0] == b"state_in_use\n"
