"""Streams over HTTP: bodies of any length, and never a short one (PROTOCOL §2.10)."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from streaming import KINDS, PATTERN, Streaming, pattern, pieces_of, streaming_in

from certless.client import (
    Client,
    ClientError,
    OutcomeUnknown,
    Refused,
    StreamAborted,
    StreamBroken,
    StreamResponse,
    StreamsNotAccepted,
    Suite,
    stream_body,
)
from certless.client import messages as client_messages
from certless.client.transport import StreamedReply
from gateway.pipeline import session_watch
from gateway.pipeline import streams as gateway_streams
from gateway.pipeline import upload as gateway_upload
from gateway.pipeline.streams import STREAMS_PER_USER
from protocol.streams.bodies import AbortReason
from protocol.streams.opening import StreamRequest
from protocol.streams.records import MIN_RECORD_BYTES, MOST_RECORD_BYTES

SIZE = 5_000_000
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
@each_kind
async def test_a_download(kind: str, suite: Suite) -> None:
    async with streaming_in(kind, suite) as at:
        for target in ("size=0", "size=1", f"size={SIZE}", f"size={SIZE}&declared"):
            size = int(target.split("&")[0][5:])
            async with at.client.stream("GET", f"/down?{target}") as response:
                assert response.status == 200
                assert response.headers["X-Own"] == "caf\u00e9"
                assert response.length == (size if "declared" in target else None)
                assert await response.read() == pattern(size)
        # A client that takes no stream gets it whole, up to the limit of messages.
        whole = await at.client.get("/down?size=100000")
        assert await whole.read() == pattern(100_000)


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
@each_kind
async def test_an_upload(kind: str, suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(pattern(SIZE))
    digest = hashlib.sha256(pattern(SIZE)).hexdigest()
    async with streaming_in(kind, suite) as at:
        sources: list[tuple[Any, int | None]] = [
            (pattern(SIZE), SIZE),
            (file, SIZE),
            (pieces_of(SIZE), None),
        ]
        sent: list[int] = []

        def progress(size: int, total: int | None) -> None:
            sent.append(size)

        for source, length in sources:
            headers = {"X-Own": "caf\u00e9"}
            sent.clear()
            async with at.client.stream(
                "PUT", "/up", data=source, headers=headers, progress=progress
            ) as response:
                assert response.status == 200
                assert response.headers["X-Own"] == "caf\u00e9"
                assert await response.json() == {"sha256": digest, "length": length}
            assert sent[-1] == SIZE
        with file.open("rb") as opened:
            opened.seek(SIZE - 5)
            async with at.client.stream("PUT", "/up", data=opened) as response:
                assert (await response.json())["length"] == 5
        async with at.client.stream("PUT", "/up", data=b"") as response:
            assert (await response.json())["length"] == 0


async def test_both_directions_at_once() -> None:
    turns = asyncio.Queue[bytes]()

    async def body() -> AsyncIterator[bytes]:
        while data := await turns.get():
            yield data

    # Starlette's own responses read the request to see whether the client has gone.
    async with streaming_in("aiohttp") as at:
        await turns.put(b"one")
        async with at.client.stream("PUT", "/back", data=body()) as response:
            assert await response.content.readany() == b"one"
            await turns.put(b"two")
            assert await response.content.readany() == b"two"
            await turns.put(b"")
            assert await response.content.readany() == b""


@each_kind
async def test_a_handler_that_does_not_read(kind: str) -> None:
    async with streaming_in(kind) as at:
        for size in (10, SIZE):
            async with at.client.stream("PUT", "/ignore", data=pattern(size)) as response:
                assert response.status == 403
                assert await response.text() == "no"
            assert (await at.client.get("/down?size=1")).status == 200


@each_kind
async def test_a_handler_that_fails_half_way(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.stream("GET", "/breaks") as response:
        assert await response.content.readany() == b"half"
        at.seen.released.set()
        with pytest.raises(StreamAborted, match="failed"):
            await response.content.readany()


@pytest.mark.parametrize("kind", ["aiohttp", "starlette"])
async def test_a_client_that_leaves_a_download(kind: str) -> None:
    async with streaming_in(kind) as at:
        async with at.client.stream("GET", "/forever") as response:
            assert await response.content.readany() == b"data: tick\n\n"
        async with asyncio.timeout(10):
            await at.seen.ended.wait()
        assert (await at.client.get("/down?size=1")).status == 200


@each_kind
async def test_a_client_that_leaves_an_upload(kind: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield PATTERN
        await at.seen.begun.wait()
        raise OSError("the disk fails")

    async with streaming_in(kind) as at:
        with pytest.raises(ClientError):
            await at.client.stream("PUT", "/up", data=body()).__aenter__()
        async with asyncio.timeout(10):
            await at.seen.ended.wait()
        # Not a short body: the handler has got an error.
        assert at.seen.error is not None
        assert at.seen.received <= len(PATTERN)


@each_kind
async def test_what_is_longer_than_the_limit(kind: str) -> None:
    async with streaming_in(kind, max_stream_bytes=100_000) as at:
        async with at.client.stream("PUT", "/up", data=pattern(100_001)) as response:
            assert response.status == 413
        with pytest.raises(StreamAborted, match="too large"):
            await at.client.stream("PUT", "/up", data=pieces_of(200_000)).__aenter__()
        async with at.client.stream("GET", "/down?size=200000") as response:
            with pytest.raises(StreamAborted, match=r"too large|failed"):
                await response.read()
        async with at.client.stream("GET", "/down?size=100000") as response:
            assert len(await response.read()) == 100_000


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (session_watch, gateway_upload):
        monkeypatch.setattr(module, "CHECK_S", 0.05)
    monkeypatch.setattr(gateway_streams, "_PING_S", 0.05)


@pytest.mark.usefixtures("quick_checks")
@pytest.mark.parametrize("kind", ["aiohttp", "starlette"])
async def test_a_stream_ends_with_its_session(kind: str) -> None:
    async with streaming_in(kind) as at, at.client.stream("GET", "/forever") as response:
        assert await response.content.readany()
        await at.client.logout()
        with pytest.raises(StreamAborted, match="session has ended"):
            async with asyncio.timeout(10):
                await response.read()
        async with asyncio.timeout(10):
            await at.seen.ended.wait()


async def read_to_the_end(response: StreamResponse) -> None:
    async for _ in response.content:
        """It is dropped."""


@pytest.mark.usefixtures("quick_checks")
@each_kind
async def test_a_fast_download_ends_with_its_session(kind: str) -> None:
    async with streaming_in(kind) as at:
        at.seen.released.set()
        async with at.client.stream("GET", "/late") as response:
            assert await response.content.readany()
            await at.client.logout()
            # The client reads, so it gets an ABORT and not a broken connection.
            with pytest.raises(StreamAborted, match="session has ended"):
                await asyncio.wait_for(read_to_the_end(response), 10)


@pytest.mark.usefixtures("quick_checks")
@pytest.mark.parametrize("ends", [False, True], ids=["stays", "ends"])
@each_kind
async def test_a_client_that_does_not_read_is_cut_off(
    kind: str, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ends:
        monkeypatch.setattr(gateway_streams, "_STALL_CHECKS", 1_000_000)
    async with streaming_in(kind) as at:
        at.seen.released.set()
        async with at.client.stream("GET", "/late") as response:
            assert response.status == 200
            if ends:
                await at.client.logout()
            async with asyncio.timeout(20):
                await at.seen.ended.wait()
            with pytest.raises(ClientError):
                await asyncio.wait_for(read_to_the_end(response), 10)


@pytest.mark.usefixtures("quick_checks")
@each_kind
async def test_an_upload_ends_with_its_session(kind: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            await asyncio.sleep(0.01)

    async with streaming_in(kind) as at:
        upload = asyncio.create_task(at.client.stream("PUT", "/up", data=body()).__aenter__())
        async with asyncio.timeout(10):
            await at.seen.begun.wait()
        await at.client.logout()
        with pytest.raises(ClientError):
            async with asyncio.timeout(10):
                await upload
        async with asyncio.timeout(10):
            await at.seen.ended.wait()
        assert at.seen.error is not None


@pytest.mark.usefixtures("quick_checks")
async def test_a_stream_that_is_silent_is_kept_alive() -> None:
    async with streaming_in("aiohttp") as at, at.client.stream("GET", "/breaks") as response:
        assert await response.content.readany() == b"half"
        # The next thing that comes is a PING, which the reader skips.
        assert response.content._reply is not None
        async with asyncio.timeout(10):
            assert len(await response.content._reply.chunk()) == 4 + MIN_RECORD_BYTES


# --- what somebody on the line can do ---


class Line:
    """Changes what comes back, or the records that go out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def cut_after(self, size: int) -> None:
        """The answer ends after ``size`` bytes of records."""
        left = size
        chunk = StreamedReply.chunk

        async def cut(reply: StreamedReply) -> bytes:
            nonlocal left
            data = await chunk(reply)
            data, left = data[:left], max(0, left - len(data))
            return data

        self._monkeypatch.setattr(StreamedReply, "chunk", cut)

    def change(self, position: int) -> None:
        """One bit of the answer's records is changed."""
        at = 0
        chunk = StreamedReply.chunk

        async def changed(reply: StreamedReply) -> bytes:
            nonlocal at
            data = bytearray(await chunk(reply))
            if at <= position < at + len(data):
                data[position - at] ^= 1
            at += len(data)
            return bytes(data)

        self._monkeypatch.setattr(StreamedReply, "chunk", changed)


