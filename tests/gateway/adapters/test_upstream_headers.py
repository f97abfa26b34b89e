"""The headers that a real CGI upstream sees, and those that no client can set."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from frameworks import serving
from gateways import CaughtMails
from mailboxes import a_free_port
from processes import program, until_listening

import gateway
from certless.client import Client

# Headers that only a reverse proxy sets. A value of them would show in $_SERVER of PHP.
OF_A_PROXY = (
    *("Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
    *("X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-User"),
    *("X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-Uri", "X-Forwarded-Client-Cert"),
    *("X-Original-URL", "X-Original-URI", "X-Original-Host", "X-Original-Method", "X-Rewrite-URL"),
    *("X-Rewrite-Path", "X-Real-IP", "Client-IP", "X-Client-IP", "True-Client-IP", "X-Host"),
    *("X-Cluster-Client-IP", "CF-Connecting-IP", "X-HTTP-Host-Override", "X-Script-Name"),
    *("Script-Name", "X-Scheme", "Remote-User", "Remote-Addr", "Remote-Groups", "X-Remote-User"),
    *("X-Auth-Request-User", "SSL-Client-Verify", "X-SSL-Client-Cert", "Proxy"),
    *("X-Accel-Mapping", "X-Sendfile-Type", "X-Certless-User", "X-Certless-Session"),
    *("X-Certless-Anything", "Transfer-Encoding", "Keep-Alive", "TE", "Trailer", "Upgrade"),
    "Proxy-Authorization",
)
# These would change how the message is read.
OF_THE_CONNECTION = {"Transfer-Encoding", "Trailer", "Upgrade", "TE", "Keep-Alive"}


def spelled(name: str) -> list[str]:
    """``name`` in the form of CGI."""
    ways = [name.replace("-", "_"), name.upper().replace("-", "_"), name.replace("-", ".", 1)]
    ways += [name.replace("-", "!"), name.replace("-", "'"), name, name.lower()]
    own = {name, name.lower(), name.upper()} if name in OF_THE_CONNECTION else set()
    return [way for way in dict.fromkeys(ways) if way not in own]


FORGED = [(way, f"forged {name}") for name in OF_A_PROXY for way in spelled(name)]


_TELL = """<?php
$told = json_encode($_SERVER, JSON_INVALID_UTF8_SUBSTITUTE);
header("Content-Length: " . strlen($told));
echo $told;
"""


@asynccontextmanager
async def php(folder: Path) -> AsyncIterator[str]:
    """The built-in server of PHP, which returns all that it received."""
    (folder / "index.php").write_text(_TELL)
    port = a_free_port()
    quiet = asyncio.subprocess.DEVNULL
    command = ("php", "-S", f"127.0.0.1:{port}", "-t", str(folder))
    async with program(*command, stdout=quiet, stderr=quiet) as process:
        await until_listening(port, process)
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def in_front_of_php(folder: Path) -> AsyncIterator[tuple[str, CaughtMails]]:
    mails = CaughtMails()
    async with php(folder) as url:
        app = gateway.reverse_proxy(
            url, users=gateway.AnyAddress(), mail=mails, public=["/open"], suites=["ecdh-gcm"]
        )
        async with serving(app) as front:
            yield front, mails


async def told(front: str, headers: list[tuple[str, str]]) -> tuple[int, dict[str, Any]]:
    """Status and $_SERVER of a public request with these headers, byte for byte."""
    port = int(front.rpartition(":")[2])
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"{name}: {value}" for name, value in headers]
        head = "\r\n".join(["GET /open HTTP/1.1", *lines, "Connection: close", "", ""])
        writer.write(head.encode("latin-1"))
        answer = await reader.read()
        writer.close()
    status, body = int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]
    return status, json.loads(body) if status == 200 else {}


def forged_in(server: dict[str, Any]) -> list[str]:
    return sorted(name for name, value in server.items() if "forged" in str(value))


async def test_no_spelling_of_what_a_proxy_sets_reaches_the_upstream(tmp_path: Path) -> None:
    assert len(FORGED) > 200
    async with in_front_of_php(tmp_path) as (front, mails):
        for start in range(0, len(FORGED), 50):
            sent = [("Host", "shop.example"), ("X-Sent", "yes"), *FORGED[start : start + 50]]
            status, server = await told(front, sent)
            assert (status, forged_in(server)) == (200, [])
            assert server["HTTP_X_SENT"] == "yes"
            assert server["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
            assert server["HTTP_X_FORWARDED_HOST"] == "shop.example"
            assert server["HTTP_X_FORWARDED_PROTO"] == "http"
            assert "HTTP_X_CERTLESS_USER" not in server
        async with Client(front) as client:
            await client.login("ann@example.org", code=mails.code)
            for start in range(0, len(FORGED), 50):
                forged = {"X-Sent": "yes", **dict(FORGED[start : start + 50])}
                server = json.loads(await (await client.get("/", headers=forged)).read())
                assert forged_in(server) == []
                assert server["HTTP_X_SENT"] == "yes"
                assert server["HTTP_X_CERTLESS_USER"] == "ann@example.org"
                assert server["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


async def test_a_length_has_one_spelling(tmp_path: Path) -> None:
    async with in_front_of_php(tmp_path) as (front, _):
        sent = [("Host", "shop.example"), ("Content_Length", "7"), ("Content.Length", "8")]
        _, server = await told(front, sent)
        assert not {"7", "8"} & set(map(str, server.values()))


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["shop.example", "shop.example"],
        ["shop.example", "evil.example"],
        [""],
        ["shop.example,evil.example"],
        ["shop.example, evil.example"],
        ["shop.example evil.example"],
        ["evil.example/shop.example"],
        ["shop.example@evil.example"],
        ["shop.example:80:80"],
        ["shop.example:port"],
        ["[::1"],
        ["[1.2.3.4]"],
        ["[::1]evil.example"],
        ['"><script>alert(1)</script>'],
        ["sh\xf8p.example"],
        ["shop.example%0d%0a"],
        ["x" * 300],
    ],
)
async def test_a_host_is_one_host(tmp_path: Path, hosts: list[str]) -> None:
    async with in_front_of_php(tmp_path) as (front, _):
        status, _ = await told(front, [("Host", host) for host in hosts])
        assert status == 400


@pytest.mark.parametrize("host", ["shop.example:8080", "a_b", "SHOP.example.", "[2001:db8::7]:80"])
async def test_a_host_goes_on_as_it_came(tmp_path: Path, host: str) -> None:
    async with in_front_of_php(tmp_path) as (front, mails):
        status, server = await told(front, [("Host", host)])
        assert (status, server["HTTP_X_FORWARDED_HOST"]) == (200, host)
        async with Client(front) as client:
            await client.login("ann@example.org", code=mails.code)
            server = json.loads(await (await client.get("/", headers={"Host": host})).read())
            assert server["HTTP_X_FORWARDED_HOST"] == host
            bad = await client.get("/", headers={"Host": f"{host},evil.example"})
            assert (bad.status, (await bad.json())["error"]) == (400, "malformed")


async def test_before_http_1_1_there_need_be_no_host(tmp_path: Path) -> None:
    async with in_front_of_php(tmp_path) as (front, _), asyncio.timeout(30):
        port = int(front.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /open HTTP/1.0\r\n\r\n")
        server = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
        # Nor is the name of this machine sent instead.
        assert "HTTP_X_FORWARDED_HOST" not in server
