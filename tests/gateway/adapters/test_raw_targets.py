"""Raw bytes beyond ASCII in a request target: through ``serve`` and ASGI, byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gateways import CaughtMails
from hostile_servers import Hostile, hostile

import gateway
from gateway.adapters.aiohttp.raw_targets import escaped
from gateway.adapters.asgi.app import Certless
from gateway.service.listener import listening

CLOSE = b"Host: shop.example\r\nConnection: close\r\n\r\n"
KEEP = b"Host: shop.example\r\n\r\n"
EVERY = bytes(range(0x80, 0x100))
RAW = [
    *(
        b"/x?q=\xc3\xa5",
        b"/x?q=\xe5",
        b"/x?q=" + EVERY,
        b"/x?\xff?\xe5",
        b"/x?a=%E5&b=\xe5&c=[{|}]",
    ),
    *(b"/open/\xc3\xb8", b"/open/\xe5", b"/open/\xe5%20?\xe5=1"),
]


async def answer_briefly(_: Hostile, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()


@dataclass
class Serving:
    port: int
    upstream: Hostile

    @property
    def targets(self) -> list[bytes]:
        """The targets that the upstream received."""
        return [request.split(b" ")[1] for request in self.upstream.requests]

    async def said(self, *parts: bytes) -> bytes:
        """What comes back to ``parts``. An empty part waits for the end of a response, ``ok``."""
        answer = b""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            for part in parts:
                if not part:
                    answer += await reader.readuntil(b"ok")
                writer.write(part)
                # The gateway is in this loop and reads the part, usually without the next one.
                for _ in range(10):
                    await asyncio.sleep(0)
            answer += await reader.read()
            writer.close()
        return answer


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Serving]:
    async with hostile(answer_briefly) as upstream:
        options: dict[str, Any] = {
            "upstream": upstream.url,
            "any_address": True,
            "mail": f"dir:{folder}",
            "suites": ["ecdh-gcm"],
            "public": ["/x", "/open/{page}", "POST /x"],
        }
        async with listening(options, "127.0.0.1", 0) as service:
            yield Serving(int(service.addresses[0].rpartition(":")[2]), upstream)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


async def test_the_upstream_receives_the_bytes(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        for target in RAW:
            assert status_of(await at.said(b"GET %b HTTP/1.1\r\n" % target + CLOSE)) == 200
            assert at.targets[-1] == target


async def test_a_path_that_latin_1_could_cut_short_is_sent_escaped(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        for path in (b"/open/\xc3\xa0", b"/open/a\x85b"):
            assert status_of(await at.said(b"GET %b?\xa0\xe5 HTTP/1.1\r\n" % path + CLOSE)) == 200
            assert at.targets[-1] == escaped(path.decode("utf-8", "surrogateescape")).encode() + (
                b"?\xa0\xe5"
            )


async def test_other_paths_still_need_a_login(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        paths = (
            b"/\xe5",
            b"/open/\xe5/b",
            b"/open/\xc0\xae",
            b"/open/\xe5/../x",
            b"/x\xe5",
            b"/x\xa0",
        )
        for path in (*paths, b"/open/\xfc", b"/open/\x83\x5c"):
            assert status_of(await at.said(b"GET %b HTTP/1.1\r\n" % path + CLOSE)) == 401
        assert at.targets == []


async def test_a_kept_connection_and_a_head_in_parts(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        line = b"GET /x?\xe5 HTTP/1.1\r\n"
        post = b"POST /x?\xe6 HTTP/1.1\r\nContent-Length: 4\r\n" + KEEP
        third = (b"GET /x?", b"\xe7 HT", b"TP/1.1\r\n", CLOSE)
        answer = await at.said(line + KEEP, b"", post, b"\xe5a", b"\xe5b", b"", *third)
        assert answer.count(b"HTTP/1.1 200 ") == 3
        assert at.targets == [b"/x?\xe5", b"/x?\xe6", b"/x?\xe7"]
        assert at.upstream.requests[1].endswith(b"\r\n\r\n")


async def test_a_header_that_looks_like_a_request_line_is_no_request(tmp_path: Path) -> None:
    inside = b"GET /x?\xe9 HTTP/1.1\r\n"
    async with served(tmp_path) as at:
        answer = await at.said(b"GET /x HTTP/1.1\r\nX-A: ", inside, CLOSE)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"X-A: GET /x?\xe9 HTTP/1.1\r\n" in at.upstream.requests[0]
        # Nor is the body of one.
        post = b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n" % len(inside)
        answer = await at.said(post + CLOSE, inside)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert at.targets == [b"/x", b"/x"]


async def test_a_body_never_becomes_longer(tmp_path: Path) -> None:
    """Its last bytes would be the next request: of another client, if a proxy is in front."""
    smuggled = b"GET /x?smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    assert len(smuggled) % 2 == 0
    line = b"GET /x?" + b"\xe9" * (len(smuggled) // 2) + b" HTTP/1.1\r\n"
    head = b"POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n"
    head %= len(line + smuggled)
    first = b"GET /x HTTP/1.1\r\n" + KEEP
    upload = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n" + KEEP
    chunked = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + KEEP
    last = b"GET /x HTTP/1.1\r\n" + CLOSE
    for before in (
        (first + head, b""),
        (upload, b"ab" + head, b""),
        (upload + b"a", b"b" + head, b""),
        (chunked, b"2\r\nab\r\n0\r\n\r\n" + head, b""),
        (first, first + head, b"", b""),
    ):
        async with served(tmp_path) as at:
            answer = await at.said(*before, b"\r\n" + line + smuggled, b"", last)
            assert answer.count(b"HTTP/1.1 ") == len(at.targets)
            assert set(at.targets) == {b"/x"}


async def test_after_a_chunked_body_such_a_target_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        chunked = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + KEEP
        body = b"2\r\nab\r\n0\r\n\r\n"
        answer = await at.said(chunked + body, b"", b"GET /x?\xe5 HTTP/1.1\r\n" + CLOSE)
        assert answer.count(b"HTTP/1.1 200 ") == answer.count(b"HTTP/1.0 400 ") == 1
        assert at.targets == [b"/x"]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /x?\xe5 HTTP/1.1 \r\n",
        b"GET /x?\xe5 \xe5 HTTP/1.1\r\n",
        b"GET  /x?\xe5 HTTP/1.1\r\n",
        b"GET /x?\xe5\x00 HTTP/1.1\r\n",
        b"GET /x?\xe5\rGET / HTTP/1.1\r\n",
        b"GET /x?\xe5\x7f HTTP/1.1\r\n",
        b"GET http://shop.example/x?\xe5 HTTP/1.1\r\n",
        b"G\xe5T /x HTTP/1.1\r\n",
        b"GET /x?\xe5 HTTP/2.0\r\n",
        b"GET /x?" + b"\xe5" * 8000 + b" HTTP/1.1\r\n",
        b"GET /x?" + b"\xe5" * 20000,
    ],
)
async def test_other_lines_are_refused(tmp_path: Path, line: bytes) -> None:
    async with served(tmp_path) as at:
        assert status_of(await at.said(line + CLOSE)) == 400
        assert at.targets == []


async def test_asgi() -> None:
    """uvicorn refuses such targets itself; what a server gives, the application gets."""
    seen: list[tuple[bytes | None, bytes]] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        seen.append((scope.get("raw_path"), scope["query_string"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    public = ["/x", "/open/{page}"]
    options: dict[str, Any] = {"users": gateway.AnyAddress(), "mail": CaughtMails()}
    certless = Certless(app, public=public, suites=["ecdh-gcm"], **options)

    async def ask(path: str, raw_path: bytes | None, query: bytes) -> int:
        sent: list[Any] = []
        headers = [(b"host", b"shop.example")]
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": raw_path,
        }
        scope |= {"query_string": query, "headers": headers, "http_version": "1.1", "client": None}

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await certless(scope, receive, send)
        return int(sent[0]["status"])

    async with certless.running():
        for path, raw in (
            ("/x", b"/x"),
            ("/open/å", b"/open/\xc3\xa5"),
            ("/open/\ufffd", b"/open/\xe5"),
            ("/open/å", b"/open/%c3%a5"),
        ):
            assert await ask(path, raw, EVERY) == 200
            assert seen.pop() == (raw, EVERY)
        # The path that was checked is passed on, if the server's two paths differ.
        assert await ask("/open/å", b"/\xe5", b"") == 200
        assert seen.pop() == (b"/open/%C3%A5", b"")
        assert await ask("/\ufffd", b"/\xe5", b"") == 401
