"""deploy/nginx.conf and deploy/haproxy.cfg, run: two gateways behind a real reverse proxy."""

import asyncio
import contextlib
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import redis_servers
from frameworks import serving
from fronts import FRONTS, Behind, Front
from gateways import CaughtMails, Running
from mailboxes import eventually, text_of
from streaming import Seen, aiohttp_app, pattern
from two_gateways import DIALECT, WAYS, Gateway, Pair, log_in, two_gateways

from certless.client import Client, StreamAborted
from gateway import AnyAddress, setup
from gateway.config.options import DEFAULT_MAX_BODY_BYTES

FIGURES = re.compile(r"metrics at http://127\.0\.0\.1:(\d+)/")
BODY = b'{"token": "sealed"}'
by_each = pytest.mark.parametrize("name", FRONTS)


@by_each
def test_the_program_takes_the_fragment(name: str, tmp_path: Path) -> None:
    front = Front.of(name, tmp_path, [Behind(8440, 8441), Behind(8450, 8451)])
    assert front.check() == ""


# --- two real gateways ---


@dataclass
class Fronted:
    """Two gateways, and the proxy through which ``at`` reaches them."""

    pair: Pair
    at: Running


@asynccontextmanager
async def fronted(name: str, folder: Path, store: str = "") -> AsyncIterator[Fronted]:
    options = ("--trusted-proxy", "127.0.0.1", "--admin", "127.0.0.1:0")
    async with two_gateways(folder, store or f"sqlite:{folder / 'db'}", *options) as pair:
        behind = [await _places(one) for one in (pair.a, pair.b)]
        async with Front.of(name, folder, behind).running() as front:
            a = pair.a
            yield Fronted(pair, Running(front.url, a.mails, a.clock, a.http, DIALECT))


async def _places(gateway: Gateway) -> Behind:
    """Its ports, once it is ready; that of the figures is in its log."""
    found: list[str] = []

    def is_told() -> bool:
        found[:] = FIGURES.findall(gateway.log.read_text())
        return bool(found)

    await eventually(is_told)
    admin = int(found[0])
    # HAProxy checks this too: it sends no client to a gateway without its first RSA pair.
    async with asyncio.timeout(20):
        while not await _is_ready(gateway, admin):  # noqa: ASYNC110 (it is outside the loop)
            await asyncio.sleep(0.02)
    return Behind(int(gateway.url.rpartition(":")[2]), admin)


async def _is_ready(gateway: Gateway, admin: int) -> bool:
    async with gateway.http.get(f"http://127.0.0.1:{admin}/readyz") as answer:
        return answer.status == 200


@by_each
async def test_sessions_go_on_whichever_gateway_a_message_comes_to(
    name: str, tmp_path: Path
) -> None:
    async with fronted(name, tmp_path) as here:
        logs = [here.pair.a.log, here.pair.b.log]
        for way in WAYS:
            orders = await log_in(way, here.at, f"ann-{way}")
            sent = [orders.order() for _ in range(8)]
            assert [await message.send(here.at) for message in sent] == [200] * 8
            assert here.pair.ran() == {one.id: 1 for one in sent}
            here.pair.journal.write_text("")
        # Both have their share, once the proxy has found both well and the logs are up with it.
        async with asyncio.timeout(20):
            while not all("/.gateway/message 200" in log.read_text() for log in logs):
                assert await orders.order().send(here.at) == 200


@by_each
async def test_the_same_on_redis(name: str, tmp_path: Path) -> None:
    async with redis_servers.running(tmp_path / "redis") as server:
        async with fronted(name, tmp_path, server.url) as here:
            orders = await log_in("clock", here.at, "ann")
            sent = [orders.order() for _ in range(8)]
            assert [await message.send(here.at) for message in sent[:4]] == [200] * 4
            await here.pair.b.kill()
            async with asyncio.timeout(20):
                while await orders.order().send(here.at) != 200:
                    pass
            assert [await message.send(here.at) for message in sent[4:]] == [200] * 4
            assert {here.pair.ran()[message.id] for message in sent} == {1}


