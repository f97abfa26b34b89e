"""``python -m gateway`` as people run it: processes of its own, exit codes, and what is printed."""

import asyncio
import base64
import contextlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mailboxes import CODE_LINE, codes_in, eventually, mails_in, text_of, wait_for
from processes import ROOT

from certless.client import Client
from protocol.classic.dialects import DIALECTS, derive

REPOSITORY = ROOT
COMMAND = [sys.executable, "-m", "gateway"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1"}
SERVING = re.compile(r"INFO serving (http://127\.0\.0\.1:(\d+)) in front of (\S+)$", re.MULTILINE)
ACCESS = re.compile(
    r"^\S+ \S+ INFO 127\.0\.0\.1 (?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d{3}) [\d.]+ms "
    r"(?P<outcome>.+)$",
    re.MULTILINE,
)
TOKEN = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_numbers = count(1)


def certless(*arguments: str | bytes, cwd: Path, stdin: bytes = b"") -> "Ended":
    """A command from start to end."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        input=stdin,
        capture_output=True,
        timeout=30,
        start_new_session=True,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr.decode())


@dataclass
class Ended:
    status: int
    out: bytes
    err: str

    def said_one_line(self, status: int, *words: str) -> None:
        """The way of every mistake: one line on stderr that names the thing, and the exit code."""
        assert self.status == status, self
        assert self.out == b""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("certless")
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err


@dataclass
class Served:
    """A running ``serve``; it is ended with the test."""

    process: subprocess.Popen[bytes]
    log_file: Path
    mails: Path
    url: str = ""

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8")

    @property
    def accesses(self) -> list[re.Match[str]]:
        return list(ACCESS.finditer(self.log))

    def wait_until_it_serves(self) -> None:
        wait_for(lambda: SERVING.search(self.log) or self.process.poll() is not None)
        found = SERVING.search(self.log)
        assert found, self.log
        self.url = found[1]
        # It answers, so its signal handlers are there as well.
        self.logged()

    def logged(self) -> int:
        """The number of accesses once the log is up with them: a line is later than its answer."""
        last = f"/last-{next(_numbers)}"
        assert self.ask("GET", last)[0] == 401
        wait_for(lambda: any(access["path"] == last for access in self.accesses))
        return len(self.accesses)

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """A request in plain HTTP, exactly as it is written here."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.url.rpartition(":")[2]))
        with contextlib.closing(connection):
            connection.request(method, target, body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextlib.contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[Served]:
    log_file = folder / f"serve-{next(_numbers)}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", *arguments], cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log
        )
    served = Served(process, log_file, folder / "mails")
    try:
        served.wait_until_it_serves()
        yield served
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in served.log


# --- the API behind it ---


class Upstream(ThreadingHTTPServer):
    """An HTTP API that tells what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        assert isinstance(self.server, Upstream)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        asked = {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": base64.b64encode(body).decode(),
        }
        self.server.asked.append(asked)
        status = int(self.path.rpartition("/status/")[2]) if "/status/" in self.path else 200
        redirect = re.match(r"/redirect/(\d+)/(.*)", self.path)
        status = int(redirect[1]) if redirect else status
        content = json.dumps(asked).encode()
        if self.path.startswith("/bytes"):
            content = bytes(range(256)) * int(self.path.partition("?")[2] or "1")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Upstream", "yes")
        if redirect:
            self.send_header("Location", urllib.parse.unquote(redirect[2]))
        if self.path == "/sign-in":
            self.send_header("Set-Cookie", "sid=5; HttpOnly; Path=/")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests read what was asked from ``asked``."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def for_anybody(upstream_url: str) -> list[str]:
    return ["--listen", "127.0.0.1:0", "--upstream", upstream_url, "--any-address"]


@pytest.fixture(scope="module")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for all tests that only ask it."""
    folder = tmp_path_factory.mktemp("running")
    arguments = ["--mail", "dir:mails", "--public", "/static/*", "--site", "Лавка"]
    with serve(folder, *for_anybody(upstream.url), *arguments) as served:
        yield served


def code_for(mails: Path, address: str) -> str | None:
    """The code in the one mail to ``address``, once it is there."""
    for mail in mails_in(mails):
        if mail["To"] == address:
            (code,) = CODE_LINE.findall(text_of(mail))
            return str(code)
    return None


@dataclass
class Asked(Ended):
    """A ``request`` that ended, and the code it was given."""

    code: str = ""
    login: str = ""
    seen: dict[str, Any] = field(default_factory=dict)


