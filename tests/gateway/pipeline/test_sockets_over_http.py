"""WebSockets inside a session, with real servers and clients (PROTOCOL §2.11)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from frameworks import serving
from streaming import KINDS, PATTERN, Streaming, streaming_in

from certless.client import (
    Client,
    ClientError,
    Refused,
    SocketRefused,
    SocketsNotAccepted,
    StreamAborted,
    StreamBroken,
    Suite,
    WebSocket,
)
from gateway.pipeline import session_watch, socket_routes
from gateway.pipeline import sockets as gateway_sockets
from gateway.pipeline.streams import STREAMS_PER_USER
from protocol.classic.dialects import DEFAULT_PREFIX
from protocol.common.messages import HttpRequest
from protocol.streams.bodies import AbortReason
from protocol.streams.opening import SocketRequest

SOCKET = f"{DEFAULT_PREFIX}/socket"
each_kind = pytest.mark.parametrize("kind", KINDS)
pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
@each_kind
async def test_an_echo(kind: str, suite: Suite) -> None:
    headers = {"X-Own": "caf\u00e9", "Sec-WebSocket-Extensions": "permessage-deflate"}
    async with (
        streaming_in(kind, suite) as at,
        at.client.ws("/chat?x=%2F", protocols=["other", "chat.v2"], headers=headers) as ws,
    ):
        assert ws.protocol == "chat.v2"
        assert ws.headers["X-Own"] == "caf\u00e9"
        for text in ("hello", "", "gr\u00fc\u00dfe \U0001f600" * 20_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text
        for data in (b"\0\xff", b"", PATTERN * 30):
            await ws.send_bytes(data)
            assert await ws.receive_bytes() == data
        await ws.send_json({"a": 1})
        assert await ws.receive_json() == {"a": 1}
        assert await ws.close(code=3000, message=b"bye")
        assert (ws.close_code, ws.closed) == (3000, True)
        assert not await ws.close()
        assert (await ws.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        await asyncio.wait_for(at.seen.ended.wait(), 5)
        assert at.seen.close_code == 3000


@pytest.mark.parametrize("kind", ["aiohttp", "proxy"])
async def test_cookies(kind: str) -> None:
    async with streaming_in(kind) as at:
        for _ in range(2):
            async with at.client.ws("/chat"):
                pass
        assert at.seen.cookies == ["", "room=1"]


@each_kind
async def test_the_application_closes(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat") as ws:
        assert ws.protocol is None
        await ws.send_str("one")
        await ws.send_str("close")
        assert [message.data async for message in ws] == ["one"]
        assert ws.close_code == 4001
        with pytest.raises(ClientError):
            await ws.send_str("late")


@each_kind
async def test_the_reason_of_a_close(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat") as ws:
        await ws.send_str("close")
        message = await ws.receive()
        assert (message.type, message.data, message.extra) == (
            WSMsgType.CLOSE,
            4001,
            "gr\u00fc\u00dfe",
        )
        assert (await ws.receive()).type is WSMsgType.CLOSED


async def test_an_upstream_that_closes_without_a_code() -> None:
    async with streaming_in("proxy") as at, at.client.ws("/chat") as ws:
        await ws.send_str("leave")
        message = await ws.receive(5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)


@each_kind
async def test_the_application_fails(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat") as ws:
        await ws.send_str("fail")
        with pytest.raises(StreamAborted) as raised:
            await ws.receive()
        assert raised.value.reason == AbortReason.FAILED
        assert ws.close_code == 1006
        assert ws.exception() is raised.value


@each_kind
async def test_the_client_is_gone(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat") as ws:
        await ws.send_str("one")
        assert await ws.receive_str() == "one"
        cut(ws)
        await asyncio.wait_for(at.seen.ended.wait(), 10)
        assert at.seen.close_code == (1001 if kind == "proxy" else 1006)


def cut(ws: WebSocket) -> None:
    """End the connection without a close of any kind."""
    response = ws._connection._socket._response
    assert response.connection is not None
    assert response.connection.transport is not None
    response.connection.transport.abort()


@each_kind
async def test_the_application_refuses(kind: str) -> None:
    async with streaming_in(kind) as at:
        with pytest.raises(SocketRefused) as raised:
            async with at.client.ws("/chat?refuse"):
                raise AssertionError
        assert raised.value.status == 403
        assert "no" in [value for name, value in raised.value.headers if name.lower() == "x-own"]
        if kind != "proxy":
            assert raised.value.body == b"not you"
        for target in ("/nowhere", "/down?size=1"):
            with pytest.raises(SocketRefused):
                async with at.client.ws(target):
                    raise AssertionError
        with pytest.raises(SocketRefused) as raised:
            async with at.client.ws(f"{DEFAULT_PREFIX}/message"):
                raise AssertionError
        assert raised.value.status == 404


@each_kind
async def test_sockets_and_streams_of_a_user_have_one_limit(kind: str) -> None:
    async with streaming_in(kind) as at, AsyncExitStack() as stack:
        last = await stack.enter_async_context(at.client.ws("/chat"))
        await stack.enter_async_context(at.client.stream("GET", "/forever"))
        for _ in range(STREAMS_PER_USER - 2):
            await stack.enter_async_context(at.client.ws("/chat"))
        for _ in range(2):
            with pytest.raises(SocketRefused) as raised:
                async with at.client.ws("/chat"):
                    raise AssertionError
            assert raised.value.status == 429
            assert b"close one first" in raised.value.body
        with pytest.raises(Refused, match="too_many"):
            await at.client.stream("PUT", "/up", data=b"body").__aenter__()
        await last.close()
        # The gateway counts the socket until its own part has ended, which the client cannot see.
        async with asyncio.timeout(10):
            while True:
                try:
                    await stack.enter_async_context(at.client.ws("/chat"))
                    break
                except SocketRefused:
                    await asyncio.sleep(0.01)


@each_kind
async def test_both_directions_at_once(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat?flood=2000") as ws:

        async def send() -> None:
            for _ in range(2000):
                await ws.send_bytes(PATTERN[:1024])

        sending = asyncio.create_task(send())
        for _ in range(4000):
            assert await ws.receive_bytes() == PATTERN[:1024]
        await sending


@each_kind
async def test_a_client_that_does_not_read(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat?flood=20_000") as ws:
        await asyncio.wait_for(at.seen.begun.wait(), 5)
        before = -1
        while before != at.seen.sent:
            before = at.seen.sent
            await asyncio.sleep(0.2)
        # What is held: credit, buffers of the gateway, and sockets between proxy and upstream.
        assert at.seen.sent < 20_000
        for _ in range(20_000):
            assert await ws.receive_bytes() == PATTERN[:1024]
        assert at.seen.sent == 20_000


async def test_a_client_that_does_not_read_messages_above_the_credit() -> None:
    """The first fragments of a message renew the credit only if no other message waits."""
    # The last fragment has one byte.
    size, count = 4 * 65_518 + 1, 100
    async with streaming_in("aiohttp") as at:
        async with at.client.ws(f"/chat?flood={count}&size={size}") as ws:
            before = -1
            while before != at.seen.sent:
                before = at.seen.sent
                await asyncio.sleep(0.2)
            # What is held: credit, and buffers of the gateway.
            assert at.seen.sent < 10
            for _ in range(count):
                assert len(await ws.receive_bytes()) == size
            assert at.seen.sent == count


@each_kind
async def test_an_application_that_does_not_read(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.ws("/chat?waits") as ws:
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(20_000):
                await ws.send_bytes(PATTERN[:1024])
                sent += 1

        sending = asyncio.create_task(send())
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert 100 < sent < 20_000
        at.seen.released.set()
        for _ in range(20_000):
            assert await ws.receive_bytes() == PATTERN[:1024]
        await sending


async def test_the_longest_message_is_that_of_the_application() -> None:
    async with streaming_in("aiohttp") as at:
        async with at.client.ws("/chat?limit=2000") as ws:
            await ws.send_bytes(bytes(1999))
            assert await ws.receive_bytes() == bytes(1999)
            await ws.send_bytes(bytes(2001))
            assert (await ws.receive()).data == 1009
        async with at.client.ws("/chat", max_msg_size=2000) as ws:
            await ws.send_bytes(bytes(2001))
            with pytest.raises(StreamBroken, match="max_msg_size"):
                await ws.receive()


@each_kind
async def test_a_session_that_ends(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_watch, "CHECK_S", 0)
    monkeypatch.setattr(gateway_sockets, "_PING_S", 0.05)
    async with streaming_in(kind) as at, at.client.ws("/chat") as ws:
        await ws.send_str("one")
        assert await ws.receive_str() == "one"
        await at.client.logout()
        with pytest.raises(StreamAborted) as raised:
            await ws.receive(10)
        assert raised.value.reason == AbortReason.SESSION_ENDED
        await asyncio.wait_for(at.seen.ended.wait(), 10)
        assert at.seen.close_code == 1008


async def test_pings_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_sockets, "_PING_S", 0.01)
    async with streaming_in("aiohttp") as at, at.client.ws("/chat") as ws:
        await asyncio.sleep(0.1)
        await ws.send_str("one")
        assert await ws.receive_str() == "one"


# --- the connection -----------------------------------------------------------------------------


@asynccontextmanager
async def between(
    at: Streaming,
    change: Callable[[int, bytes], list[bytes]],
    changed: asyncio.Event,
    *,
    is_of_client: bool,
) -> AsyncIterator[Client]:
    """A client whose connection passes somebody who changes the messages of one side.

    ``change`` gets the number of the message, 0 for the envelope or its answer.
    """

    async def pass_on(request: web.Request) -> web.StreamResponse:
        near = web.WebSocketResponse()
        await near.prepare(request)
        async with aiohttp.ClientSession() as http, http.ws_connect(at.url + SOCKET) as far:

            async def carry(source: Any, target: Any, is_changed: bool) -> None:
                at_number = 0
                async for message in source:
                    data = message.data
                    for one in change(at_number, data) if is_changed else [data]:
                        await target.send_bytes(one)
                    if is_changed and at_number == 2:
                        changed.set()
                    at_number += 1
                await target.close(code=1000)

            await asyncio.gather(
                carry(near, far, is_of_client),
                carry(far, near, not is_of_client),
                return_exceptions=True,
            )
        return near

    app = web.Application()
    app.router.add_get(SOCKET, pass_on)
    async with serving(app) as url:
        transport = at.client._protocol._transport  # type: ignore[attr-defined]
        before, transport.url = transport.url, transport.url.with_port(int(url.rpartition(":")[2]))
        yield at.client
        transport.url = before


class Changes:
    """What somebody on the way does to the messages from the third one on."""

    @staticmethod
    def flip(number: int, message: bytes) -> list[bytes]:
        return [message[:-1] + bytes([message[-1] ^ 1])] if number == 2 else [message]

    @staticmethod
    def drop(number: int, message: bytes) -> list[bytes]:
        return [] if number == 2 else [message]

    @staticmethod
    def repeat(number: int, message: bytes) -> list[bytes]:
        return [message, message] if number == 2 else [message]

    @staticmethod
    def cut(number: int, message: bytes) -> list[bytes]:
        return [message[:-5]] if number == 2 else [message]

    @staticmethod
    def reorder(number: int, message: bytes) -> list[bytes]:
        if number == 2:
            Changes.held = message
            return []
        return [message, Changes.held] if number == 3 else [message]

    held = b""


@pytest.mark.parametrize("name", ["flip", "drop", "repeat", "cut", "reorder"])
@pytest.mark.parametrize("is_of_client", [True, False], ids=["client", "server"])
async def test_what_was_changed_on_the_way(name: str, is_of_client: bool) -> None:
    changed = asyncio.Event()
    async with (
        streaming_in("aiohttp") as at,
        between(at, getattr(Changes, name), changed, is_of_client=is_of_client) as client,
    ):
        got: list[str] = []

        async def talk() -> None:
            async with client.ws("/chat") as ws:
                for text in ("one", "two", "three", "four"):
                    await ws.send_str(text)
                    if name not in ("drop", "reorder"):
                        got.append(await ws.receive_str(timeout=10))
                # What is missing is seen at the next message.
                await asyncio.wait_for(changed.wait(), 10)
                await ws.send_str("five")
                while True:
                    got.append(await ws.receive_str(timeout=10))

        with pytest.raises(ClientError) as raised:
            await talk()
        assert got in ([], ["one"], ["one", "two"])
        assert isinstance(raised.value, StreamBroken | StreamAborted)


async def test_a_close_of_the_connection_is_no_close() -> None:
    """Somebody on the way ends the connection with code 1000."""
    async with streaming_in("aiohttp") as at, at.client.ws("/chat") as ws:
        await ws.send_str("one")
        assert await ws.receive_str() == "one"
        await ws._connection._socket.close(code=1000)
        with pytest.raises(StreamBroken):
            await ws.receive()
        assert ws.close_code == 1006
        await asyncio.wait_for(at.seen.ended.wait(), 5)
        assert at.seen.close_code == 1006


@asynccontextmanager
async def connected(at: Streaming) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as http, http.ws_connect(at.url + SOCKET) as ws:
        yield ws


async def closed(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    message = await ws.receive(10)
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    return ws.close_code, message.extra or ""


@pytest.mark.parametrize("kind", ["aiohttp", "starlette"])
async def test_what_opens_no_socket(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with streaming_in(kind) as at:
        messages = at.client._protocol._messages  # type: ignore[attr-defined]
        inside = HttpRequest("GET", "/chat", (), b"")
        plain, _ = messages._sealed(lambda now_ms: messages._seal(inside, now_ms), "msgpack")
        asked: list[bytes] = []
        transport = messages._transport
        begin = transport.open_socket

        async def caught(path: str, body: bytes) -> object:
            asked.append(body)
            return await begin(path, body)

        monkeypatch.setattr(transport, "open_socket", caught)
        async with at.client.ws("/chat"):
            pass
        (used,) = asked
        for message, expected in (
            (b"no envelope", (4400, "malformed")),
            (bytes(65_537), (4413, "too_large")),
            # An envelope of another kind is refused before it is claimed.
            (plain, (4403, "rejected")),
            # One that was used before.
            (used, (4403, "rejected")),
        ):
            async with connected(at) as ws:
                await ws.send_bytes(message)
                assert await closed(ws) == expected
        async with connected(at) as ws:
            await ws.send_str("text")
            assert await closed(ws) == (4400, "malformed")
        monkeypatch.setattr(socket_routes, "_OPENING_S", 0.05)
        async with connected(at) as ws:
            assert await closed(ws) == (4408, "too_slow")
        # The plain request was not claimed, so it can still be sent where it belongs.
        async with aiohttp.ClientSession() as http:
            types = {"Content-Type": "application/msgpack"}
            async with http.post(
                f"{at.url}{DEFAULT_PREFIX}/message", data=plain, headers=types
            ) as answer:
                assert answer.status == 200
            for method, status in (("POST", 405), ("GET", 400)):
                async with http.request(method, at.url + SOCKET) as answer:
                    assert answer.status == status


async def test_a_socket_request_at_another_route() -> None:
    async with streaming_in("aiohttp") as at:
        messages = at.client._protocol._messages  # type: ignore[attr-defined]
        request = SocketRequest("/chat", (), (), 65_536)
        sealed, _ = messages._sealed(
            lambda now_ms: messages._seal_socket(request, now_ms), "msgpack"
        )
        for path in ("/message", "/stream"):
            with pytest.raises(Refused, match="rejected"):
                await messages._transport.post(path, sealed, "msgpack")


async def test_a_gateway_without_sockets() -> None:
    async with streaming_in("aiohttp") as at:
        transport = at.client._protocol._transport  # type: ignore[attr-defined]
        async with serving(web.Application()) as url:
            transport.url = transport.url.with_port(int(url.rpartition(":")[2]))
            with pytest.raises(SocketsNotAccepted):
                async with at.client.ws("/chat"):
                    raise AssertionError


async def test_what_a_client_refuses_to_ask() -> None:
    async with streaming_in("aiohttp") as at:
        for target, protocols in (("//other/", []), ("/chat", ["a b"]), ("/chat", ["a", "a"])):
            with pytest.raises(ValueError, match=r"path|subprotocol"):
                at.client.ws(target, protocols=protocols)
        async with at.client.ws("/chat") as ws:
            for code in (999, 1006, 5000):
                with pytest.raises(ValueError, match="close"):
                    await ws.close(code=code)