@by_each
async def test_one_gateway_is_killed_and_the_other_answers(name: str, tmp_path: Path) -> None:
    async with fronted(name, tmp_path) as here:
        orders = await log_in("clock", here.pair.a, "ann")
        await here.pair.a.kill()
        # The proxy learns of it by the first message that it would have brought there.
        sent = [orders.order() for _ in range(8)]
        assert [await message.send(here.at) for message in sent] == [200] * 8
        assert here.pair.ran() == {message.id: 1 for message in sent}


@by_each
async def test_a_kill_under_way_runs_nothing_twice(name: str, tmp_path: Path) -> None:
    async with fronted(name, tmp_path) as here:
        orders = await log_in("clock", here.at, "ann")
        sent = [orders.order() for _ in range(60)]
        turns = asyncio.Semaphore(6)

        async def send(number: int) -> int | None:
            async with turns:
                if number == 30:
                    await here.pair.a.kill()
                return await sent[number].send(here.at)

        answers = await asyncio.gather(*map(send, range(60)))
        ran = here.pair.ran()
        for message, answer in zip(sent, answers, strict=True):
            # Those that were inside the killed one have no answer, and ran or did not.
            assert answer in (200, 502, None)
            assert ran[message.id] in ({1} if answer == 200 else {0, 1})
        # And it goes on: connections to the killed one are gone, and the other is asked.
        async with asyncio.timeout(20):
            while [await orders.order().send(here.at) for _ in range(4)] != [200] * 4:
                pass


@by_each
async def test_the_mail_names_the_visitor_and_not_the_proxy_nor_what_he_wrote(
    name: str, tmp_path: Path
) -> None:
    async with fronted(name, tmp_path) as here:
        # Another address of loopback stands for another machine.
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        headers = {"X-Forwarded-For": "203.0.113.9"}
        url = f"{here.at.url}/.gateway/session"
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.post(url, json={"username": "ann@example.org"}, headers=headers) as response,
        ):
            assert response.status == 201
        await eventually(lambda: here.pair.mailbox.mails)
        text = text_of(here.pair.mailbox.mails[0].message)
        assert text.startswith("Somebody at 127.0.0.2 asked to log in")


@by_each
async def test_bodies_up_to_the_limit_of_the_gateway_pass(name: str, tmp_path: Path) -> None:
    async with fronted(name, tmp_path) as here:
        whole = await here.at.post("/.gateway/message", b"x" * DEFAULT_MAX_BODY_BYTES)
        assert (whole.status, whole.json["error"]) == (400, "malformed")
        larger = await here.at.post("/.gateway/message", b"x" * (DEFAULT_MAX_BODY_BYTES + 1))
        assert larger.status == 413


async def test_haproxy_asks_no_gateway_that_is_not_ready(tmp_path: Path) -> None:
    async with two_mutes("haproxy", tmp_path) as (front, both):
        both.ready = False
        # Both say so, so there is nobody left to ask.
        async with asyncio.timeout(20), aiohttp.ClientSession() as http:
            while True:
                async with http.get(f"{front.url}/", headers={"Connection": "close"}) as response:
                    if response.status == 503:
                        break
        count = len(both.asked)
        async with aiohttp.ClientSession() as http, http.get(f"{front.url}/") as response:
            assert (response.status, len(both.asked)) == (503, count)


# --- streams ---


@asynccontextmanager
async def streaming_behind(name: str, folder: Path) -> AsyncIterator[tuple[Client, Seen]]:
    """A client behind the proxy, and what the handlers of the application have seen."""
    mails, seen, health = CaughtMails(), Seen(), Mute()
    app = aiohttp_app(seen)
    setup(app, users=AnyAddress(), mail=mails, suites=["ecdh-gcm"])
    async with serving(app) as url, health.listening() as ready:
        behind = Behind(int(url.rpartition(":")[2]), ready.admin)
        async with Front.of(name, folder, [behind, behind]).running() as front:
            async with Client(front.url) as client, asyncio.timeout(60):
                await client.login("ann@example.org", code=mails.code)
                yield client, seen
        seen.released.set()


