"""CONNECT in proxy mode: tunnels to the named sites end in ``connect``, and no others open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mailboxes import a_free_port
from named_proxies import Proxied, credential, proxied, raw
from processes import program
from yarl import URL

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def tunnel(
    at: Proxied, authority: str = "", early: bytes = b""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """An open tunnel to ``authority`` (default: the site)."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(at.proxy.url).port)
        try:
            writer.write(_connect(at, authority or URL(at.site.url).authority) + early)
            opened = await reader.readuntil(b"\r\n\r\n")
            assert opened.startswith(b"HTTP/1.1 200 ")
            for framing in (b"content-length", b"transfer-encoding"):
                assert framing not in opened.lower()
            yield reader, writer
        finally:
            writer.close()


def _connect(at: Proxied, authority: str) -> bytes:
    return (
        f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
        f"Proxy-Authorization: {credential(at.proxy)}\r\n\r\n"
    ).encode()


def _handshake(at: Proxied) -> bytes:
    return (
        f"GET /chat HTTP/1.1\r\nHost: {URL(at.site.url).authority}\r\nOrigin: {at.site.url}\r\n"
        "Cookie: sid=of-ann\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def _paths(at: Proxied) -> list[str]:
    return [path for _, path, _ in at.site.seen.requests]


@pytest.mark.parametrize("is_early", [False, True])
async def test_a_web_socket_passes_through_a_tunnel(is_early: bool, tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        early = _handshake(at) if is_early else b""
        async with tunnel(at, early=early) as (reader, writer):
            if not is_early:
                writer.write(_handshake(at))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101 ")
            said = f'["{at.site.url}", "sid=of-ann"]'.encode()
            assert await reader.readexactly(2 + len(said)) == bytes([0x81, len(said)]) + said
            writer.write(b"\x81\x83" + bytes(4) + b"tea")
            assert await reader.readexactly(5) == b"\x81\x03tea"


@pytest.mark.parametrize(("option", "expected"), [("-x", (0, b"{}")), ("--proxy1.0", (56, b""))])
async def test_curl_uses_a_tunnel(option: str, expected: tuple[int, bytes], tmp_path: Path) -> None:
    async with proxied(tmp_path) as at, asyncio.timeout(30):
        pipe = asyncio.subprocess.PIPE
        curl = ("curl", "-sS", "--proxytunnel", option, at.proxy.url, f"{at.site.url}/orders")
        async with program(*curl, stdout=pipe, stderr=pipe) as process:
            out, err = await process.communicate()
        assert (process.returncode, out) == expected, err


async def test_a_web_socket_of_a_program_passes_without_a_tunnel(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at, asyncio.timeout(30):
        socket = await at.http.ws_connect(
            f"{at.site.url}/chat", proxy=at.proxy.url, origin=at.site.url
        )
        assert await socket.receive_json() == [at.site.url, None]
        await socket.send_str("tea")
        assert await socket.receive_str() == "tea"
        await socket.close()


async def test_tunnels_elsewhere_are_refused(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        site, port = URL(at.site.url), URL(at.proxy.url).port
        for authority in (
            "evil.example:80",
            "127.0.0.1:22",
            f"127.0.0.1:{a_free_port()}",
            f"127.0.0.1:{port}",
            f"localhost:{site.port}",
            f"[::1]:{site.port}",
            f"{site.host}:{site.port}0",
            f"{site.host}.evil.example:{site.port}",
            f"evil@{site.authority}",
            f"http://{site.authority}",
            "nas.lan",
        ):
            # What follows belongs to a tunnel. It must not be taken for a request.
            after = f"GET {at.site.url}/orders HTTP/1.1\r\nHost: {site.authority}\r\n\r\n"
            answer = await raw(at.proxy, _connect(at, authority).decode() + after)
            assert answer.split()[1] in (b"400", b"403"), authority
            assert answer.count(b"HTTP/1.") == 1
        assert at.site.seen.requests == []


async def test_a_tunnel_needs_the_credential(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        authority = URL(at.site.url).authority
        asked = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
        for wrong in ("", "Proxy-Authorization: Basic Z3Vlc3M=\r\n"):
            answer = await raw(at.proxy, f"{asked}{wrong}\r\n{_handshake(at).decode()}")
            assert answer.split()[1] == b"407"
            assert b"Proxy-Authenticate: Basic" in answer
            assert answer.count(b"HTTP/1.") == 1
        assert at.site.seen.requests == []


async def test_https_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at:
        for host in (URL(at.site.url).host, "cdn.example"):
            answer = await raw(at.proxy, _connect(at, f"{host}:443").decode())
            assert answer.split()[1] == b"403"
            assert b"https:// does not pass this proxy" in answer
        # A site can have any port, so TLS can also come in a tunnel that is open.
        async with tunnel(at) as (reader, writer):
            writer.write(bytes.fromhex("16030102000100"))
            answer = await reader.read()
            assert answer.split()[1] == b"400"
            assert b"HTTPS traffic" in answer
        assert at.site.seen.requests == []


@pytest.mark.parametrize(
    "smuggled",
    [
        "POST /up HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /up HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        "POST /up HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
        "POST /up HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "GET /orders HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET /orders HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
        "GET /orders HTTP/1.1\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "GET //evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
        "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    ],
)
async def test_no_request_is_smuggled_in_a_tunnel(smuggled: str, tmp_path: Path) -> None:
    async with proxied(tmp_path) as at, tunnel(at) as (reader, writer):
        request = smuggled.format(host=URL(at.site.url).authority)
        # A second request must not begin inside of the first.
        second = f"GET /second HTTP/1.1\r\nHost: {URL(at.site.url).authority}\r\n"
        writer.write(f"{request}{second}Connection: close\r\n\r\n".encode())
        answer = await reader.read()
        assert answer.split()[1] in (b"400", b"421"), answer
        assert not {"/up", "/orders"} & set(_paths(at))


async def test_a_tunnel_leads_to_its_own_site_only(tmp_path: Path) -> None:
    async with proxied(tmp_path) as at, tunnel(at, "nas.lan:5000") as (reader, writer):
        host = URL(at.site.url).authority
        writer.write(f"GET /orders HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await reader.read()).split()[1] == b"421"
        assert at.site.seen.requests == []


@pytest.mark.parametrize("said", [b"", b"GET /orders HTTP/1.1\r\nHost:"])
async def test_a_tunnel_that_says_nothing_is_closed(said: bytes, tmp_path: Path) -> None:
    async with proxied(tmp_path, idle_s=0.5) as at, tunnel(at) as (reader, writer):
        writer.write(said)
        assert await reader.read() == b""


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async with proxied(tmp_path, is_logged_in=False, idle_s=0.5) as at:
        assert await raw(at.proxy, "") == b""
        assert await raw(at.proxy, "GET http://") == b""


async def test_malformed_requests_leave_no_trace_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with proxied(tmp_path, is_logged_in=False) as at:
        assert (await raw(at.proxy, "\x16\x03\x01\x02\r\n\r\n")).split()[1] == b"400"
    assert capfd.readouterr().err == ""