def request(
    served: Served, *arguments: str, password: str | None = None, asks: str = "Paste the code: "
) -> Asked:
    """Run ``request`` and give it the code from its mail, as a person would."""
    login = f"user{next(_numbers)}@example.org"
    command = [*COMMAND, "request", "--login", login, *arguments]
    with subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Without a terminal, a password is read from standard input.
        start_new_session=True,
    ) as process:
        assert process.stdin
        try:
            if password is not None:
                process.stdin.write(password.encode() + b"\n")
                process.stdin.flush()
            wait_for(lambda: code_for(served.mails, login) or process.poll() is not None)
            code = code_for(served.mails, login) or ""
            out, err = process.communicate(code.encode() + b"\n", timeout=30)
        finally:
            process.kill()
    assert b"Traceback" not in err
    assert asks in err.decode()
    seen = json.loads(out) if out.startswith(b'{"method"') else {}
    return Asked(process.returncode, out, err.decode(), code, login, seen)


def header(seen: dict[str, Any], name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key == name]


# --- mistakes: one line, and nothing is served ---

SERVE = ["serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1"]
ANY = [*SERVE, "--any-address"]
WHOLE = [*ANY, "--mail", "console:"]
REQUEST = ["request", "--login", "ann", "GET", "http://127.0.0.1:1/"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "command"),
        (["server"], "server"),
        ([*WHOLE, "--nope"], "--nope"),
        ([*WHOLE, "--users", "users.toml"], "not allowed with"),
        ([*SERVE, "--mail", "console:"], "--any-address"),
        (ANY, "--mail is missing"),
        (["serve", "--any-address", "--mail", "console:"], "--upstream is missing"),
        ([*ANY, "--mail", "mailto:s3cret"], "mail must be"),
        ([*ANY, "--mail", "smtp://ann:s3cret@h:port"], "SMTP server"),
        ([*WHOLE, "--dialect", "klingon"], "'klingon'"),
        ([*WHOLE, "--suites", "ecdh-gcm,tls"], "suites"),
        ([*WHOLE, "--require", "/admin/*"], "PATTERN=SUITE"),
        ([*WHOLE, "--require", "/admin/*=tls"], "'tls'"),
        ([*WHOLE, "--store", "redis:x"], "store"),
        ([*WHOLE, "--store", "sqlite:missing/certless.db"], "missing/certless.db"),
        ([*WHOLE, "--public", "static/*"], "'static/*'"),
        ([*WHOLE, "--target", "/*/x"], "'/*/x'"),
        ([*WHOLE, "--site", "a\nb"], "site"),
        ([*WHOLE, "--listen", "8440"], "HOST:PORT"),
        ([*WHOLE, "--listen", "127.0.0.1:99999"], "HOST:PORT"),
        ([*WHOLE, "--listen", "192.0.2.1:0"], "cannot listen"),
        ([*WHOLE, "--upstream", "127.0.0.1:9000"], "upstream"),
        ([*WHOLE, "--upstream", "http://[::1"], "upstream"),
        ([*WHOLE, "--upstream", "http://127.0.0.1:99999"], "upstream"),
        ([*WHOLE, "--config", "missing.toml"], "missing.toml"),
        (["request", "GET", "http://127.0.0.1:1/"], "--login"),
        (["request", "--login", "ann", "GET"], "URL"),
        ([*REQUEST, "--suite", "tls"], "'tls'"),
        ([*REQUEST, "--suite", "ecdh-gcm", "--dialect", "sfet-3"], "no dialects"),
        ([*REQUEST, "--dialect", "klingon"], "'klingon'"),
        ([*REQUEST, "--dialect", "sfet-3", "--fresh", "counter"], "no counters"),
        ([*REQUEST, "--fresh", "never"], "'never'"),
        (["request", "--login", "ann", "GET", "127.0.0.1:1/"], "127.0.0.1:1/"),
        (["request", "--login", "ann", "GET", "http://[::1"], "http://[::1"),
        (["request", "--login", "ann", "GET", "http://127.0.0.1:99999/"], "99999"),
        (["request", "--login", "ann", "-H", "x", "GET", "http://127.0.0.1:1/"], "NAME: VALUE"),
        (["request", "--login", "ann", "-d", "@gone", "GET", "http://127.0.0.1:1/"], "gone"),
        (["request", "--login", "ann", "-T", "gone", "PUT", "http://127.0.0.1:1/"], "gone"),
        (["request", "--login", "ann", "-F", "a=@gone", "PUT", "http://127.0.0.1:1/"], "gone"),
        (["request", "--login", "ann", "-F", "a", "PUT", "http://127.0.0.1:1/"], "NAME=VALUE"),
        (["request", "-d", "a", "--json", "b", "PUT", "http://127.0.0.1:1/"], "not allowed with"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], word: str
) -> None:
    ended = certless(*arguments, cwd=tmp_path)
    ended.said_one_line(2, word)
    assert "s3cret" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--login", b"\xff", "GET", "http://127.0.0.1:1/"],
        ["--login", "ann", "-d", b"\xff", "POST", "http://127.0.0.1:1/"],
    ],
)
def test_arguments_that_are_no_text(tmp_path: Path, arguments: list[str | bytes]) -> None:
    ended = certless("request", *arguments, cwd=tmp_path)
    ended.said_one_line(ended.status)
    assert ended.status in (1, 2)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "No such file"),
        (b"[users.ann", "users.toml"),
        (b"[users.ann]\naddresses = 1", "'ann'"),
    ],
)
def test_a_users_file_with_a_mistake(tmp_path: Path, content: bytes | None, word: str) -> None:
    if content is not None:
        (tmp_path / "users.toml").write_bytes(content)
    ended = certless(*SERVE, "--mail", "console:", "--users", "users.toml", cwd=tmp_path)
    ended.said_one_line(2, "users.toml", word)