@by_each
async def test_a_response_arrives_while_it_is_written(name: str, tmp_path: Path) -> None:
    async with streaming_behind(name, tmp_path) as (client, seen):
        async with client.stream("GET", "/breaks") as response:
            # The handler waits, with its response half written.
            assert await response.content.readany() == b"half"
            seen.released.set()
            with pytest.raises(StreamAborted):
                await response.content.readany()


@by_each
async def test_each_event_arrives_when_it_is_sent(name: str, tmp_path: Path) -> None:
    async with streaming_behind(name, tmp_path) as (client, seen):
        seen.last_tick = 3
        async with client.events("/clock") as events:
            for tick in (1, 2, 3):
                # The next one is sent only after this one has arrived.
                seen.allow(tick)
                event = await anext(events)
                assert (event.id, event.data) == (str(tick), str(tick))


@by_each
async def test_a_body_reaches_the_handler_while_it_is_sent(name: str, tmp_path: Path) -> None:
    async with streaming_behind(name, tmp_path) as (client, seen):

        async def body() -> AsyncIterator[bytes]:
            yield pattern(1000)
            # The rest follows only once the handler runs.
            await seen.begun.wait()
            yield pattern(1000)

        async with client.stream("PUT", "/up", data=body()) as response:
            assert response.status == 200
        assert seen.received == 2000


@by_each
async def test_a_body_beyond_the_limit_of_messages_passes(name: str, tmp_path: Path) -> None:
    async with streaming_behind(name, tmp_path) as (client, seen):
        size = 2 * DEFAULT_MAX_BODY_BYTES
        async with client.stream("PUT", "/up", data=pattern(size)) as response:
            assert response.status == 200
        assert seen.received == size


@by_each
async def test_a_socket_passes(name: str, tmp_path: Path) -> None:
    async with streaming_behind(name, tmp_path) as (client, _), client.ws("/chat") as ws:
        for text in ("one", "two" * 100_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text
        assert await ws.close()
        assert ws.close_code == 1000


# --- gateways that fall silent: what is sent to them is not sent to another ---


@dataclass
class Mute:
    """Takes requests as a gateway does, and closes without an answer."""

    asked: list[bytes] = field(default_factory=list)
    ready: bool = True

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b" /readyz " in head:
                said = b"200 OK" if self.ready else b"503 Service Unavailable"
                writer.write(b"HTTP/1.1 " + said + b"\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            else:
                if head.startswith(b"POST"):
                    await reader.readuntil(BODY)
                self.asked.append(head)
        writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Behind]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        try:
            yield Behind(port, port)
        finally:
            server.close()
            await server.wait_closed()


@asynccontextmanager
async def two_mutes(name: str, folder: Path) -> AsyncIterator[tuple[Front, Mute]]:
    both = Mute()
    async with both.listening() as a, both.listening() as b:
        async with Front.of(name, folder, [a, b]).running() as front:
            yield front, both


@by_each
async def test_a_message_that_was_sent_is_not_sent_to_another(name: str, tmp_path: Path) -> None:
    async with two_mutes(name, tmp_path) as (front, both):
        url = f"{front.url}/.gateway/message"
        for count in (1, 2, 3):
            async with aiohttp.ClientSession() as http, http.post(url, data=BODY) as response:
                assert response.status == 502
            assert len(both.asked) == count


@by_each
async def test_a_request_arrives_as_it_was_made(name: str, tmp_path: Path) -> None:
    async with two_mutes(name, tmp_path) as (front, both):
        target = "/a%2Fb//c/%2e%2e/d;x?q=%00&r=a+b"
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(
            f"POST {target} HTTP/1.1\r\nHost: shop.example:8080\r\nOrigin: http://shop.example:8080"
            "\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.10\r\n"
            f"Forwarded: for=203.0.113.11\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
            + BODY
        )
        assert b" 502 " in await reader.readline()
        writer.close()
        line, *lines = both.asked[0].decode().split("\r\n")
        assert line == f"POST {target} HTTP/1.1"
        headers = [tuple(one.lower().split(": ", 1)) for one in lines if one]
        assert ("host", "shop.example:8080") in headers
        assert ("origin", "http://shop.example:8080") in headers
        assert [value for key, value in headers if key == "x-forwarded-for"] == ["127.0.0.1"]
