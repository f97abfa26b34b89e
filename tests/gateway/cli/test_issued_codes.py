"""``code issue`` and ``code revoke`` for devices, beside a gateway that runs on the same store."""

import csv
import io
import json
import re
import stat
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, gateway_beside

from certless.client import CodeNotAccepted
from gateway.errors import StoreUnavailable
from gateway.sessions.management import Operators


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


async def test_each_device_logs_in_with_its_code(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        codes = {
            device: await here.issued("fan-7", "--device", device)
            for device in ("pump-7", "pump-8", "10:2f:3a")
        }
        for device, code in reversed(codes.items()):
            async with here.client(tickets=tmp_path / device) as client:
                with pytest.raises(CodeNotAccepted):
                    await client.login("fan-7", code=code)
                await client.login("fan-7", code=code, device=device)
                assert (await (await client.get("/echo")).json())["user"] == "Fan-7"
                await client.resume()


async def test_request_logs_in_as_a_device(
    beside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with beside() as here:
        code = await here.issued("fan-7", "--device", "pump-7")
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{code}\n"))
        login = ("request", "--login", "fan-7", "--device", "pump-7")
        ran = await here.certless(
            *login, "--tickets", str(tmp_path / "t"), "GET", here.url("/echo")
        )
        assert ran.status == 0
        assert json.loads(ran.out)["user"] == "Fan-7"
        assert ran.err.startswith("Code for pump-7: ")
        for name in ("a b", "-"):
            ran = await here.certless(*login[:-1], name, "GET", here.url("/echo"))
            assert (ran.status, ran.out) == (2, "")
            assert "1 to 64 characters" in ran.err


async def test_a_code_for_a_week(beside: Any) -> None:
    async with beside() as here, here.client(clock=here.at.clock) as client:
        ran = await here.certless(
            "code", "issue", "Fan-7", "--device", "pump-7", "--lifetime", "7d"
        )
        assert ran.err == (
            "For the next login of device pump-7 of Fan-7: valid once, for 7 days, with at most 5 "
            "attempts.\n"
        )
        here.at.clock.offset_ms = 7 * 86_400_000 - 60_000
        await client.login("fan-7", code=ran.out.strip(), device="pump-7")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lifetime", "59s"], "from 1 minute to 30 days"),
        (["--lifetime", "31d"], "from 1 minute to 30 days"),
        (["--lifetime", "10"], "a duration like 12h or 7d"),
        (["--lifetime", "-1d"], "expected one argument"),
        (["--device", "a b"], "1 to 64 characters"),
        (["--out", "codes.csv"], "--out is for --batch"),
    ],
)
async def test_wrong_options(beside: Any, options: list[str], words: str) -> None:
    async with beside() as here:
        try:
            ran = await here.certless("code", "issue", "Fan-7", *options)
        except SystemExit:
            assert words in here.capsys.readouterr().err
            return
        assert (ran.status, ran.out) == (2, "")
        assert words in ran.err


async def test_codes_of_devices_are_revoked(beside: Any) -> None:
    async with beside() as here, here.client() as client:
        for device in ("pump-7", "pump-8", "pump-9"):
            await here.issued("Fan-7", "--device", device)
        code = await here.issued("Fan-7")
        ran = await here.certless("code", "revoke", "Fan-7", "--device", "pump-8")
        assert (ran.status, ran.err) == (0, "The code for device pump-8 of Fan-7 is revoked.\n")
        ran = await here.certless("code", "revoke", "Fan-7", "--device", "pump-8")
        assert ran.status == 1
        assert "there is no issued code for device pump-8 of Fan-7" in ran.err
        await client.login("Fan-7", code=code)
        ran = await here.certless("code", "revoke", "Fan-7", "--all")
        assert (ran.status, ran.err) == (0, "Revoked 2 codes of Fan-7.\n")


# --- batches ---


def batch(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "devices.csv").write_text(text)
    return ("--batch", str(folder / "devices.csv"), "--out", str(folder / "codes.csv"))


