"""When a device tries again, and when it needs a person: the core, and the example at a gateway."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from c_client import SOURCES, built
from processes import program
from test_c_gateway import NAME, Plant, planted

TRY_AGAIN, ASK_FOR_CODE, REPAIR = 1, 2, 3
HEADER = (SOURCES / "include" / "certless.h").read_text()
ENUM = re.findall(
    r"\bCERTLESS_\w+", HEADER.partition("typedef enum certless_error {")[2].partition("}")[0]
)
ERRORS = {name.removeprefix("CERTLESS_"): number for number, name in enumerate(ENUM)}
AGAIN = ("MALFORMED", "BAD_POINT", "BAD_SEAL", "TICKET_REFUSED", "NO_CONNECTION", "NO_ANSWER")
AGAIN_OF_MESSAGES = ("CLOCK_CORRECTED", "CLOCK_REFUSED", "EPOCH_ENDED", "STREAM_BROKEN")
NOT_AGAIN = ("BAD_REQUEST", "NO_ENTROPY", "NOT_SAVED", "BUFFER_TOO_SMALL", "BAD_STATE")
REFUSED = ERRORS["HTTP_REFUSED"]


def decided(random: int, *lines: str) -> list[tuple[int, int, int]]:
    """The remedy, the wait and whether the session is open, after each line."""
    ran = subprocess.run(
        [built() / "test_retry", str(random)],
        input="".join(f"{line}\n" for line in lines),
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    rows = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    return [(remedy, wait_ms, is_open) for remedy, wait_ms, is_open in rows]


# --- the core ---

GROWING = [1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000]


@pytest.mark.parametrize("kind", ["message", "resumption"])
def test_waits_grow_and_half_of_them_is_random(kind: str) -> None:
    lost = f"{kind} {ERRORS['NO_ANSWER']} 0 0"
    waits = {random: [w for _, w, _ in decided(random, *[lost] * 11)] for random in (0, 85, 255)}
    assert waits[0] == [most // 2 for most in GROWING]
    for middle, low, most in zip(waits[85], waits[0], GROWING, strict=True):
        assert low <= middle <= most
    assert len({tuple(row) for row in waits.values()}) == 3
    # Without random numbers it waits too.
    assert [w for _, w, _ in decided(-1, *[lost] * 11)] == waits[0]


def test_waits_stay_the_longest_for_ever() -> None:
    lost = f"resumption {ERRORS['NO_CONNECTION']} 0 0"
    found = decided(0, *[lost] * 600)
    assert found[-1] == (TRY_AGAIN, 150000, 1)
    assert {remedy for remedy, _, _ in found} == {TRY_AGAIN}


@pytest.mark.parametrize(
    ("said_s", "least_ms", "most_ms"),
    [
        (1, 1000, 2000),
        (60, 60_000, 75_000),
        (900, 900_000, 1_125_000),
        (3600, 3_600_000, 4_500_000),
    ],
)
def test_the_time_that_the_gateway_names(said_s: int, least_ms: int, most_ms: int) -> None:
    """At least that long, and not all at the same moment after it."""
    waits = [
        decided(random, f"resumption {REFUSED} 429 {said_s}")[0][1] for random in (0, 77, 200, 255)
    ]
    assert waits[0] == least_ms
    assert all(least_ms <= wait <= most_ms for wait in waits)
    assert len(set(waits)) > 2


def test_a_forged_time_stops_a_device_for_about_an_hour_at_most() -> None:
    for said_s in (3601, 86400, 999_999_999):
        assert decided(0, f"resumption {REFUSED} 429 {said_s}") == [(TRY_AGAIN, 3_600_000, 1)]


def test_a_ticket_that_is_refused_without_end_needs_a_person() -> None:
    refused, lost = f"resumption {REFUSED} 403 0", f"resumption {ERRORS['NO_ANSWER']} 0 0"
    busy = f"resumption {REFUSED} 503 0"
    remedies = [remedy for remedy, _, _ in decided(0, *[refused] * 15)]
    assert remedies == [TRY_AGAIN] * 14 + [ASK_FOR_CODE]
    # Other failures between them count neither for nor against it.
    remedies = [remedy for remedy, _, _ in decided(0, *[refused, lost, busy] * 14, refused)]
    assert remedies == [TRY_AGAIN] * 42 + [ASK_FOR_CODE]
    # A message needs a session, so the ticket was good.
    message = f"message {ERRORS['NO_ANSWER']} 0 0"
    remedies = [r for r, _, _ in decided(0, *[refused] * 14, message, *[refused] * 14)]
    assert set(remedies) == {TRY_AGAIN}
    remedies = [r for r, _, _ in decided(0, *[refused] * 14, "zeros", *[refused] * 14)]
    assert set(remedies) == {TRY_AGAIN}
    assert "15 times" in HEADER
    assert "#define CERTLESS_MAX_REFUSALS 15u" in HEADER


def test_a_session_that_was_refused_is_resumed_at_once_the_first_time() -> None:
    refused = f"message {REFUSED} 403 0"
    assert decided(0, refused, refused) == [(TRY_AGAIN, 0, 0), (TRY_AGAIN, 1000, 0)]
    ended = f"message {ERRORS['SESSION_ENDED']} 0 0"
    assert decided(0, ended, ended) == [(TRY_AGAIN, 0, 1), (TRY_AGAIN, 1000, 1)]
    # Another status says nothing about the session.
    assert decided(0, f"message {REFUSED} 502 0") == [(TRY_AGAIN, 500, 1)]


def test_what_each_error_needs() -> None:
    for kind, again in (("resumption", AGAIN), ("message", AGAIN + AGAIN_OF_MESSAGES)):
        for name in again:
            assert decided(0, f"{kind} {ERRORS[name]} 0 0")[0][0] == TRY_AGAIN, name
        for name in NOT_AGAIN:
            assert decided(0, f"{kind} {ERRORS[name]} 0 0")[0][0] == REPAIR, name
        assert decided(0, f"{kind} {ERRORS['NO_TICKET']} 0 0")[0][0] == ASK_FOR_CODE


# --- the example, at a gateway ---

NEEDS_PERSON = 3
# Of the stored state: the ticket and its secret.
TICKET = slice(6, 54)
WAITS = re.compile(r"waits (\d+) ms")


@asynccontextmanager
async def sensors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], **options: str
) -> AsyncIterator[Plant]:
    app = web.Application()
    app.router.add_put("/readings/{number}", _take)
    async with planted(tmp_path, capsys, app, **options) as plant:
        yield plant


async def _take(_: web.Request) -> web.Response:
    return web.Response(status=201)


def command(plant: Plant, times: int = 1) -> list[str]:
    port = plant.at.url.rpartition(":")[2]
    program_of_test = built() / "test_sensor"
    return [str(w) for w in (program_of_test, "127.0.0.1", port, NAME, plant.state, times)]


async def ran(plant: Plant, typed: str = "") -> tuple[int | None, str, str]:
    """The status of a sensor, its output and its complaints."""
    pipe = asyncio.subprocess.PIPE
    async with program(*command(plant), stdin=pipe, stdout=pipe, stderr=pipe) as sensor:
        async with asyncio.timeout(60):
            out, err = await sensor.communicate(typed.encode())
        return sensor.returncode, out.decode(), err.decode()


async def logged_in(plant: Plant) -> None:
    status, out, err = await ran(plant, f"{await plant.code()}\n")
    assert (status, out, err) == (0, "Code of the operator: 1: status 201\n", "")


async def test_a_sensor_that_was_revoked_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with sensors(tmp_path, capsys) as plant:
        await logged_in(plant)
        ticket = plant.state.read_bytes()[TICKET]
        await plant.certless("sessions", "end", "--user", NAME)
        status, out, err = await ran(plant)
        assert (status, out) == (NEEDS_PERSON, "")
        assert err.count("resumption: The gateway answered with an error outside the seal.") == 15
        waits = [int(found) for found in WAITS.findall(err)]
        assert waits[0] == 0  # the session was refused first
        assert len(waits) == 15
        # 4 minutes of growing waits at least, and 4 of the longest.
        assert 15 * 60_000 < sum(waits) < 40 * 60_000
        assert f"erase {plant.state}, start this by hand, and type a new code.\n" in err
        # It has deleted nothing, because anybody on the network can write such an answer.
        assert plant.state.read_bytes()[TICKET] == ticket
        plant.state.unlink()
        await logged_in(plant)


async def test_a_sensor_with_a_ticket_of_the_factory_until_it_is_stolen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As docs/devices.md has it: nobody types anything, and a revocation stops the device."""
    async with sensors(tmp_path, capsys) as plant:
        made = ("ticket", "issue", NAME, "--device", "pump-7", "--format", "raw")
        await plant.certless(*made, "--out", str(plant.state))
        for _ in range(2):
            assert await ran(plant) == (0, "1: status 201\n", "")
        assert "pump-7" in await plant.certless("devices", "list")
        await plant.certless("devices", "revoke", NAME, "pump-7")
        status, out, err = await ran(plant)
        assert (status, out) == (NEEDS_PERSON, "")
        assert "It stops here." in err