def test_a_users_file_that_cannot_be_read(tmp_path: Path) -> None:
    # Also where the tests run as root, who may read every file: a folder is none.
    ended = certless(*SERVE, "--mail", "console:", "--users", str(tmp_path), cwd=tmp_path)
    ended.said_one_line(2, str(tmp_path), "directory")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = certless(*WHOLE, "--listen", f"127.0.0.1:{port}", cwd=tmp_path)
    ended.said_one_line(2, f"port {port} is in use", "--listen")


def test_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "junk.db").write_bytes(b"this was never a database\n" * 100)
    for name in ("folder.db", "junk.db"):
        ended = certless(*WHOLE, "--store", f"sqlite:{name}", cwd=tmp_path)
        ended.said_one_line(1, name)


@pytest.mark.parametrize(
    ("mode", "content", "word"),
    [
        (0o644, base64.b64encode(bytes(32)), "chmod 600"),
        (0o600, b"too short", "32 bytes"),
    ],
)
def test_a_key_file_that_will_not_do(tmp_path: Path, mode: int, content: bytes, word: str) -> None:
    path = tmp_path / "certless.db.key"
    path.write_bytes(content)
    path.chmod(mode)
    # Named by the store, or by itself.
    for named in (["--store", "sqlite:certless.db"], ["--key-file", "certless.db.key"]):
        ended = certless(*WHOLE, *named, cwd=tmp_path)
        ended.said_one_line(2, "certless.db.key", word)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("port = 8440", "'port'"),
        ("code_chars = 6", "guessed"),
        ("dialect = 'shop'", "'shop'"),
        ("[dialects.shop]\nbase = 'sfet-3'\naes = 'ecb'", "aes"),
    ],
)
def test_a_config_file_with_a_mistake(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "gateway.toml").write_text(content)
    ended = certless(*WHOLE, "--config", "gateway.toml", cwd=tmp_path)
    ended.said_one_line(2, word)


# --- request, where it goes wrong ---


def test_a_gateway_that_is_not_there(tmp_path: Path, free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}/"
    ended = certless("request", "--login", "ann", "GET", url, cwd=tmp_path)
    ended.said_one_line(1, "no response", "running")


def test_a_server_that_is_no_gateway(tmp_path: Path, upstream: Upstream) -> None:
    ended = certless("request", "--login", "ann", "GET", f"{upstream.url}/", cwd=tmp_path)
    ended.said_one_line(1)


@pytest.mark.parametrize(
    ("typed", "word"), [(b"", "no code"), (b"\n", "no code"), (b"WRONG\n", "no code")]
)
def test_a_code_that_does_not_come_or_does_not_fit(
    running: Served, tmp_path: Path, typed: bytes, word: str
) -> None:
    login = f"user{next(_numbers)}@example.org"
    url = f"{running.url}/orders"
    ended = certless("request", "--login", login, "GET", url, cwd=tmp_path, stdin=typed)
    assert ended.status == 1
    assert ended.out == b""
    last = re.split("Paste the code: |Paste the newest code: ", ended.err)[-1]
    Ended(1, b"", last).said_one_line(1, word)


def test_another_realm_than_the_gateways(running: Served, tmp_path: Path) -> None:
    asked = request(running, "--realm", "elsewhere", "GET", f"{running.url}/orders")
    assert asked.status == 1
    assert (
        "Not accepted (is --realm the same as the gateway's?). Paste the newest code" in asked.err
    )
    assert asked.out == b""


