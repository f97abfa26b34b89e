"""Requests that servers could read as two, and invalid request targets."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from gateways import recording_app, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.pipeline.framing import fault
from gateway.service.listener import listening

CHUNKED = "Transfer-Encoding: chunked\r\n"
END = "0\r\n\r\n"
OPTIONS = {"upstream": "http://127.0.0.1:1", "any_address": True, "suites": ["ecdh-gcm"]}


def post(headers: str, body: str = END, version: str = "HTTP/1.1") -> bytes:
    return f"POST /x {version}\r\nHost: x\r\n{headers}\r\n{body}".encode("latin-1")


async def said_to(url: str, said: bytes) -> tuple[int, bool]:
    """The status, and whether the connection is closed after it."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(said)
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            if status in (400, 501, 505):
                await reader.read()
            return status, status in (400, 501, 505)
    finally:
        writer.close()


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize(
    "said",
    [
        post("Transfer-Encoding: gzip, chunked\r\n"),
        post("Transfer-Encoding:\r\n"),
        post("Transfer-Encoding:\r\nContent-Length: 1\r\n", "a"),
        post(CHUNKED + "Content-Length: 5\r\n"),
        post("Content-Length: 5\r\n" + CHUNKED),
        post(CHUNKED + CHUNKED),
        post("Transfer-Encoding: identity\r\n"),
        post("Transfer-Encoding: xchunked\r\n"),
        post("Transfer-Encoding: \x0bchunked\r\n"),
        post(CHUNKED, version="HTTP/1.0"),
        post("Content-Length: +1\r\n", "a"),
        post("Content-Length: 1, 2\r\n", "a"),
        post("Content-Length: 1\r\nContent-Length: 2\r\n", "a"),
        post("Content-Length:\r\n", ""),
        post("Content-Length : 1\r\n", "a"),
        b"GET /x HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /x\r\n\r\n",
    ],
)
async def test_a_frame_with_two_readings_is_refused(said: bytes) -> None:
    async with running(recording_app([])) as at:
        status, is_closed = await said_to(at.url, said)
        assert status in (400, 501, 505)
        assert is_closed


def test_what_has_one_end() -> None:
    for version, transfer, lengths in (
        ("1.1", ["Chunked"], []),
        ("1.1", [], ["5"]),
        ("1.0", [], ["0"]),
        ("2", [], []),
    ):
        assert fault(version, transfer, lengths) is None


HOSTS = st.sampled_from(["xn--", "xn--a", "a\u200d", "[::1", "a:b", "-", "x@y", ""]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), max_size=12
)
FORMS = st.sampled_from(["GET http://{0}/x", "CONNECT {0}:80", "GET ftp://{0}/", "GET {0}"])


async def test_no_answer_names_a_version() -> None:
    """Nor do the responses that aiohttp makes itself."""
    with tempfile.TemporaryDirectory() as folder:
        async with listening({**OPTIONS, "mail": f"dir:{folder}"}, "127.0.0.1", 0) as service:
            for said in (
                b"no HTTP\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /.gateway/client.js HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                b"GET http://xn--/x HTTP/1.1\r\nHost: x\r\n\r\n",
            ):
                async with asyncio.timeout(20):
                    reader, writer = await asyncio.open_connection(*service.addresses[0].split(":"))
                    writer.write(said)
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.close()
                servers = [line for line in head.split(b"\r\n") if line.startswith(b"Server:")]
                assert servers in ([], [b"Server: certless"]), said


async def test_a_target_that_idna_refuses() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with listening({**OPTIONS, "mail": f"dir:{folder}"}, "127.0.0.1", 0) as service:
            for target in ("GET http://xn--/x", "CONNECT xn--:80"):
                said = f"{target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
                assert await said_to(service.addresses[0], said) == (400, True)


def test_every_target_is_answered(tmp_path: Path) -> None:
    """The server refuses it, also if yarl or idna raise an error for it."""
    with asyncio.Runner() as runner:
        options = {**OPTIONS, "mail": f"dir:{tmp_path}"}
        serving_it = listening(options, "127.0.0.1", 0)
        service = runner.run(serving_it.__aenter__())

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(FORMS, HOSTS)
        def ask(form: str, host: str) -> None:
            said = form.format(host).encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
            status, _ = runner.run(said_to(service.addresses[0], said))
            assert 400 <= status <= 505

        try:
            ask()
        finally:
            runner.run(serving_it.__aexit__(None, None, None))