async def test_a_sensor_without_a_ticket_and_without_a_person_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with sensors(tmp_path, capsys) as plant:
        assert (await ran(plant))[0] == NEEDS_PERSON
        assert (await ran(plant, "7K3Q-WXYZ\n"))[0] == NEEDS_PERSON
        assert not plant.state.exists()


@asynccontextmanager
async def waiting(plant: Plant) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    async with program(*command(plant), stdin=pipe, stdout=pipe, stderr=pipe) as sensor:
        yield sensor


async def next_wait(sensor: asyncio.subprocess.Process) -> int:
    assert sensor.stderr is not None
    async with asyncio.timeout(30):
        while True:
            line = (await sensor.stderr.readline()).decode()
            assert line, "the sensor has ended"
            if found := WAITS.match(line):
                return int(found[1])


async def test_a_sensor_that_is_limited_comes_back_when_the_gateway_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second resumption comes after 60 minutes of 90."""
    async with sensors(tmp_path, capsys, resumptions_per_address="1 per 90 minutes") as plant:
        await logged_in(plant)
        plant.at.clock.offset_ms += 3_600_000  # the session ends
        assert (await ran(plant))[:2] == (0, "1: status 201\n")
        plant.at.clock.offset_ms += 3_600_000
        async with waiting(plant) as sensor:
            assert await next_wait(sensor) == 0  # the session was refused first
            for _ in range(3):
                assert 1_795_000 <= await next_wait(sensor) <= 2_260_000
            plant.at.clock.offset_ms += 1_800_000
            async with asyncio.timeout(30):
                out, _ = await sensor.communicate()
            assert (sensor.returncode, out) == (0, b"1: status 201\n")


async def test_a_sensor_waits_longer_for_a_gateway_that_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], free_port: int
) -> None:
    async with sensors(tmp_path, capsys) as plant:
        await logged_in(plant)
        plant.at.url = f"http://127.0.0.1:{free_port}"
        async with waiting(plant) as sensor:
            waits = [await next_wait(sensor) for _ in range(12)]
    for wait, most in zip(waits, [*GROWING, 300_000], strict=True):
        assert most // 2 <= wait <= most


# --- the examples for boards, with what they use of their platforms on this machine ---

PROMPT = b"Code of the operator: "


async def said(device: asyncio.subprocess.Process, text: str) -> list[int]:
    """Read lines up to one with ``text``; the waits before it."""
    assert device.stdout is not None
    waits = []
    async with asyncio.timeout(60):
        while True:
            line = (await device.stdout.readline()).decode()
            assert line, "the device has ended"
            if found := WAITS.search(line):
                waits.append(int(found[1]))
            if text in line:
                return waits


async def prompted(device: asyncio.subprocess.Process) -> bytes:
    assert device.stdout is not None
    async with asyncio.timeout(60):
        return await device.stdout.readuntil(PROMPT)


async def type_code(device: asyncio.subprocess.Process, code: str) -> None:
    assert device.stdin is not None
    device.stdin.write(f"{code}\n".encode())
    await device.stdin.drain()


@pytest.mark.parametrize("example", ["test_thermometer", "test_arduino"])
async def test_a_board_that_was_revoked_waits_for_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], example: str
) -> None:
    async with sensors(tmp_path, capsys) as plant:
        port = plant.at.url.rpartition(":")[2]
        words = [str(word) for word in (built() / example, "127.0.0.1", port, plant.state)]
        pipe = asyncio.subprocess.PIPE
        async with program(*words, stdin=pipe, stdout=pipe, stderr=None) as device:
            assert await prompted(device) == PROMPT
            await type_code(device, "123")
            assert b"A code has eight letters and digits" in await prompted(device)
            await type_code(device, await plant.code())
            await said(device, "1: status 201")
            await plant.certless("sessions", "end", "--user", NAME)
            await said(device, "(HTTP status 403)")
            waits = await said(device, "a person has to type a new code")
            assert 15 * 60_000 < sum(waits) < 40 * 60_000
            assert await prompted(device) == PROMPT
            # It tries nothing until then: the next line is about the new session.
            assert device.stdout is not None
            await type_code(device, await plant.code())
            async with asyncio.timeout(60):
                assert b": status 201" in await device.stdout.readline()


@pytest.mark.parametrize("example", ["test_thermometer", "test_arduino"])
async def test_a_board_continues_after_a_restart_and_after_its_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], example: str
) -> None:
    async with sensors(tmp_path, capsys) as plant:
        port = plant.at.url.rpartition(":")[2]
        words = [str(word) for word in (built() / example, "127.0.0.1", port, plant.state)]
        pipe = asyncio.subprocess.PIPE
        for start in range(2):
            async with program(*words, stdin=pipe, stdout=pipe, stderr=None) as device:
                if start == 0:
                    assert await prompted(device) == PROMPT
                    await type_code(device, await plant.code())
                assert await said(device, "1: status 201") == []
                assert 60_000 in await said(device, "3: status 201")
                if start == 1:
                    plant.at.clock.offset_ms += 13 * 3_600_000  # the session ends
                    await said(device, "(HTTP status 403)")
                    assert await said(device, ": status 201") == [0]