def test_another_dialect_than_the_gateways(running: Served, tmp_path: Path) -> None:
    asked = request(running, "--dialect", "sfet-3", "GET", f"{running.url}/orders")
    assert asked.status == 1
    assert (
        "Not accepted (is --dialect the same as the gateway's?). Paste the newest code" in asked.err
    )
    assert "no code was accepted" in asked.err
    assert asked.out == b""


# --- request, where it goes well ---


def test_a_request(running: Served) -> None:
    asked = request(running, "GET", f"{running.url}/orders?item=tea&n=1")
    assert asked.status == 0
    assert asked.seen["method"] == "GET"
    assert asked.seen["path"] == "/orders?item=tea&n=1"
    assert header(asked.seen, "x-certless-user") == [asked.login]
    # stdout is the answer's: what else was to say stands on stderr.
    assert json.loads(asked.out) == asked.seen
    assert asked.login in asked.err
    assert asked.code not in asked.err


@pytest.mark.parametrize(
    ("options", "code_chars"),
    [
        ([], 8),
        (["--suite", "rsa-gcm"], 8),
        (["--fresh", "counter"], 8),
        (["--suite", "classic"], 26),
        (["--dialect", "article-2016"], 26),
    ],
)
def test_a_request_in_each_suite(running: Served, options: list[str], code_chars: int) -> None:
    asked = request(running, *options, "-d", "tea", "POST", f"{running.url}/orders")
    assert asked.status == 0
    assert asked.seen["path"] == "/orders"
    assert len(asked.code) == code_chars


def test_a_suite_that_the_gateway_does_not_take(tmp_path: Path, upstream: Upstream) -> None:
    options = ["--mail", "dir:mails", "--suites", "rsa-gcm", "--require", "/x=rsa-gcm"]
    with serve(tmp_path, *for_anybody(upstream.url), *options) as served:
        assert "classic hides" not in served.log
        for suite in ("ecdh-gcm", "classic"):
            command = ["request", "--login", "ann", "--suite", suite, "GET", f"{served.url}/x"]
            ended = certless(*command, cwd=tmp_path)
            ended.said_one_line(1, "unsupported_suite", "does not accept", suite, "--suite")
        assert request(served, "--suite", "rsa-gcm", "GET", f"{served.url}/x").status == 0


def test_an_answer_is_written_byte_for_byte(running: Served) -> None:
    assert request(running, "GET", f"{running.url}/bytes").out == bytes(range(256))


def test_status_and_headers(running: Served) -> None:
    asked = request(running, "-i", "GET", f"{running.url}/orders")
    head, _, body = asked.out.partition(b"\n\n")
    lines = head.decode().splitlines()
    assert lines[0] == "200"
    assert "X-Upstream: yes" in lines
    assert json.loads(body)["path"] == "/orders"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (["--json", '{"item": "чай"}'], "application/json"),
        (["-d", "item=чай"], "application/x-www-form-urlencoded"),
        (["-d", '{"item": "чай"}'], "application/x-www-form-urlencoded"),
        (["-d", "a=1", "-d", "b=2"], "application/x-www-form-urlencoded"),
    ],
)
def test_a_body(running: Served, data: list[str], kind: str) -> None:
    asked = request(running, *data, "POST", f"{running.url}/orders")
    assert asked.status == 0
    assert asked.seen["method"] == "POST"
    expected = "a=1&b=2" if len(data) > 2 else data[1]
    assert base64.b64decode(asked.seen["body"]).decode() == expected
    assert [value.split(";")[0] for value in header(asked.seen, "content-type")] == [kind]


def test_a_body_from_a_file(running: Served, tmp_path: Path) -> None:
    content = bytes(range(256)) * 500
    (tmp_path / "picture").write_bytes(content)
    for option, kind in (
        (["-d", f"@{tmp_path / 'picture'}"], "application/x-www-form-urlencoded"),
        (["--json", f"@{tmp_path / 'picture'}"], "application/json"),
        (["-T", f"{tmp_path / 'picture'}"], "application/octet-stream"),
    ):
        asked = request(running, *option, "PUT", f"{running.url}/picture")
        assert asked.seen["method"] == "PUT"
        assert base64.b64decode(asked.seen["body"]) == content
        assert header(asked.seen, "content-type") == [kind]


