"""What came from outside cannot drive a terminal, end a line of a log, or begin another."""

import ast
import logging
from pathlib import Path

import pytest
from gateways import CaughtMails
from http_2 import over_http_2, status
from starlette.applications import Starlette

import gateway
from gateway import CodeMail, MailNotSent, MailTransport
from gateway.adapters.asgi.app import Certless
from gateway.logs import LOGGERS, on_one_line, word
from gateway.mail.queue import MailQueue

SOURCES = sorted((Path(gateway.__file__).parent).rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
EVIL = [
    "\x1b[2J\x1b[31m",
    "\r\n2026-11-30 00:00:00 INFO session opened",
    "\n",
    "\x00",
    "\x08\x7f",
    "\x85",
    "\x9b31m",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066\u2069",
    "\u200b\u200f",
    "\ufeff",
    "\ud800",
    "\udcff",
    "\u00a0",
    "\U000e0041",
]


def is_plain(text: str) -> bool:
    return text.isprintable()


@pytest.mark.parametrize("evil", EVIL)
def test_what_cannot_be_printed_is_escaped(evil: str) -> None:
    for write in (on_one_line, word):
        written = write(f"a{evil}b")
        assert is_plain(written)
        assert written.startswith("a")
        assert written.endswith("b")
        assert "\\" in written
        assert write(written) == written
    assert word(f"a{evil} b").isascii()
    assert " " not in word(f"a{evil} b")


def test_what_can_be_printed_stays() -> None:
    assert on_one_line("Åsa, C:\\x 店") == "Åsa, C:\\x 店"
    assert word("/a%20b?\\x") == "/a%20b?\\x"
    assert word("/å b") == "/\\xe5\\x20b"


def test_what_is_too_long_is_cut() -> None:
    assert on_one_line("x" * 1001) == "x" * 1000 + "..."
    assert word("x" * 300) == "x" * 200


@pytest.mark.parametrize("name", LOGGERS)
@pytest.mark.parametrize("evil", EVIL)
def test_a_line_is_one_line(name: str, evil: str, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger(name)
    log.error("%s failed, %d times: %s", evil, 2, ValueError(f"no {evil}"))
    log.error("%(what)s failed", {"what": evil})
    log.error("%s", [evil])
    assert all(is_plain(record.getMessage()) for record in caplog.records)
    assert "failed, 2 times: no" in caplog.text


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_line_is_written_by_such_a_logger(path: Path) -> None:
    """What comes from outside is an argument, and never a part of the text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        called = ast.unparse(node.func)
        if called == "logging.getLogger" and isinstance(node.args[0], ast.Constant):
            assert node.args[0].value in {*LOGGERS, "aiohttp.server", "mail.log"}
        if (node.func.attr in LEVELS and "log" in called.lower()) or called.startswith(
            "_refusals."
        ):
            assert not isinstance(node.args[0], (ast.JoinedStr, ast.BinOp, ast.Call)), called
            assert called.partition(".")[0] in {"_log", "_refusals", "self"}


# --- by HTTP/2, whose paths may hold what is no path ---


async def test_a_path_by_http_2(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "certless.refused")
    app = Certless(Starlette(), users=gateway.AnyAddress(), mail=CaughtMails(), public=["/*"])
    paths = [
        b"/\x1b[2J\x1b[31mred",
        b"/a 200 0.1ms session",
        b"/\x08\x07\t\x7f",
        b"/;" + b"x" * 999,
    ]
    async with over_http_2(app) as port:
        assert await status(port, b"/open") == 404
        for path in paths:
            assert await status(port, path) == 401
    lines = [one.getMessage() for one in caplog.records if one.name == "certless.refused"]
    assert [line.split(" ")[0] for line in lines] == ["127.0.0.1"] * 4
    assert all(is_plain(line) for line in lines)
    shown = [line.split(" ")[1] for line in lines]
    assert shown[:3] == [
        "/\\x1b[2J\\x1b[31mred:",
        "/a\\x20200\\x200.1ms\\x20session:",
        ("/\\x08\\x07\\t\\x7f:"),
    ]
    assert len(shown[3]) == 201


# --- texts of other servers ---


class Refusing(MailTransport):
    """A mail server that says something."""

    def __init__(self, said: str) -> None:
        self._said = said

    async def deliver(self, address: str, mail: CodeMail) -> None:
        raise MailNotSent(f"the SMTP server says {self._said}", final=True)


@pytest.mark.parametrize("evil", EVIL)
async def test_the_words_of_a_mail_server(evil: str, caplog: pytest.LogCaptureFixture) -> None:
    mail_queue = MailQueue(Refusing(evil))
    mail_queue.send(
        ("ann@example.org",), CodeMail("a shop", "ann", "CODE", "192.0.2.7", 10), bytes(16)
    )
    await mail_queue.finish()
    await mail_queue.close()
    (line,) = (record.getMessage() for record in caplog.records)
    assert "mail not sent" in line
    assert is_plain(line)
