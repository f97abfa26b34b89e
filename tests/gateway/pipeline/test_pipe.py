"""A pipe holds little, in the order in which it was written."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from gateway.pipeline.pipe import BodyFailed, Pipe
from protocol.streams.bodies import AbortReason

LIMIT = 256 * 1024


async def written(pipe: Pipe, pieces: Iterator[bytes]) -> list[bytes]:
    """What was written when the writer had to wait."""
    done: list[bytes] = []

    async def write() -> None:
        for piece in pieces:
            await pipe.write(piece)
            done.append(piece)

    writing = asyncio.create_task(write())
    # Each write that need not wait runs in one turn of the loop.
    await asyncio.sleep(0)
    assert not writing.done()
    writing.cancel()
    return done


@pytest.mark.parametrize(("size", "most"), [(1, 1024), (16_384, 16), (100_000, 2), (LIMIT, 1)])
async def test_a_writer_waits_while_much_is_held(size: int, most: int) -> None:
    pipe = Pipe()
    done = await written(pipe, itertools.repeat(bytes(size)))
    # Also small pieces take memory.
    assert 1 <= len(done) <= most
    assert await pipe.read() == b"".join(done)
    assert await written(pipe, itertools.repeat(bytes(size))) == done


async def test_a_long_write_comes_in_parts() -> None:
    pipe, whole = Pipe(), bytes(range(256)) * 4096
    writing = asyncio.create_task(pipe.write(whole))
    found = b""
    while len(found) < len(whole):
        part = await pipe.read()
        assert part is not None
        assert len(part) <= LIMIT
        found += part
    assert found == whole
    await writing


async def test_what_the_writer_changes_later_is_not_changed() -> None:
    pipe, data = Pipe(), bytearray(b"good")
    await pipe.write(data)
    await pipe.write(memoryview(data))
    data[:] = b"evil"
    assert await pipe.read() == b"goodgood"


async def test_a_reader_is_woken_without_data() -> None:
    pipe = Pipe()
    reading = asyncio.create_task(pipe.read())
    await asyncio.sleep(0)
    pipe.wake()
    assert await reading is None
    # A reader that does not wait notices nothing.
    pipe.wake()
    await pipe.write(b"data")
    assert await pipe.read() == b"data"
    pipe.end(None, b"last")
    pipe.wake()
    assert await pipe.read() == b"last"
    assert await pipe.read() == b""


async def test_data_comes_before_the_error() -> None:
    pipe = Pipe()
    await pipe.write(b"half")
    pipe.end(BodyFailed(AbortReason.FAILED))
    pipe.end()
    assert await pipe.read() == b"half"
    with pytest.raises(BodyFailed, match="failed"):
        await pipe.read()


async def test_a_writer_without_a_reader_gets_an_error() -> None:
    pipe = Pipe()
    await pipe.write(bytes(LIMIT))
    waiting = asyncio.create_task(pipe.write(b"more"))
    await asyncio.sleep(0)
    pipe.abandon()
    with pytest.raises(ConnectionResetError):
        await waiting
    with pytest.raises(ConnectionResetError):
        await pipe.write(b"more")
