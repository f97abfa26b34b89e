"""The bodies of ``certless request``, as curl makes them of the same options."""

import argparse
from pathlib import Path

import pytest

from gateway.cli import request_body
from gateway.cli.request_body import Body, add_body_arguments, body_of
from gateway.errors import ConfigError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


async def body(*arguments: str) -> Body:
    parser = argparse.ArgumentParser()
    add_body_arguments(parser)
    return await body_of(parser.parse_args(arguments))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.txt").write_bytes(b"a=\xff\n")
    (tmp_path / "cup.png").write_bytes(b"\x89PNG")
    return tmp_path


async def test_without_options_there_is_no_body() -> None:
    assert await body() == Body(None, {}, is_upload=False)


@pytest.mark.usefixtures("folder")
async def test_forms_are_joined_and_files_are_sent_as_they_are() -> None:
    assert await body("-d", "x=1", "-d", "@tea.txt", "--data", "") == Body(b"x=1&a=\xff\n&", FORM)
    assert await body("-d", "caf\udcc3\udca9") == Body(b"caf\xc3\xa9", FORM)


@pytest.mark.usefixtures("folder")
async def test_json_asks_for_json() -> None:
    assert await body("--json", '{"a": 1}') == Body(b'{"a": 1}', JSON)
    assert await body("--json", "@tea.txt") == Body(b"a=\xff\n", JSON)


@pytest.mark.usefixtures("folder")
async def test_fields_and_files_of_a_multipart_form() -> None:
    form = await body("-F", "name=a=b", "-F", "cup=@cup.png", "-F", "any=@tea.txt")
    content_type = form.headers["Content-Type"]
    assert content_type.startswith("multipart/form-data; boundary=")
    assert isinstance(form.data, bytes)
    boundary = content_type.partition("boundary=")[2].encode()
    name, cup, tea = form.data.split(b"--" + boundary)[1:-1]
    assert b'name="name"' in name
    assert name.endswith(b"\r\n\r\na=b\r\n")
    assert b'name="cup"; filename="cup.png"' in cup
    assert b"image/png" in cup
    assert cup.endswith(b"\r\n\r\n\x89PNG\r\n")
    assert b'filename="tea.txt"' in tea
    assert tea.endswith(b"\r\n\r\na=\xff\n\r\n")
    assert (form.is_upload, form.can_be_sent_again) == (False, True)


async def test_a_long_form_is_a_stream(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "_MESSAGE_BYTES", 1000)
    (folder / "long").write_bytes(bytes(1000))
    form = await body("-F", "a=@long")
    # It is in memory, so a redirect can have it too.
    assert (form.is_upload, form.can_be_sent_again) == (True, True)


@pytest.mark.usefixtures("folder")
async def test_an_upload_is_read_while_it_is_sent() -> None:
    sent = await body("-T", "cup.png")
    assert sent == Body(
        Path("cup.png"), {"Content-Type": "application/octet-stream"}, is_upload=True
    )
    assert sent.can_be_sent_again
    piped = await body("--upload-file", "-")
    assert piped.is_upload
    assert not piped.can_be_sent_again


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-d", "@gone"], "cannot read gone: No such file"),
        (["--json", "@gone"], "cannot read gone"),
        (["-F", "a=@gone"], "cannot read gone"),
        (["-T", "gone"], "cannot read gone"),
        (["-T", "."], "cannot read .: Is a directory"),
        (["-F", "a"], "field 'a' must be NAME=VALUE"),
        (["-F", "=b"], "field '=b' must be NAME=VALUE"),
    ],
)
async def test_what_cannot_be_sent(arguments: list[str], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        await body(*arguments)


@pytest.mark.parametrize("other", [["--json", "b"], ["-F", "a=b"], ["-T", "-"]])
async def test_only_one_kind_of_body(other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        await body("-d", "a", *other)
    assert "not allowed with" in capsys.readouterr().err
