"""Server-Sent Events over HTTP: released one by one, and nothing is lost."""

import asyncio

import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails
from streaming import ANN, KINDS, streaming_in

import gateway
from certless.client import Client, Events, NoAnswer, NotLoggedIn, Refused, StreamAborted
from certless.client import events as module
from certless.client.transport import StreamedReply
from gateway.pipeline import session_watch
from gateway.pipeline import streams as gateway_streams

each_kind = pytest.mark.parametrize("kind", KINDS)


async def read(events: Events, count: int) -> list[str]:
    async with asyncio.timeout(20):
        return [(await anext(events)).data for _ in range(count)]


@each_kind
async def test_events_come_while_the_response_is_open(kind: str) -> None:
    async with streaming_in(kind) as at:
        at.seen.last_tick = 5
        async with at.client.events("/clock") as events:
            for tick in range(1, 6):
                # The server writes the next event only now.
                at.seen.allow(tick)
                assert await read(events, 1) == [str(tick)]
            assert events.last_event_id == "5"
            # The response has ended, the client asks for more, and a 204 ends it.
            async with asyncio.timeout(20):
                assert [event async for event in events] == []
        assert at.seen.asked_after == ["", "5"]


@each_kind
async def test_nothing_is_lost_by_a_cut_connection(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reply is cut after some hundred bytes, in a record or between two."""
    chunk, replies = StreamedReply.chunk, dict[StreamedReply, int]()

    async def cut(reply: StreamedReply) -> bytes:
        left = replies.setdefault(reply, 300 + 37 * len(replies))
        if left <= 0:
            raise NoAnswer("cut by the test")
        # One record can hold many events, so the server has only one to send.
        at.seen.allow(int(events.last_event_id or "0") + 1)
        data = (await chunk(reply))[:left]
        replies[reply] = left - len(data)
        return data

    async with streaming_in(kind) as at:
        at.seen.last_tick = 40
        monkeypatch.setattr(StreamedReply, "chunk", cut)
        monkeypatch.setattr(module, "LEAST_BACKOFF_S", 0.001)
        async with at.client.events("/clock") as events:
            assert await read(events, 40) == [str(tick) for tick in range(1, 41)]
        assert len(at.seen.asked_after) > 5


async def test_fields_parameters_and_a_first_id() -> None:
    async with streaming_in("aiohttp") as at:
        at.seen.last_tick = 5
        at.seen.allow(4)
        async with at.client.events("/clock", last_event_id="3", params={"a": "1"}) as events:
            event = await anext(events)
        assert (event.type, event.data, event.id, event.retry) == ("tick", "4", "4", 1)
        assert at.seen.asked_after == ["3"]


async def test_leaving_closes_the_connection() -> None:
    async with streaming_in("aiohttp") as at:
        async with at.client.events("/forever") as events:
            assert await read(events, 2) == ["tick", "tick"]
        async with asyncio.timeout(10):
            await at.seen.ended.wait()


async def test_what_is_not_events_is_an_error() -> None:
    async with streaming_in("aiohttp") as at:
        with pytest.raises(Refused, match="404"):
            await anext(at.client.events("/nowhere"))
        with pytest.raises(Refused, match="not with text/event-stream"):
            await anext(at.client.events("/down?size=5"))


async def test_an_ended_session_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_watch, "CHECK_S", 0.05)
    monkeypatch.setattr(gateway_streams, "_PING_S", 0.05)
    async with streaming_in("aiohttp") as at, at.client.events("/forever") as events:
        await anext(events)
        await at.client.logout()
        with pytest.raises((StreamAborted, NotLoggedIn)):
            await read(events, 100_000)


async def test_only_the_first_request_must_succeed() -> None:
    """A server that has no time is asked again, after the first success."""
    answers: list[int] = []

    async def busy(request: web.Request) -> web.StreamResponse:
        answers.append(len(answers))
        if len(answers) in (1, 3, 4):
            return web.Response(status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"retry: 1\ndata: {len(answers)}\n\n".encode())
        return response

    mails, app = CaughtMails(), web.Application()
    app.router.add_get("/busy", busy)
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails)
    async with serving(app) as url, Client(url) as client:
        await client.login(ANN, code=mails.code)
        with pytest.raises(Refused, match="503"):
            await anext(client.events("/busy"))
        async with client.events("/busy") as events:
            assert await read(events, 2) == ["2", "5"]


@pytest.mark.parametrize(
    ("retry_s", "failures", "told_s", "pause_s"),
    [
        (1, 0, 0, 1),
        (1, 1, 0, 1),
        (1, 2, 0, 2),
        (1, 3, 0, 4),
        (1, 50, 0, 60),
        (100, 50, 0, 100),
        (0, 0, 0, 0),
        (0, 2, 0, 0.2),
        (1, 1, 900, 900),
        (1, 3, 900, 900),
        (1, 3, 2, 4),
        # Retry-After is not sealed.
        (1, 1, 999_999, 3600),
        (7200, 1, 999_999, 7200),
    ],
)
def test_the_pause(retry_s: float, failures: int, told_s: float, pause_s: float) -> None:
    assert module._pause_s(retry_s, failures, told_s) == pause_s


async def test_classic_has_no_events() -> None:
    async with Client("http://127.0.0.1:1", suite="classic") as client:
        with pytest.raises(ValueError, match="classic has no streams"):
            await anext(client.events("/clock"))