def test_a_form_with_a_file(running: Served, tmp_path: Path) -> None:
    for size in (10, 3_000_000):
        (tmp_path / "note.txt").write_bytes(b"x" * size)
        asked = request(
            running, "-F", "name=чай", "-F", f"file=@{tmp_path / 'note.txt'}", "POST",
            f"{running.url}/orders",
        )  # fmt: skip
        (kind,) = header(asked.seen, "content-type")
        assert kind.startswith("multipart/form-data; boundary=")
        body = base64.b64decode(asked.seen["body"])
        assert 'name="name"\r\n\r\nчай\r\n'.encode() in body
        assert b'name="file"; filename="note.txt"\r\n\r\n' + b"x" * size in body


def test_a_body_from_standard_input_and_a_ticket(running: Served, tmp_path: Path) -> None:
    ticket, url = tmp_path / "ticket", f"{running.url}/orders"
    # Without a terminal nobody can type the code.
    command = ["request", "--login", "ann", "-T", "-", "PUT", url]
    ended = certless(*command, cwd=tmp_path, stdin=b"tea")
    ended.said_one_line(2, "--tickets")
    ended = certless("request", "--tickets", str(ticket), "GET", url, cwd=tmp_path)
    ended.said_one_line(2, "--login")
    assert request(running, "--tickets", str(ticket), "GET", url).status == 0
    assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
    for _ in range(2):
        command = ["request", "--tickets", str(ticket), "-T", "-", "PUT", url]
        ended = certless(*command, cwd=tmp_path, stdin=b"tea" * 100_000)
        assert ended.status == 0, ended.err
        assert base64.b64decode(json.loads(ended.out)["body"]) == b"tea" * 100_000


def test_a_download_into_a_file(running: Served, tmp_path: Path) -> None:
    file = tmp_path / "out"
    for size in (1, 100_000):
        asked = request(running, "-o", str(file), "GET", f"{running.url}/bytes?{size}")
        assert (asked.status, asked.out) == (0, b"")
        assert file.read_bytes() == bytes(range(256)) * size
    # More than a message can hold, on standard output too.
    asked = request(running, "GET", f"{running.url}/bytes?100000")
    assert len(asked.out) == 25_600_000
    asked = request(running, "-i", "-o", str(file), "-d", "a=1", "POST", f"{running.url}/orders")
    assert asked.out.startswith(b"200\n")
    assert json.loads(file.read_bytes())["method"] == "POST"
    asked = request(running, "-o", str(tmp_path / "no" / "out"), "GET", f"{running.url}/orders")
    assert asked.status == 2
    assert "cannot write" in asked.err


def test_classic_has_no_upload(running: Served, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"tea")
    command = ["request", "--login", "ann", "--suite", "classic", "-T", "body"]
    ended = certless(*command, "PUT", f"{running.url}/orders", cwd=tmp_path)
    ended.said_one_line(2, "no streams")


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("POST", 302, "GET"), ("PUT", 302, "PUT"), ("POST", 303, "GET"), ("POST", 307, "POST"),
        ("PUT", 308, "PUT"),
    ],
)  # fmt: skip
def test_redirects_are_followed(running: Served, method: str, status: int, then: str) -> None:
    url = f"{running.url}/redirect/{status}/..%2F..%2Forders%3Fa=%252F"
    asked = request(running, "-L", "-d", "a=1", method, url)
    assert asked.status == 0, asked.err
    assert (asked.seen["method"], asked.seen["path"]) == (then, "/orders?a=%2F")
    assert base64.b64decode(asked.seen["body"]) == (b"" if then == "GET" else b"a=1")
    assert len(header(asked.seen, "content-type")) == (0 if then == "GET" else 1)


def test_redirects_that_are_not_followed(running: Served) -> None:
    asked = request(running, "-i", "GET", f"{running.url}/redirect/302/%2Forders")
    assert asked.out.startswith(b"302\n")
    asked = request(
        running, "-i", "-L", "GET", f"{running.url}/redirect/302/http:%2F%2Fevil.example%2Fx"
    )
    assert asked.out.startswith(b"302\n")
    assert "not followed, because it is another origin: http://evil.example/x" in asked.err


def test_cookies_in_a_file(running: Served, tmp_path: Path) -> None:
    file, ticket = tmp_path / "cookies.txt", tmp_path / "ticket"
    options = ["--cookies", str(file), "--tickets", str(ticket)]
    assert request(running, *options, "GET", f"{running.url}/sign-in").status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\t5\n" in file.read_text()
    ended = certless("request", *options, "GET", f"{running.url}/orders", cwd=tmp_path)
    assert header(json.loads(ended.out), "cookie") == ["sid=5"]
    # Another user has none of them.
    ticket.unlink()
    asked = request(running, *options, "GET", f"{running.url}/orders")
    assert header(asked.seen, "cookie") == []