@pytest.mark.parametrize("size", [0, 3, 40, 70_000, 199_999])
async def test_a_download_that_is_cut_is_an_error(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Line(monkeypatch).cut_after(size)
    async with streaming_in("aiohttp") as at:
        with pytest.raises(StreamBroken, match="cut off"):
            async with at.client.stream("GET", "/down?size=200000") as response:
                await response.read()


@pytest.mark.parametrize("position", [0, 3, 4, 60, 150_000])
async def test_a_download_that_is_changed_is_an_error(
    position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Line(monkeypatch).change(position)
    async with streaming_in("aiohttp") as at:
        with pytest.raises(StreamBroken):
            async with at.client.stream("GET", "/down?size=200000") as response:
                await response.read()


async def test_a_file_is_there_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming_in("aiohttp") as at:
        async with at.client.stream("GET", f"/down?size={SIZE}&declared") as response:
            seen: list[tuple[int, int | None]] = []
            path = tmp_path / "whole"
            assert await response.save(path, lambda *told: seen.append(told)) == SIZE
        assert path.read_bytes() == pattern(SIZE)
        assert seen[-1] == (SIZE, SIZE)
        Line(monkeypatch).cut_after(1_000_000)
        async with at.client.stream("GET", f"/down?size={SIZE}") as response:
            with pytest.raises(StreamBroken):
                await response.save(tmp_path / "short")
    assert [entry.name for entry in os.scandir(tmp_path)] == ["whole"]


async def spoilt_upload(
    at: Streaming, monkeypatch: pytest.MonkeyPatch, spoil: Any, size: int = 300_000
) -> None:
    """An upload whose records ``spoil`` changes: an error at both ends, and no whole body."""
    sealed_body = stream_body.sealed_body

    async def spoilt(*given: Any) -> AsyncIterator[bytes]:
        records = [record async for record in sealed_body(*given)]
        for record in spoil(records):
            yield record

    monkeypatch.setattr(client_messages, "sealed_body", spoilt)
    with pytest.raises(StreamAborted) as caught:
        async with at.client.stream("PUT", "/up", data=pattern(size)) as response:
            await response.read()
    assert caught.value.reason == AbortReason.BROKEN
    if at.seen.begun.is_set():
        async with asyncio.timeout(10):
            await at.seen.ended.wait()
        assert at.seen.error is not None
    assert at.seen.received < size
    monkeypatch.undo()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda records: records[:-1],
        lambda records: [*records[:-2], records[-1]],
        lambda records: [*records[:-1], records[-1][:-1]],
        lambda records: [*records[:-1], records[-1][:2]],
        lambda records: [records[0], records[0], *records[1:]],
        lambda records: [*records[1:], records[0]],
        lambda records: [records[0][:-1] + bytes([records[0][-1] ^ 1]), *records[1:]],
        lambda records: [b"\xff\xff\xff\xff" + records[0][4:], *records[1:]],
    ],
    ids=["no-final", "a-record-missing", "cut", "cut-in-a-length", "twice", "moved", "bit", "4gib"],
)
@each_kind
async def test_an_upload_that_is_changed_is_an_error_at_both_ends(
    kind: str, spoil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming_in(kind) as at:
        await spoilt_upload(at, monkeypatch, spoil)


async def test_bytes_after_the_end_of_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed_body = stream_body.sealed_body

    async def longer(*given: Any) -> AsyncIterator[bytes]:
        async for record in sealed_body(*given):
            yield record
        yield b"more"

    async with streaming_in("aiohttp") as at:
        monkeypatch.setattr(client_messages, "sealed_body", longer)
        with pytest.raises(StreamAborted, match="did not arrive whole"):
            async with at.client.stream("PUT", "/up", data=b"body") as response:
                await response.read()


async def test_a_body_is_taken_once_and_in_its_own_session() -> None:
    async with streaming_in("aiohttp") as at:
        paths: list[str] = []
        transport = at.client._protocol._transport  # type: ignore[attr-defined]
        post_records = transport.post_records

        async def noted(path: str, records: Any) -> Any:
            paths.append(path)
            return await post_records(path, records)

        transport.post_records = noted
        async with at.client.stream("PUT", "/up", data=b"body") as response:
            assert response.status == 200
        for path in (paths[0], "/stream/" + "0" * 32):
            with pytest.raises(Refused) as refused:
                await post_records(path, pieces_of(10))
            assert (refused.value.status, refused.value.code) == (403, "rejected")
        for digits in ("", "0" * 31, "A" * 32, "0" * 34):
            with pytest.raises(Refused) as refused:
                await post_records(f"/stream/{digits}", pieces_of(10))
            assert refused.value.status == 400


async def test_a_body_that_comes_after_the_session_has_ended_or_too_late() -> None:
    async with streaming_in("aiohttp") as at:
        messages = at.client._protocol._messages  # type: ignore[attr-defined]
        upload = messages._upload

        async def late(*given: Any) -> Any:
            at.clock.offset_ms += 600_001
            return await upload(*given)

        messages._upload = late
        with pytest.raises(Refused, match="rejected"):
            await at.client.stream("PUT", "/up", data=b"late").__aenter__()

        async def ended(*given: Any) -> Any:
            await at.client.logout()
            return await upload(*given)

        messages._upload = ended
        with pytest.raises(Refused, match="rejected"):
            await at.client.stream("PUT", "/up", data=b"ended").__aenter__()
        assert not at.seen.begun.is_set()


async def test_a_logout_deletes_the_streams_that_wait_for_their_bodies() -> None:
    async with streaming_in("aiohttp") as at:
        messages = at.client._protocol._messages  # type: ignore[attr-defined]
        request = StreamRequest("PUT", "/up", (), 4, MOST_RECORD_BYTES)
        granted = [(await messages._open_upload(request)).keys.stream_id for _ in range(3)]
        store, now_ms = at.assembly.store, at.clock()
        assert await store.take_exchange(granted[0], now_ms) is not None
        await at.client.logout()
        for stream_id in granted:
            assert await store.take_exchange(stream_id, now_ms) is None


@each_kind
async def test_a_body_of_a_known_length_has_a_least_rate(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one of unknown length, which may be live."""
    monkeypatch.setattr(gateway_upload, "_PATIENCE_S", 0)
    monkeypatch.setattr(gateway_upload, "_LEAST_BYTES_PER_S", 10**12)
    async with streaming_in(kind) as at:
        async with at.client.stream("PUT", "/up", data=pieces_of(100_000)) as response:
            assert response.status == 200
        with pytest.raises(StreamAborted) as aborted:
            await at.client.stream("PUT", "/up", data=pattern(100_000)).__aenter__()
        assert aborted.value.reason == AbortReason.TIMEOUT
        monkeypatch.undo()
        async with at.client.stream("PUT", "/up", data=pattern(100_000)) as response:
            assert response.status == 200


async def test_an_older_gateway_is_one_clear_error() -> None:
    async with streaming_in("aiohttp") as at:
        del at.assembly.middleware._protocol_routes["/.gateway/stream"]
        with pytest.raises(StreamsNotAccepted, match="takes no streams"):
            await at.client.stream("PUT", "/up", data=b"body").__aenter__()
        assert not at.seen.begun.is_set()


async def test_classic_has_no_streams() -> None:
    async with Client("http://127.0.0.1:1", suite="classic") as client:
        with pytest.raises(ValueError, match="classic has no streams"):
            await client.stream("GET", "/").__aenter__()


@pytest.mark.parametrize("target", ["/.gateway/session/logout", "/.gateway/x"])
async def test_routes_of_the_gateway_do_not_exist_inside_a_stream(target: str) -> None:
    async with streaming_in("aiohttp") as at:
        async with at.client.stream("POST", target, data=b"x") as response:
            assert response.status == 404
        assert (await at.client.get("/down?size=1")).status == 200


# --- what must not stay, and what must not pass for success ---


@pytest.mark.parametrize("kind", ["aiohttp", "proxy"])
async def test_a_client_that_leaves_before_the_head(kind: str) -> None:
    async with streaming_in(kind) as at:
        asked = asyncio.create_task(at.client.stream("GET", "/late").__aenter__())
        async with asyncio.timeout(10):
            await at.seen.begun.wait()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        at.seen.released.set()
        # The handler gets an error as soon as it writes: nobody reads.
        async with asyncio.timeout(20):
            await at.seen.ended.wait()


async def test_a_body_of_somebody_without_the_key_runs_nothing() -> None:
    async with streaming_in("aiohttp") as at:
        transport = at.client._protocol._transport  # type: ignore[attr-defined]
        post_records = transport.post_records

        async def of_a_stranger(path: str, _: Any) -> Any:
            return await post_records(path, pieces_of(100))

        transport.post_records = of_a_stranger
        with pytest.raises(StreamAborted, match="did not arrive whole"):
            await at.client.stream("PUT", "/up", data=b"body").__aenter__()
        assert not at.seen.begun.is_set()


@pytest.mark.parametrize("kind", ["aiohttp", "proxy"])
async def test_success_without_the_whole_body_is_an_error(kind: str) -> None:
    async with streaming_in(kind) as at:
        with pytest.raises((OutcomeUnknown, StreamAborted)):
            async with at.client.stream("PUT", "/ignore?status=200", data=pattern(SIZE)):
                """The response says at its end that the body was not read to its end."""


async def test_a_response_that_is_not_as_long_as_it_says() -> None:
    async with (
        streaming_in("aiohttp") as at,
        at.client.stream("GET", "/short") as response,
    ):
        assert response.status == 500


async def test_a_user_has_a_bound_of_open_streams() -> None:
    async with streaming_in("aiohttp", max_body_bytes=100_000) as at, AsyncExitStack() as stack:
        for _ in range(STREAMS_PER_USER):
            await stack.enter_async_context(at.client.stream("GET", "/forever"))
        # One more gets its response whole, up to the limit of messages.
        async with at.client.stream("GET", "/down?size=90000") as whole:
            assert len(await whole.read()) == 90_000
        async with at.client.stream("GET", "/down?size=200000") as whole:
            assert whole.status == 500
