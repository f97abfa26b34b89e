"""Targets and header values pass the reverse proxy byte for byte, in every mode."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web
from frameworks import serving
from gateways import Answer, CaughtMails, Raw, Running, messages_of, running
from hostile_servers import Hostile, hostile
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from yarl import URL

import gateway
from certless.client import Client
from certless.client.response import Response
from gateway.pipeline.streams import OpenStreams
from protocol.common.messages import HttpRequest, SealedMessage

# Every byte that a value can have: a tab, and all that are no controls.
EVERY_BYTE = b"x\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)) + b"x"
VALUES = [b"K\xc3\xb8ge", b"21\xb0", b"\xe5\xe4\xf6", b"\xff\xfe", b"\xed\xb2\x80", EVERY_BYTE]
TARGETS = [
    *("/x?", "/x??", "/x?a=%2F&b=%2f", "/a%2Fb", "/a%2fb", "/a//b", "/a/./b/../c", "/%7e/~"),
    *("/x?q=[1]&r={2}|^`", "/x?a+b%20c", "/x?%C3%A5", "/;p=1/x;q"),
]


async def echo_own(server: Hostile, writer: asyncio.StreamWriter) -> None:
    """Sends the last header X-Own back in one of its own."""
    lines = server.requests[-1].split(b"\r\n")
    own = [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"x-own:")]
    value = own[-1] if own else b""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Own: " + value + b"\r\nContent-Length: 0\r\n")
    writer.write(b"Connection: close\r\n\r\n")
    await writer.drain()


@dataclass
class Proxied:
    port: int
    client: Client
    upstream: Hostile

    @property
    def target(self) -> str:
        """The target that the upstream received last."""
        return self.upstream.requests[-1].split(b" ")[1].decode()

    @property
    def own(self) -> bytes:
        """The header X-Own that the upstream received last."""
        return own_in(self.upstream.requests[-1])


def own_in(head: bytes) -> bytes:
    found = [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-own: ")]
    return found[0][len("x-own: ") :]


@asynccontextmanager
async def proxied() -> AsyncIterator[Proxied]:
    mails = CaughtMails()
    async with hostile(echo_own) as upstream:
        app = gateway.reverse_proxy(
            upstream.url, users=gateway.AnyAddress(), mail=mails, public=["/x", "/open/*"]
        )
        async with serving(app) as front, Client(front) as client:
            await client.login("ann@example.org", code=mails.code)
            yield Proxied(int(front.rpartition(":")[2]), client, upstream)


async def plain(port: int, target: bytes, *headers: bytes) -> bytes:
    """The head of the response to a request in plain, byte for byte."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [b"GET %b HTTP/1.1" % target, b"Host: shop.example", *headers]
        writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
        answer = await reader.read()
        writer.close()
    return answer.partition(b"\r\n\r\n")[0]


async def test_targets() -> None:
    async with proxied() as at:
        for target in TARGETS:
            assert (await at.client._send(HttpRequest("GET", target, (), b""))).status == 200
            assert at.target == target
        for target in ("/x?", "/x??", "/x?q=[1]&r={2}|^`", "/open/a%7Eb?"):
            assert b" 200 " in await plain(at.port, target.encode())
            assert at.target == target


@pytest.mark.parametrize("value", VALUES)
async def test_values_of_public_pages(value: bytes) -> None:
    async with proxied() as at:
        head = await plain(at.port, b"/x", b"X-Own: " + value)
        assert at.own == value
        assert own_in(head) == value


@pytest.mark.parametrize("value", VALUES)
async def test_values_in_streams(value: bytes) -> None:
    text = value.decode("latin-1")
    offer = (("Certless-Stream", "65536"), ("X-Own", text))
    async with proxied() as at:
        answer = await messages_of(at.client).send(HttpRequest("GET", "/", offer, b""))
        assert at.own == value
        assert ("X-Own", text) in answer.headers


def shop_of(framework: str) -> web.Application | Starlette:
    """An application that sends the bytes of the header X-Own back."""
    if framework == "aiohttp":
        app = web.Application()

        async def own(request: web.Request) -> web.Response:
            values = [value for name, value in request.raw_headers if name.lower() == b"x-own"]
            told = json.dumps([value.decode("latin-1") for value in values])
            return web.Response(text=told, headers={"X-Own": request.headers["X-Own"]})

        app.router.add_post("/own", own)
        return app

    async def own_in_starlette(request: Request) -> StarletteResponse:
        values = [value for name, value in request.headers.raw if name == b"x-own"]
        response = StarletteResponse(json.dumps([value.decode("latin-1") for value in values]))
        response.raw_headers.append((b"x-own", values[0]))
        return response

    return Starlette(routes=[Route("/own", own_in_starlette, methods=["POST"])])