def test_headers_of_ones_own(running: Served) -> None:
    asked = request(
        running, "-H", "X-Colour: green", "-H", "x-empty:", "-H", "X-Certless-User: eve",
        "-H", "content-type: text/csv", "-d", "a,b", "POST", f"{running.url}/orders",
    )  # fmt: skip
    assert asked.status == 0
    assert header(asked.seen, "x-colour") == ["green"]
    assert header(asked.seen, "x-empty") == [""]
    # Who is speaking is for the gateway to say, and a kind that was named takes the place of ours.
    assert header(asked.seen, "x-certless-user") == [asked.login]
    assert header(asked.seen, "content-type") == ["text/csv"]


@pytest.mark.parametrize("status", [400, 500])
def test_an_answer_that_is_an_error_is_status_1(running: Served, status: int) -> None:
    asked = request(running, "GET", f"{running.url}/status/{status}")
    assert asked.status == 1
    assert json.loads(asked.out)["path"] == f"/status/{status}"
    assert asked.err.endswith(f"certless: the response has the status {status}\n")


def test_an_error_with_its_headers_is_status_1(running: Served) -> None:
    asked = request(running, "-i", "GET", f"{running.url}/status/404")
    assert asked.status == 1
    assert asked.out.startswith(b"404\n")


def test_a_password_is_asked_for(running: Served) -> None:
    asked = request(
        running, "--password", "GET", f"{running.url}/orders", password="open sesame",
        asks="Password: ",
    )  # fmt: skip
    assert asked.status == 0
    assert asked.seen["path"] == "/orders"
    assert "sesame" not in asked.err


def test_request_logs_out(running: Served) -> None:
    before = running.logged()
    request(running, "GET", f"{running.url}/orders")
    steps = ("session/hello", "session/share", "session/confirm", "message", "message")
    wait_for(lambda: len(running.accesses) == before + len(steps))
    assert [access["path"] for access in running.accesses[before:]] == [
        f"/.gateway/{path}" for path in steps
    ]


# --- serve ---


def test_the_mail(running: Served) -> None:
    asked = request(running, "GET", f"{running.url}/orders")
    (mail,) = [mail for mail in mails_in(running.mails) if mail["To"] == asked.login]
    assert mail["Subject"] == "Your code for Лавка"
    assert mail["From"] == "certless@localhost"
    assert "127.0.0.1 asked" in text_of(mail)
    assert asked.login in text_of(mail)
    assert {stat.S_IMODE(file.stat().st_mode) for file in running.mails.iterdir()} == {0o600}


def test_public_and_protected_routes(running: Served, upstream: Upstream) -> None:
    assert running.ask("GET", "/static/a.css?v=1")[0] == 200
    assert upstream.asked[-1]["path"] == "/static/a.css?v=1"
    assert header(upstream.asked[-1], "x-certless-user") == []
    before = len(upstream.asked)
    for target in ("/", "/orders", "/static", "/static/../orders", "/static/%2e%2e/orders"):
        assert running.ask("GET", target)[0] == 401
        assert running.ask("POST", target, b'{"item": "tea"}')[0] == 401
    assert len(upstream.asked) == before


def test_the_log_says_what_classic_cannot_do(running: Served) -> None:
    assert len(re.findall(r"WARNING classic hides", running.log)) == 1


