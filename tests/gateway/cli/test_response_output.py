"""The response of ``certless request``: on standard output, or in a file."""

import io
import sys
from pathlib import Path

import pytest
from yarl import URL

from certless.client import Response, StreamResponse
from certless.client.streams import StreamCall, whole_response
from gateway.cli.response_output import show
from gateway.cli.terminal import ProgressBar
from gateway.errors import ConfigError
from protocol.common.messages import HttpResponse
from protocol.streams.opening import StreamRequest

AT = URL("http://shop.example/orders")
HEADERS = (("Content-Type", "text/plain"), ("X-Odd", "a\x85b"))


def answers(status: int = 200, body: bytes = b"tea") -> list[Response | StreamResponse]:
    """The same response, as a message and as a stream."""
    inside = HttpResponse(status, HEADERS, body)
    asked = StreamRequest("GET", "/orders", (), None, 4096)
    return [Response("GET", AT, inside), whole_response(StreamCall(AT, asked, None, None), inside)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


both = pytest.mark.parametrize("kind", [0, 1], ids=["message", "stream"])


@both
async def test_the_body_is_written_byte_for_byte(
    kind: int, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    await show(answers(body=b"\xff\x00tea")[kind], include=False, file=None)
    assert capfdbinary.readouterr() == (b"\xff\x00tea", b"")


@both
async def test_with_its_headers_each_on_a_line(
    kind: int, capfd: pytest.CaptureFixture[str]
) -> None:
    await show(answers(404)[kind], include=True, file=None)
    out, err = capfd.readouterr()
    head, _, body = out.partition("\n\n")
    status, content_type, odd = head.split("\n")
    assert (status, content_type, body, err) == ("404", "Content-Type: text/plain", "tea", "")
    assert odd.startswith("X-Odd: a")


@both
async def test_an_error_status_is_reported_without_its_headers(
    kind: int, capfd: pytest.CaptureFixture[str]
) -> None:
    await show(answers(503)[kind], include=False, file=None)
    assert capfd.readouterr() == ("tea", "certless: the response has the status 503\n")


@both
async def test_a_file_has_the_body_alone(
    kind: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "orders"
    await show(answers(404)[kind], include=True, file=str(file))
    assert file.read_bytes() == b"tea"
    out, err = capfd.readouterr()
    assert out.startswith("404\n")
    assert err == "certless: the response has the status 404\n"


@both
async def test_a_file_that_cannot_be_written(kind: int, tmp_path: Path) -> None:
    file = tmp_path / "gone" / "orders"
    with pytest.raises(ConfigError, match=r"cannot write .*: No such file"):
        await show(answers()[kind], include=False, file=str(file))


@both
@pytest.mark.parametrize(("body", "more"), [(b"tea", "\n"), (b"tea\n", ""), (b"", "")])
async def test_a_prompt_begins_on_its_own_line(
    kind: int, body: bytes, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    terminal = io.TextIOWrapper(buffer, write_through=True)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    await show(answers(body=body)[kind], include=False, file=None)
    assert buffer.getvalue() == body + more.encode()


def test_progress_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", piped := io.StringIO())
    bar = ProgressBar("received")
    bar(5, 5)
    bar.end()
    assert piped.getvalue() == ""

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    bar = ProgressBar("received")
    bar(1024 * 1024, 2 * 1024 * 1024)
    # Within a tenth of a second only the end is shown.
    bar(1024 * 1024 + 1, 2 * 1024 * 1024)
    bar(2 * 1024 * 1024, 2 * 1024 * 1024)
    bar.end()
    assert terminal.getvalue() == (
        f"\rreceived 1.0 MiB of 2.0 MiB [{'#' * 15:<30}] 50 %\x1b[K"
        f"\rreceived 2.0 MiB of 2.0 MiB [{'#' * 30}] 100 %\x1b[K\n"
    )


def test_progress_of_an_unknown_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    ProgressBar("sent")(512 * 1024, None)
    assert terminal.getvalue() == "\rsent 0.5 MiB\x1b[K"