@pytest.mark.parametrize("kind", ["aiohttp", "starlette", "proxy"])
@pytest.mark.parametrize("many", [False, True])
async def test_values_of_messages(kind: str, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """``many``: a client that takes streams gets a message, because too many streams are open."""
    if many:
        monkeypatch.setattr(OpenStreams.__init__, "__defaults__", (0,))
    async with in_place_at(kind) as (at, upstream), Client(at.url, clock=at.clock) as client:
        await client.login("ann@example.org", code=at.mails.code)
        for value in VALUES:
            text = value.decode("utf-8", "surrogateescape")
            if many:
                sent = (("Certless-Stream", "65536"), ("X-Own", value.decode("latin-1")))
                inside = await messages_of(client).send(HttpRequest("POST", "/own", sent, b""))
                answer = Response("POST", URL("/own"), inside)
                assert answer.headers["X-Own"] == value.decode("latin-1")
            else:
                answer = await client.post("/own", headers={"X-Own": text})
                assert answer.headers["X-Own"] == text
            if upstream is None:
                assert await answer.json() == [value.decode("latin-1")]
            else:
                assert own_in(upstream.requests[-1]) == value


@pytest.mark.parametrize("kind", ["aiohttp", "starlette", "proxy"])
async def test_values_of_a_client_that_offers_nothing_are_text(kind: str) -> None:
    """So they are in clients of 0.2.0."""
    async with in_place_at(kind) as (at, upstream), Client(at.url, clock=at.clock) as client:
        await client.login("ann@example.org", code=at.mails.code)
        inside = HttpRequest("POST", "/own", (("X-Own", "Køge"),), b"")
        answer = await messages_of(client).send(inside)
        assert {name.lower(): value for name, value in answer.headers}["x-own"] == "Køge"
        if upstream is None:
            assert json.loads(answer.body) == ["Køge".encode().decode("latin-1")]
        else:
            assert own_in(upstream.requests[-1]) == "Køge".encode()


@pytest.mark.parametrize("kind", ["aiohttp", "starlette", "proxy"])
async def test_values_in_the_classic_suite_are_text(kind: str) -> None:
    """Its JSON holds text: UTF-8 stays what it is, and other bytes become UTF-8."""
    async with in_place_at(kind) as (at, upstream):
        async with Client(at.url, dialect=at.dialect, clock=at.clock) as client:
            await client.login("ann@example.org", code=at.mails.code)
            for value in (b"K\xc3\xb8ge", b"21\xb0"):
                sent = value.decode("utf-8", "surrogateescape")
                text = "Køge" if value.startswith(b"K") else "21°"
                answer = await client.post("/own", headers={"X-Own": sent})
                assert answer.headers["X-Own"] == text
                if upstream is None:
                    assert await answer.json() == [text.encode().decode("latin-1")]
                else:
                    assert own_in(upstream.requests[-1]) == text.encode()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", ["aiohttp", "starlette", "proxy"])
async def test_values_of_messages_in_place(kind: str, value: bytes) -> None:
    async with in_place_at(kind) as (at, upstream):
        raw = await at.raw_login()
        head, body = await sealed_in_place(raw, value)
        assert own_in(head) == value
        if upstream is None:
            assert json.loads(body) == [value.decode("latin-1")]
        else:
            assert own_in(upstream.requests[-1]) == value


@asynccontextmanager
async def in_place_at(kind: str) -> AsyncIterator[tuple[Running, Hostile | None]]:
    if kind != "proxy":
        async with running(shop_of(kind)) as at:
            yield at, None
        return
    mails = CaughtMails()
    async with hostile(echo_own) as upstream, running() as other:
        app = gateway.reverse_proxy(
            upstream.url, users=gateway.AnyAddress(), mail=mails, dialect=other.dialect
        )
        async with serving(app) as front:
            yield Running(front, mails, other.clock, other.http, other.dialect), upstream


async def sealed_in_place(raw: Raw, value: bytes) -> tuple[bytes, bytes]:
    """The head of the response to a message in place with a header X-Own, and its opened body."""
    message, pending = raw.exchange.seal_fields(
        raw.token, raw.keys, {"item": "tea"}, raw.at.clock(), secrets.token_bytes
    )
    names = raw.exchange.suite.dialect.names
    sent = json.dumps(message.serialize(names)).encode()
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(raw.at.url.rpartition(":")[2])
        )
        writer.write(b"POST /own HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Connection: close\r\nX-Own: " + value + b"\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(sent) + sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    answer = Answer(200, {}, body)
    return head, pending.open_plaintext(SealedMessage.parse(answer.json, names))


@pytest.mark.parametrize("control", [b"\x00", b"\x01", b"\x0b", b"\x1f", b"\x7f"])
async def test_control_characters_are_refused(control: bytes) -> None:
    value = b"a" + control + b"b"

    async def answer(_: Hostile, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Own: " + value + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    mails = CaughtMails()
    async with hostile(answer) as upstream:
        app = gateway.reverse_proxy(
            upstream.url, users=gateway.AnyAddress(), mail=mails, public=["/x"]
        )
        async with serving(app) as front, Client(front) as client:
            await client.login("ann@example.org", code=mails.code)
            port = int(front.rpartition(":")[2])
            assert b" 502 " in (await plain(port, b"/x")).partition(b"\r\n")[0]
            assert (await client.get("/x")).status == 502
            # Nor does such a request reach the upstream.
            count = len(upstream.requests)
            refused = await plain(port, b"/x", b"X-Own: " + value)
            assert b" 400 " in refused.partition(b"\r\n")[0]
            assert len(upstream.requests) == count