def test_one_line_a_request_and_no_secrets(tmp_path: Path, upstream: Upstream) -> None:
    with serve(
        tmp_path, *for_anybody(upstream.url), "--mail", "dir:mails", "--public", "/static/*"
    ) as served:
        start = served.logged()
        served.ask("GET", "/static/a?q=1ntheQuery")
        served.ask("GET", "/orders?q=1ntheQuery")
        served.ask("POST", "/orders", b'{"a": "1nthePlaintext"}')
        served.ask("POST", "/.gateway/session?q=1ntheQuery", b"not JSON: 1nthePlaintext")
        _, answer = served.ask("POST", "/.gateway/session", b'{"username": "eve@example.org"}')
        token = json.loads(answer)["token"]
        guess = {"token": token, "payload": base64.b64encode(b"x" * 99).decode()}
        served.ask("POST", "/.gateway/session/authenticate", json.dumps(guess).encode())
        guess["key"] = base64.b64encode(bytes(256)).decode()
        served.ask("POST", "/.gateway/message", json.dumps(guess).encode())
        served.ask("GET", f"/.gateway/{'x' * 5000}")
        wait_for(lambda: len(served.accesses) == start + 8)
        asked = request(
            served, "--password", "-d", '{"a": "1nthePlaintext"}', "-H", "X-A: 1ntheHeader",
            "--suite", "classic", "POST", f"{served.url}/sealed-path?q=1ntheQuery",
            password="1nthePassword", asks="Password: ",
        )  # fmt: skip
        assert asked.status == 0
        wait_for(lambda: len(served.accesses) == start + 12)
        hardened = request(
            served, "--password", "-d", '{"a": "1nthePlaintext"}', "-H", "X-A: 1ntheHeader",
            "POST", f"{served.url}/sealed-path?q=1ntheQuery", password="1nthePassword",
            asks="Password: ",
        )  # fmt: skip
        assert hardened.status == 0
        wait_for(lambda: len(served.accesses) == start + 18)
        assert served.end() == 0
    lines = [access.group("method", "path", "status") for access in served.accesses[start:]]
    assert [line if "xxx" not in line[1] else line[::2] for line in lines] == [
        ("GET", "/static/a", "200"),
        ("GET", "/orders", "401"),
        ("POST", "/orders", "401"),
        ("POST", "/.gateway/session", "400"),
        ("POST", "/.gateway/session", "201"),
        ("POST", "/.gateway/session/authenticate", "403"),
        ("POST", "/.gateway/message", "403"),
        ("GET", "404"),
        ("POST", "/.gateway/session", "201"),
        ("POST", "/.gateway/session/authenticate", "200"),
        ("POST", "/.gateway/message", "200"),
        ("POST", "/.gateway/session/logout", "200"),
        ("POST", "/.gateway/session/hello", "200"),
        ("POST", "/.gateway/session/share", "200"),
        ("POST", "/.gateway/session/confirm", "200"),
        ("POST", "/.gateway/message", "200"),
        ("POST", "/.gateway/message", "200"),
        ("POST", "/.gateway/message", "200"),
    ]
    codes = codes_in(tmp_path / "mails")
    assert len(codes) == 3
    users = (asked.login, hardened.login)
    for secret in (*codes, token, "1nthe", "sealed-path", "eve@", *users, guess["payload"]):
        assert secret not in served.log
    assert not TOKEN.search(served.log)
    # A reason stands behind each rejection, for the operator alone.
    assert "rejected (decryption_failed: " in served.log
    assert max(map(len, served.log.splitlines())) < 400