async def test_a_batch_of_codes_for_labels(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        # As a spreadsheet writes it.
        text = '\ufeffName,Device\r\nFAN-7,pump-7\r\n\r\nfan-7, pump-8 \r\n"ann",\r\n'
        ran = await here.certless("code", "issue", *batch(tmp_path, text), "--lifetime", "2h")
        assert (ran.status, ran.out) == (0, "")
        assert ran.err == (
            f"Wrote 3 codes to {tmp_path / 'codes.csv'}: each is valid once, for 2 hours, with at "
            "most 5 attempts. Delete the file after use.\n"
        )
        out = tmp_path / "codes.csv"
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        lines = list(csv.DictReader(out.read_text().splitlines()))
        assert [(line["name"], line["device"]) for line in lines] == [
            ("Fan-7", "pump-7"),
            ("Fan-7", "pump-8"),
            ("ann", ""),
        ]
        for line in lines:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\dZ", line["expires"])
            assert line["code"] not in ran.err
            async with here.client() as client:
                device = line["device"] or None
                await client.login(line["name"], code=line["code"], device=device)
        assert here.at.mails.mails.empty()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,device\nfan-7,pump-7\nnobody,pump-8\n", "line 3, column name: the gateway has no"),
        ("name,device\nfan-7,pump-7\nfan-7,pump 8\n", "line 3, column device: 'pump 8'"),
        ("name,device\nfan-7,=cmd\n", "line 2, column device: '=cmd'"),
        ("name,device\nfan-7,a\n\nFan-7,a\n", "line 4, column device: the same user and device as"),
        ("name,device\nfan-7\n", "line 2, column device: it is missing"),
        ("name,device\nfan-7,a,b\n", "line 2, column 3: line 1 has no such column"),
        ("name,serial\nfan-7,a\n", "line 1, column serial: the first line must be name,device"),
        ("device\na\n", "line 1: there is no column name"),
        ("fan-7,pump-7\n", "line 1, column fan-7"),
        ('name,device\n"fan-7,a\n', "line 2"),
        ("name,device\n,a\n", "line 2, column name"),
        ("name,device\n", "lists no devices"),
        ("", "lists no devices"),
    ],
)
async def test_a_wrong_line_changes_nothing(
    beside: Any, tmp_path: Path, text: str, words: str
) -> None:
    async with beside() as here, here.client() as client:
        code = await here.issued("Fan-7", "--device", "pump-7")
        ran = await here.certless("code", "issue", *batch(tmp_path, text))
        assert (ran.status, ran.out) == (2, "")
        assert words in ran.err
        assert not (tmp_path / "codes.csv").exists()
        # The code of before is still the one that is valid.
        await client.login("Fan-7", code=code, device="pump-7")


async def test_a_file_of_codes_is_not_replaced(beside: Any, tmp_path: Path) -> None:
    async with beside() as here, here.client() as client:
        code = await here.issued("Fan-7", "--device", "pump-7")
        given = batch(tmp_path, "name,device\nfan-7,pump-7\n")
        (tmp_path / "codes.csv").write_text("of yesterday")
        ran = await here.certless("code", "issue", *given)
        assert (ran.status, ran.out) == (2, "")
        assert "exists: name a new file" in ran.err
        assert (tmp_path / "codes.csv").read_text() == "of yesterday"
        await client.login("Fan-7", code=code, device="pump-7")


async def test_no_file_is_left_if_the_store_fails(
    beside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> None:
        raise StoreUnavailable("the disk is full")

    async with beside() as here:
        monkeypatch.setattr(Operators, "issue", fails)
        ran = await here.certless("code", "issue", *batch(tmp_path, "name\nfan-7\n"))
        assert (ran.status, ran.out) == (1, "")
        assert not (tmp_path / "codes.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--batch", "missing.csv", "--out", "codes.csv"], "No such file"),
        (["--batch", "bytes.csv", "--out", "codes.csv"], "not UTF-8"),
        (["--batch", "devices.csv"], "say where to write the codes: --out FILE"),
        (["--batch", "devices.csv", "--out", "missing/codes.csv"], "No such file"),
        (["--batch", "devices.csv", "--out", "x", "--device", "a"], "--device is for one code"),
    ],
)
async def test_wrong_files(
    beside: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bytes.csv").write_bytes(b"name\n\xff\n")
    (tmp_path / "devices.csv").write_text("name\nfan-7\n")
    async with beside() as here:
        ran = await here.certless("code", "issue", *options)
        assert (ran.status, ran.out) == (2, "")
        assert words in ran.err
    assert not (tmp_path / "codes.csv").exists()
