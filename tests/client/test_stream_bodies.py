"""Bodies of streams at the Python client: what they leave open, and how slow they can be."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from streaming import pattern, streaming_in

from certless.client import Client, ClientError, NotLoggedIn, OutcomeUnknown


def open_files(folder: Path) -> list[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    names = [str(link.readlink()) for link in links]
    return [name for name in names if name.startswith(str(folder))]


async def test_a_stream_that_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"tea")
    gc.disable()
    try:
        async with Client("http://127.0.0.1:1") as client:
            with pytest.raises(NotLoggedIn) as caught:
                await client.stream("PUT", "/up", data=file).__aenter__()
            # The traceback holds all local variables.
            assert caught.tb is not None
            assert open_files(tmp_path) == []
            with pytest.raises(FileNotFoundError):
                await client.stream("PUT", "/up", data=tmp_path / "gone").__aenter__()
    finally:
        gc.enable()


async def test_a_success_in_answer_to_half_a_body() -> None:
    """As in the JavaScript client: the program must check what was done."""

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        await asyncio.Event().wait()

    async with streaming_in("aiohttp") as at:
        for path, fails in (("/ignore?status=200", True), ("/ignore?status=403", False)):
            response = await at.client.stream("PUT", path, data=endless()).__aenter__()
            if fails:
                with pytest.raises(OutcomeUnknown, match="check whether it was processed"):
                    await response.read()
            else:
                assert await response.read() == b"no"
            response.close()
        # The end of the block reads a short rest.
        with pytest.raises(OutcomeUnknown):
            async with at.client.stream("PUT", "/ignore?status=200", data=endless()):
                """The program does not read."""


def connections(client: Client) -> int:
    """The connections that are in use."""
    http = client._transport._http
    assert http is not None
    assert isinstance(http.connector, aiohttp.TCPConnector)
    return len(http.connector._acquired)


async def test_no_connection_stays_in_use() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("the disk fails")

    async with streaming_in("aiohttp") as at:
        async with at.client.stream("GET", "/down?size=5000000") as response:
            await response.content.readany()
        with pytest.raises(ZeroDivisionError):
            async with at.client.stream("GET", "/down?size=5000000"):
                raise ZeroDivisionError
        with pytest.raises(ClientError):
            await at.client.stream("PUT", "/up", data=failing()).__aenter__()
        async with at.client.stream("PUT", "/ignore", data=pattern(5_000_000)) as response:
            assert response.status == 403
        waiting = asyncio.create_task(at.client.stream("GET", "/breaks").__aenter__())
        response = await waiting
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        response.close()
        assert connections(at.client) == 0