def test_a_line_break_in_a_path_makes_no_line(running: Served) -> None:
    accesses = running.logged()
    before = running.log.count("\n")
    port = int(running.url.rpartition(":")[2])
    for target in (b"/a%0d%0aINFO", "/é".encode(), b"/\x85", b"/\xff", b"/%E2%80%A8"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert raw.recv(100)
    wait_for(lambda: len(running.accesses) == accesses + 5)
    assert len(running.log.splitlines()) == running.log.count("\n") == before + 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(
    tmp_path: Path, upstream: Upstream, number: signal.Signals
) -> None:
    with serve(tmp_path, *for_anybody(upstream.url), "--mail", "dir:mails") as served:
        assert served.end(number) == 0
    assert served.log.endswith("INFO stopping\n")


def test_a_mail_server_that_is_down_is_a_warning(
    tmp_path: Path, upstream: Upstream, free_port: int
) -> None:
    mail = f"smtp://ann:s3cret@127.0.0.1:{free_port}"
    with serve(tmp_path, *for_anybody(upstream.url), "--mail", mail) as served:
        warnings = re.findall(r"WARNING (SMTP server .*)", served.log)
        assert len(warnings) == 1
        assert f"127.0.0.1:{free_port}" in warnings[0]
        body = b'{"username": "ann@example.org"}'
        status, answer = served.ask("POST", "/.gateway/session", body)
        assert (status, list(json.loads(answer))) == (201, ["token"])
        wait_for(lambda: "mail not sent, will try again" in served.log)
        assert served.end() == 0
    assert "s3cret" not in served.log


def test_a_mail_server_that_answers_is_no_warning(tmp_path: Path, upstream: Upstream) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        mail = f"smtp://127.0.0.1:{listening.getsockname()[1]}"
        with serve(tmp_path, *for_anybody(upstream.url), "--mail", mail) as served:
            assert "SMTP" not in served.log


def test_targets(tmp_path: Path, upstream: Upstream) -> None:
    options = ["--mail", "dir:mails", "--target", "/orders/*", "--target", "/orders"]
    with serve(tmp_path, *for_anybody(f"{upstream.url}/api/"), *options) as served:
        asked = request(served, "GET", f"{served.url}/orders/5")
        assert asked.seen["path"] == "/api/orders/5"
        before = len(upstream.asked)
        assert request(served, "-i", "GET", f"{served.url}/admin").out.startswith(b"404\n")
        assert len(upstream.asked) == before


def test_an_upstream_that_is_down(tmp_path: Path, free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with serve(tmp_path, *for_anybody(url), "--mail", "dir:mails") as served:
        asked = request(served, "-i", "GET", f"{served.url}/orders")
        assert asked.out.startswith(b"502\n")
        assert asked.status == 1
        assert served.end() == 0
    assert "WARNING the upstream refused the connection" in served.log


# --- the config file ---

SHOP = {"timestamp": "iso8601", "encoding": "hex", "names": {"token": "sid"}}
CONFIG = """
listen = "127.0.0.1:{port}"
upstream = "{upstream}"
users = "users.toml"
mail = "dir:mails"
mail_from = "codes@shop.example"
store = "sqlite:certless.db"
key_file = "certless.key"
site = "Ann's shop"
dialect = "shop"
targets = ["/orders"]
prefix = "/enter"

[dialects.shop]
base = "sfet-4-gcm"
timestamp = "iso8601"
encoding = "hex"
names = {{ token = "sid" }}
paths = {{ session = "/begin" }}
"""


@pytest.fixture
def config(tmp_path: Path, upstream: Upstream, free_port: int) -> Sequence[str]:
    """Arguments that name a config file in another folder than where the command is run."""
    folder = tmp_path / "etc"
    folder.mkdir()
    text = CONFIG.format(port=free_port, upstream=upstream.url)
    (folder / "gateway.toml").write_text(text)
    (folder / "users.toml").write_text('[users.Ann]\naddresses = ["ann@example.org"]')
    return ("--config", str(folder / "gateway.toml"))


async def test_a_config_file_with_a_dialect_of_its_own(
    tmp_path: Path, upstream: Upstream, config: Sequence[str]
) -> None:
    folder = tmp_path / "etc"
    changes = {**SHOP, "paths": {"session": "/begin"}}
    dialect = derive("shop", DIALECTS["sfet-4-gcm"], changes)

    async def code() -> str:
        await eventually(lambda: code_for(folder / "mails", "ann@example.org"))
        return code_for(folder / "mails", "ann@example.org") or ""

    with serve(tmp_path, *config) as first:
        async with Client(first.url, dialect=dialect, prefix="/enter") as client:
            await client.login("ANN", code=code)
            response = await client.post("/orders", json={"item": "tea"})
            assert response.status == 200
            assert header(upstream.asked[-1], "x-certless-user") == ["Ann"]
            # Killed without warning and started anew, it knows the session again.
            # (In a thread, so that the client notices that its connection has gone.)
            assert await asyncio.to_thread(first.end, signal.SIGKILL) < 0
            with serve(tmp_path, *config) as second:
                assert second.url == first.url
                response = await client.get("/orders")
                assert (await response.json())["path"] == "/orders"
                await client.logout()
                assert second.end() == 0
    (mail,) = mails_in(folder / "mails")
    assert mail["Subject"] == "Your code for Ann's shop"
    assert mail["From"] == "codes@shop.example"
    assert {"certless.db", "certless.key", "mails"} <= {file.name for file in folder.iterdir()}
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("certless.key",)}
    assert modes == {"certless.key": 0o600}


def test_arguments_come_before_the_file(
    tmp_path: Path, upstream: Upstream, config: Sequence[str]
) -> None:
    arguments = ["--any-address", "--listen", "127.0.0.1:0", "--mail", "dir:mails"]
    arguments += ["--dialect", "article-2016", "--store", "memory:", "--target", "/*"]
    (tmp_path / "etc" / "gateway.toml").write_text(
        (tmp_path / "etc" / "gateway.toml").read_text().replace('prefix = "/enter"\n', "")
    )
    with serve(tmp_path, *config, *arguments) as served:
        asked = request(served, "GET", f"{served.url}/anything")
        assert asked.seen["path"] == "/anything"
    assert not (tmp_path / "etc" / "mails").exists()


def test_an_answer_does_not_drive_the_terminal(tmp_path: Path) -> None:
    escapes = b'{"error": "x\\u001b[2J", "message": "\\u001b]0;title\\u0007\\u009b2J"}'

    class Hostile(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(escapes)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        ended = certless("request", "--login", "ann@example.org", "GET", url, cwd=tmp_path)
        server.shutdown()
    assert ended.status == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ended.err)
